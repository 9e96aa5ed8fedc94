//! Refs that are written to.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use crate::cache::core::Core;
use crate::cache::entry::Entry;
use crate::cache::immutable::ImmutableRef;
use crate::cache::mounted::MountedRef;
use crate::cache::options::Retention;
use crate::cache::record::{Phase, Record};
use crate::error::{Error, ErrorKind, Result};
use crate::ports::{Access, LockGuard, Mount, MountedTree};
use crate::timestamp::Timestamp;

/// A ref that is written to. There is one handle of it in all processes. Dropped without a commit, it is discarded, or
/// stays if it was made with [`Retention::Retain`].
#[derive(Debug)]
pub struct MutableRef {
    /// `None` once the ref is committed.
    open: Option<Open>,
}

#[derive(Debug)]
struct Open {
    entry: Arc<Entry>,
    /// Trees that may still change the snapshot.
    trees: Mutex<Vec<Weak<dyn MountedTree>>>,
    _writer: Box<dyn LockGuard>,
}

impl MutableRef {
    pub(super) fn new(entry: Arc<Entry>, writer: Box<dyn LockGuard>) -> Self {
        Self { open: Some(Open { entry, trees: Mutex::default(), _writer: writer }) }
    }

    fn open(&self) -> &Open {
        self.open.as_ref().expect("only commit takes it, and it takes self")
    }

    fn entry(&self) -> &Arc<Entry> {
        &self.open().entry
    }

    fn core(&self) -> &Arc<Core> {
        self.entry().core()
    }

    /// Its name, which the committed ref keeps.
    pub fn id(&self) -> &str {
        self.entry().id()
    }

    /// The ref under it.
    pub fn parent(&self) -> Option<ImmutableRef> {
        self.entry().parent().cloned()
    }

    /// What it is, for people; empty if nothing was said.
    pub fn description(&self) -> String {
        self.entry().read(|record| record.description.clone())
    }

    /// When it was created.
    pub fn created_at(&self) -> Timestamp {
        self.entry().read(|record| record.created_at)
    }

    /// Says what it is, for people.
    ///
    /// # Errors
    /// The metadata store's own failures.
    pub async fn set_description(&self, description: &str) -> Result<()> {
        let set = |record: &mut Record| {
            description.clone_into(&mut record.description);
            Ok(())
        };
        self.entry().update(set).await
    }

    /// Decides what becomes of it when it is dropped.
    ///
    /// # Errors
    /// The metadata store's own failures.
    pub async fn set_retention(&self, retention: Retention) -> Result<()> {
        let set = |record: &mut Record| {
            record.retention = retention;
            Ok(())
        };
        self.entry().update(set).await
    }

    /// The mounts of its snapshot, to be written to while this handle lives.
    ///
    /// # Errors
    /// The snapshotter's own failures.
    pub async fn mounts(&self) -> Result<Vec<Mount>> {
        let key = self.entry().read(Record::active_key);
        self.core().backends.snapshotter.mounts(&key).await
    }

    /// Its file system.
    ///
    /// # Errors
    /// As [`Mounter::mount`](crate::ports::Mounter::mount).
    ///
    /// # Cancel safety
    /// A dropped call leaves no mount.
    pub async fn mount(&self, access: Access) -> Result<MountedRef> {
        let mounts = self.mounts().await?;
        let tree = self.core().backends.mounter.mount(&mounts, access).await?;
        if access == Access::ReadWrite {
            let mut trees = self.open().trees.lock().unwrap_or_else(PoisonError::into_inner);
            trees.retain(|tree| tree.strong_count() > 0);
            trees.push(Arc::downgrade(&tree));
        }
        Ok(MountedRef::new(tree, Arc::clone(self.entry())))
    }

    /// Makes it immutable under the same name. Its snapshot is committed by [`ImmutableRef::finalize`], which everything
    /// that needs that calls; until then [`CacheManager::get_mutable`](crate::cache::CacheManager::get_mutable) can take it
    /// back.
    ///
    /// # Errors
    /// `Busy` while a writable tree of it is mounted; the metadata store's own failures. The error gives the ref back.
    ///
    /// # Cancel safety
    /// A dropped call drops the ref.
    pub async fn commit(mut self) -> Result<ImmutableRef, CommitError> {
        let commit = |record: &mut Record| {
            record.phase = Phase::Committed;
            Ok(())
        };
        let committed = if self.is_written() {
            Err(Error::new(ErrorKind::Busy, "commit ref whose tree is mounted", self.id()))
        } else {
            self.entry().update(commit).await
        };
        match committed {
            Ok(()) => Ok(ImmutableRef::from_entry(self.open.take().expect("only this takes it").entry)),
            Err(error) => Err(CommitError { error, mutable: self }),
        }
    }

    fn is_written(&self) -> bool {
        let trees = self.open().trees.lock().unwrap_or_else(PoisonError::into_inner);
        trees.iter().any(|tree| tree.strong_count() > 0)
    }
}

impl Drop for MutableRef {
    fn drop(&mut self) {
        let Some(Open { entry, .. }) = &self.open else { return };
        let (retention, writer) = entry.read(|record| (record.retention, record.writer.clone()));
        if retention == Retention::Discard {
            entry.core().deferred.discard(entry.id(), &writer);
        }
    }
}

/// A commit that failed, with the ref, which can be written to and committed again. As an [`Error`] it gives the ref up.
#[derive(Debug)]
pub struct CommitError {
    error: Error,
    mutable: MutableRef,
}

impl CommitError {
    /// Why it failed.
    pub fn error(&self) -> &Error {
        &self.error
    }

    /// The ref.
    pub fn into_mutable(self) -> MutableRef {
        self.mutable
    }
}

impl From<CommitError> for Error {
    fn from(failed: CommitError) -> Self {
        failed.error
    }
}

impl fmt::Display for CommitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl std::error::Error for CommitError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.error.source()
    }
}
