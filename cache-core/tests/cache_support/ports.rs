//! The memory backends, with each call counted as a step.

use std::collections::BTreeMap;
use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use cache_core::memory::{MemoryContent, MemoryLeases, MemoryLocks, MemoryMetadata};
use cache_core::ports::{
    Access, Applied, Applier, ApplyOptions, ApplySource, BatchOutcome, Begun, BlobInfo, BlobReader, Collected,
    Collector, Expected, IndexQuery, IngestStatus, Ingester, Lease, LeaseInfo, LeaseManager, LeaseOptions, LockGuard,
    LockMode, Locks, Manager, MetadataChange, MetadataRecord, MetadataStore, Mount, MountedTree, Mounter, Provider,
    Resource, Start,
};
use cache_core::{Descriptor, Digest, Error, ErrorKind, LabelChange, Result};
use futures::TryStreamExt;
use futures::stream::BoxStream;

use super::{Steps, TestSnapshots, World};

#[derive(Debug)]
pub struct TestMetadata(Arc<MemoryMetadata>, Arc<Steps>);

impl TestMetadata {
    pub fn new(world: &World) -> Self {
        Self(world.memory.metadata.clone(), world.steps.clone())
    }
}

#[async_trait]
impl MetadataStore for TestMetadata {
    async fn get(&self, key: &str) -> Result<Option<MetadataRecord>> {
        self.1.step("get record").await?;
        self.0.get(key).await
    }

    async fn find(&self, query: &IndexQuery) -> Result<Vec<MetadataRecord>> {
        self.1.step("find records").await?;
        self.0.find(query).await
    }

    async fn apply(&self, changes: Vec<MetadataChange>) -> Result<BatchOutcome> {
        self.1.step("apply batch").await?;
        self.0.apply(changes).await
    }
}

#[derive(Debug)]
pub struct TestLeases(Arc<MemoryLeases>, Arc<Steps>);

impl TestLeases {
    pub fn new(world: &World) -> Self {
        Self(world.memory.leases.clone(), world.steps.clone())
    }
}

#[async_trait]
impl LeaseManager for TestLeases {
    async fn create(&self, options: LeaseOptions) -> Result<Lease> {
        self.1.step("create lease").await?;
        self.1.at_once(self.0.create(options))
    }

    async fn get(&self, id: &str) -> Result<Option<Lease>> {
        self.1.step("get lease").await?;
        self.1.at_once(self.0.get(id))
    }

    async fn attach(&self, lease: &Lease, resources: &[Resource]) -> Result<()> {
        self.1.step("attach").await?;
        self.1.at_once(self.0.attach(lease, resources))
    }

    async fn detach(&self, lease: &Lease, resources: &[Resource]) -> Result<()> {
        self.1.step("detach").await?;
        self.1.at_once(self.0.detach(lease, resources))
    }

    async fn resources(&self, lease: &Lease) -> Result<Vec<Resource>> {
        self.1.step("list resources").await?;
        self.1.at_once(self.0.resources(lease))
    }

    async fn renew(&self, lease: &Lease) -> Result<()> {
        self.0.renew(lease).await
    }

    async fn delete(&self, id: &str) -> Result<bool> {
        self.1.step("delete lease").await?;
        self.1.at_once(self.0.delete(id))
    }

    async fn list(&self) -> Result<Vec<LeaseInfo>> {
        self.1.step("list leases").await?;
        self.1.at_once(self.0.list())
    }

    fn abandon(&self, id: &str) {
        self.1.at_once(async { self.0.abandon(id) });
    }
}

#[derive(Debug)]
pub struct TestLocks(Arc<MemoryLocks>, Arc<Steps>);

impl TestLocks {
    pub fn new(world: &World) -> Self {
        Self(world.memory.locks.clone(), world.steps.clone())
    }
}

#[async_trait]
impl Locks for TestLocks {
    async fn acquire(&self, name: &str, mode: LockMode) -> Result<Box<dyn LockGuard>> {
        self.1.step("acquire lock").await?;
        self.0.acquire(name, mode).await
    }

    async fn try_acquire(&self, name: &str, mode: LockMode) -> Result<Option<Box<dyn LockGuard>>> {
        self.1.step("try lock").await?;
        self.0.try_acquire(name, mode).await
    }

    async fn holder(&self, name: &str) -> Result<Option<LockMode>> {
        self.1.step("look at lock").await?;
        self.0.holder(name).await
    }
}

#[derive(Debug)]
pub struct TestContent(Arc<MemoryContent>, Arc<Steps>);

impl TestContent {
    pub fn new(world: &World) -> Self {
        Self(world.memory.content.clone(), world.steps.clone())
    }
}

#[async_trait]
impl Provider for TestContent {
    async fn open(&self, descriptor: &Descriptor) -> Result<Option<Box<dyn BlobReader>>> {
        self.0.open(descriptor).await
    }
}

#[async_trait]
impl Ingester for TestContent {
    async fn begin(&self, lease: &Lease, key: &str, expected: Expected, start: Start) -> Result<Begun> {
        self.0.begin(lease, key, expected, start).await
    }

    async fn abort(&self, key: &str) -> Result<bool> {
        Ingester::abort(&*self.0, key).await
    }

    async fn ingests(&self) -> Result<Vec<IngestStatus>> {
        self.0.ingests().await
    }
}

#[async_trait]
impl Manager for TestContent {
    async fn info(&self, digest: &Digest) -> Result<Option<BlobInfo>> {
        self.1.step("info of blob").await?;
        self.0.info(digest).await
    }

    async fn change_labels(&self, digest: &Digest, changes: &[LabelChange]) -> Result<BlobInfo> {
        self.0.change_labels(digest, changes).await
    }

    fn list(&self) -> BoxStream<'_, Result<BlobInfo>> {
        self.0.list()
    }
}

/// Writes a blob's text into the mounted snapshot, and counts how often it did so for each blob.
#[derive(Debug)]
pub struct TestApplier {
    content: Arc<MemoryContent>,
    snapshots: Arc<TestSnapshots>,
    steps: Arc<Steps>,
    applied: Mutex<BTreeMap<Digest, usize>>,
}

impl TestApplier {
    pub fn new(world: &World) -> Self {
        Self {
            content: world.memory.content.clone(),
            snapshots: world.snapshots.clone(),
            steps: world.steps.clone(),
            applied: Mutex::default(),
        }
    }

    pub fn applied(&self) -> usize {
        self.applied.lock().unwrap().values().sum()
    }
}

#[async_trait]
impl Applier for TestApplier {
    async fn apply(
        &self,
        descriptor: &Descriptor,
        _source: ApplySource,
        mounts: &[Mount],
        options: &ApplyOptions,
    ) -> Result<Applied> {
        self.steps.step("apply layer").await?;
        let missing = || Error::new(ErrorKind::NotFound, "apply", descriptor.digest);
        let reader = self.content.open(descriptor).await?.ok_or_else(missing)?;
        let bytes: Vec<_> = reader.read(0..reader.size()).await?.try_collect().await?;
        let text = String::from_utf8(bytes.concat()).unwrap();
        let text = text.strip_prefix("packed:").unwrap_or(&text);
        let applied = Applied { diff_id: Digest::of(text), size: text.len() as u64 };
        if options.expected_diff_id.is_some_and(|expected| expected != applied.diff_id) {
            return Err(Error::new(ErrorKind::Corrupt, "apply", descriptor.digest));
        }
        self.snapshots.write(mounts, text);
        *self.applied.lock().unwrap().entry(descriptor.digest).or_default() += 1;
        Ok(applied)
    }
}

#[derive(Debug)]
pub struct TestCollector(World);

impl TestCollector {
    pub fn new(world: &World) -> Self {
        Self(world.clone())
    }
}

#[async_trait]
impl Collector for TestCollector {
    async fn collect(&self) -> Result<Collected> {
        self.0.steps.at_once(async {
            let snapshots = self.0.snapshots.collect().await?;
            Ok(Collected { snapshots, ..self.0.memory.collector.collect().await? })
        })
    }
}

/// Mounts nothing, but counts.
#[derive(Debug, Default)]
pub struct TestMounter {
    mounted: Arc<AtomicUsize>,
}

#[derive(Debug)]
struct TestTree {
    root: File,
    path: PathBuf,
    mounted: Arc<AtomicUsize>,
}

#[async_trait]
impl Mounter for TestMounter {
    async fn mount(&self, mounts: &[Mount], access: Access) -> Result<Arc<dyn MountedTree>> {
        self.mounted.fetch_add(1, Ordering::SeqCst);
        assert!(access == Access::ReadOnly || mounts[0].options.contains(&"rw".to_owned()));
        let root = File::open(std::env::temp_dir()).unwrap();
        Ok(Arc::new(TestTree { root, path: mounts[0].source.clone(), mounted: self.mounted.clone() }))
    }
}

impl MountedTree for TestTree {
    fn directory(&self) -> BorrowedFd<'_> {
        self.root.as_fd()
    }

    fn path(&self) -> PathBuf {
        self.path.clone()
    }
}

impl Drop for TestTree {
    fn drop(&mut self) {
        self.mounted.fetch_sub(1, Ordering::SeqCst);
    }
}
