//! Backends for a content store over a storage driver, that fail and stall when they are told to.
#![allow(dead_code, clippy::unwrap_used, missing_docs, unreachable_pub)]

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use cache_core::driver::{DriverContent, StorageDriver};
use cache_core::memory::{ManualClock, Memory, MemoryLeases};
use cache_core::ports::{BatchOutcome, ByteStream, IndexQuery, MetadataChange, MetadataRecord, MetadataStore};
use cache_core::{Error, ErrorKind, Result};
use futures::stream::{StreamExt, iter};

/// What outlives a store.
#[derive(Debug)]
pub struct Parts {
    pub objects: Arc<Objects>,
    pub metadata: Arc<Stalling>,
    pub clock: Arc<ManualClock>,
    memory: Memory,
}

impl Default for Parts {
    fn default() -> Self {
        let clock = Arc::new(ManualClock::default());
        let memory = Memory::new(clock.clone());
        let metadata =
            Arc::new(Stalling { inner: memory.metadata.clone(), stall: Default::default(), wait: Default::default() });
        Self { objects: Arc::default(), metadata, clock, memory }
    }
}

impl Parts {
    pub fn store(&self) -> DriverContent {
        DriverContent::new(self.objects.clone(), self.leases(), self.metadata.clone(), self.clock.clone())
    }

    pub fn leases(&self) -> Arc<MemoryLeases> {
        self.memory.leases.clone()
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The next append adds half of the bytes.
    AppendHalf,
    /// The next append never ends.
    AppendNever,
    Sync,
    Delete,
}

#[derive(Debug, Default)]
pub struct Objects {
    objects: Mutex<BTreeMap<String, Vec<u8>>>,
    fault: Mutex<Option<Fault>>,
}

impl Objects {
    /// Fails the next call that `fault` is about.
    pub fn fail(&self, fault: Fault) {
        *self.fault.lock().unwrap() = Some(fault);
    }

    pub fn contents(&self) -> Vec<Vec<u8>> {
        self.objects.lock().unwrap().values().cloned().collect()
    }

    fn meets(&self, fault: Fault) -> bool {
        self.fault.lock().unwrap().take_if(|next| *next == fault).is_some()
    }

    fn full(&self, fault: Fault, name: &str) -> Result<()> {
        if self.meets(fault) { Err(Error::new(ErrorKind::NoSpace, "use object", name)) } else { Ok(()) }
    }
}

#[async_trait]
impl StorageDriver for Objects {
    async fn append(&self, name: &str, bytes: Bytes) -> Result<()> {
        if self.meets(Fault::AppendNever) {
            futures::future::pending::<()>().await;
        }
        let half = self.full(Fault::AppendHalf, name);
        let added = if half.is_ok() { &bytes[..] } else { &bytes[..bytes.len() / 2] };
        self.objects.lock().unwrap().entry(name.to_owned()).or_default().extend(added);
        half
    }

    async fn sync(&self, name: &str) -> Result<()> {
        assert!(self.objects.lock().unwrap().contains_key(name));
        self.full(Fault::Sync, name)
    }

    async fn read(&self, name: &str, range: Range<u64>) -> Result<ByteStream> {
        let object = self.objects.lock().unwrap()[name].clone();
        let bytes = Bytes::from(object).slice(range.start as usize..range.end as usize);
        assert!(!bytes.is_empty());
        Ok(iter([Ok(bytes)]).boxed())
    }

    async fn delete(&self, name: &str) -> Result<()> {
        self.full(Fault::Delete, name)?;
        self.objects.lock().unwrap().remove(name);
        Ok(())
    }
}

/// A metadata store that stalls and waits.
#[derive(Debug)]
pub struct Stalling {
    inner: Arc<dyn MetadataStore>,
    stall: AtomicBool,
    wait: AtomicBool,
}

impl Stalling {
    /// The next change is made, but its call never ends.
    pub fn stall_after_apply(&self) {
        self.stall.store(true, Ordering::SeqCst);
    }

    /// From now on whoever reads a record lets others go first.
    pub fn yield_after_get(&self) {
        self.wait.store(true, Ordering::SeqCst);
    }
}

#[async_trait]
impl MetadataStore for Stalling {
    async fn get(&self, key: &str) -> Result<Option<MetadataRecord>> {
        let found = self.inner.get(key).await;
        if self.wait.load(Ordering::SeqCst) {
            let mut is_first = true;
            futures::future::poll_fn(|context| {
                context.waker().wake_by_ref();
                if std::mem::take(&mut is_first) { std::task::Poll::Pending } else { std::task::Poll::Ready(()) }
            })
            .await;
        }
        found
    }

    async fn find(&self, query: &IndexQuery) -> Result<Vec<MetadataRecord>> {
        self.inner.find(query).await
    }

    async fn apply(&self, changes: Vec<MetadataChange>) -> Result<BatchOutcome> {
        let outcome = self.inner.apply(changes).await;
        if self.stall.swap(false, Ordering::SeqCst) {
            futures::future::pending::<()>().await;
        }
        outcome
    }
}
