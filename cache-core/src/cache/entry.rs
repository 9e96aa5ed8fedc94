//! A record that this process uses.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::cache::core::Core;
use crate::cache::immutable::ImmutableRef;
use crate::cache::lazy::LazyBlob;
use crate::cache::record::{Phase, Record};
use crate::cache::records::Loaded;
use crate::cache::view::View;
use crate::error::Result;
use crate::ports::LockGuard;

/// The one object that all handles of a record in this process share. While it lives, so do the record and its parents.
#[derive(Debug)]
pub(super) struct Entry {
    id: String,
    core: Arc<Core>,
    parent: Option<ImmutableRef>,
    loaded: Mutex<Loaded>,
    view: Mutex<Option<Arc<View>>>,
    source: Mutex<Option<Arc<dyn LazyBlob>>>,
    /// A caller got a handle, not only a child.
    given_out: AtomicBool,
    in_use: Arc<dyn LockGuard>,
}

impl Entry {
    pub(super) fn new(
        core: Arc<Core>,
        loaded: Loaded,
        in_use: Arc<dyn LockGuard>,
        parent: Option<ImmutableRef>,
    ) -> Self {
        Self {
            id: loaded.record.id.clone(),
            core,
            parent,
            loaded: Mutex::new(loaded),
            view: Mutex::new(None),
            source: Mutex::new(None),
            given_out: AtomicBool::new(false),
            in_use,
        }
    }

    pub(super) fn id(&self) -> &str {
        &self.id
    }

    pub(super) fn core(&self) -> &Arc<Core> {
        &self.core
    }

    pub(super) fn parent(&self) -> Option<&ImmutableRef> {
        self.parent.as_ref()
    }

    /// What keeps the record from being removed, for calls that may outlive the entry.
    pub(super) fn in_use(&self) -> Arc<dyn LockGuard> {
        Arc::clone(&self.in_use)
    }

    pub(super) fn give_out(&self) {
        self.given_out.store(true, Ordering::Relaxed);
    }

    /// What is known of the record, as of the last time that it was read or written here.
    pub(super) fn read<T>(&self, look: impl FnOnce(&Record) -> T) -> T {
        look(&self.loaded().record)
    }

    pub(super) fn phase(&self) -> Phase {
        self.read(|record| record.phase)
    }

    fn loaded(&self) -> MutexGuard<'_, Loaded> {
        self.loaded.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes what was just read or written, unless something newer is known.
    pub(super) fn learn(&self, news: Loaded) {
        let mut loaded = self.loaded();
        if news.age > loaded.age {
            *loaded = news;
        }
    }

    /// Reads the record again, because other processes may have changed it.
    pub(super) async fn refresh(&self) -> Result<()> {
        self.learn(self.core.records.require(&self.id).await?);
        Ok(())
    }

    /// Changes the record.
    pub(super) async fn update<F>(&self, change: F) -> Result<()>
    where
        F: Fn(&mut Record) -> Result<()> + Send + Sync,
    {
        self.learn(self.core.records.update(&self.id, change).await?);
        Ok(())
    }

    /// Where the blob can be had, as far as anybody told.
    pub(super) fn source(&self) -> Option<Arc<dyn LazyBlob>> {
        self.source.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Notes where the blob can be had; the first one stays.
    pub(super) fn provide(&self, source: Arc<dyn LazyBlob>) {
        self.source.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(source);
    }

    pub(super) fn view(&self) -> MutexGuard<'_, Option<Arc<View>>> {
        self.view.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.core.forget(&self.id);
        if *self.given_out.get_mut() {
            self.core.deferred.used(&self.id, self.core.backends.clock.now());
        }
        // One by one: dropping a long chain by recursion could exhaust the stack.
        let mut next = self.parent.take();
        while let Some(mut entry) = next.and_then(ImmutableRef::into_last) {
            next = entry.parent.take();
        }
    }
}
