//! Exporting again what was exported writes nothing. One test, because it counts the system calls of its process.
#![cfg(all(target_os = "linux", feature = "gzip", feature = "zstd"))]
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout, missing_docs)]

mod cancel_rig;
mod variant_rig;

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use cache_blobs::chain::{LayerBackends, RemoteExt, RemoteOptions};
use cache_blobs::convert::{Converter, ConverterBackends};
use cache_core::cache::CacheManager;
use cache_core::ports::{
    BatchOutcome, Begun, BlobInfo, BlobReader, ContentStore, DiffOptions, Expected, IndexQuery, IngestStatus, Ingester,
    Lease, LeaseInfo, LeaseManager, LeaseOptions, Manager, MetadataChange, MetadataRecord, MetadataStore, Provider,
    Resource, Start,
};
use cache_core::{Backends, Compression, Descriptor, Digest, LabelChange, Result};
use cancel_rig::Rig;
use futures::stream::BoxStream;
use pollster::block_on;
use variant_rig::{ALL, chain, config, lease};

/// Counts calls that change something.
#[derive(Debug, Default)]
struct Writes(AtomicUsize);

impl Writes {
    fn note(&self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

#[derive(Debug)]
struct Counted<T: ?Sized> {
    writes: Arc<Writes>,
    inner: Arc<T>,
}

impl<T: ?Sized> Counted<T> {
    fn new(writes: &Arc<Writes>, inner: &Arc<T>) -> Arc<Self> {
        Arc::new(Self { writes: Arc::clone(writes), inner: Arc::clone(inner) })
    }
}

#[async_trait]
impl Provider for Counted<dyn ContentStore> {
    async fn open(&self, descriptor: &Descriptor) -> Result<Option<Box<dyn BlobReader>>> {
        self.inner.open(descriptor).await
    }
}

#[async_trait]
impl Ingester for Counted<dyn ContentStore> {
    async fn begin(&self, lease: &Lease, key: &str, expected: Expected, start: Start) -> Result<Begun> {
        self.writes.note();
        self.inner.begin(lease, key, expected, start).await
    }

    async fn abort(&self, key: &str) -> Result<bool> {
        self.writes.note();
        Ingester::abort(&*self.inner, key).await
    }

    async fn ingests(&self) -> Result<Vec<IngestStatus>> {
        self.inner.ingests().await
    }
}

#[async_trait]
impl Manager for Counted<dyn ContentStore> {
    async fn info(&self, digest: &Digest) -> Result<Option<BlobInfo>> {
        self.inner.info(digest).await
    }

    async fn change_labels(&self, digest: &Digest, changes: &[LabelChange]) -> Result<BlobInfo> {
        self.writes.note();
        self.inner.change_labels(digest, changes).await
    }

    fn list(&self) -> BoxStream<'_, Result<BlobInfo>> {
        self.inner.list()
    }
}

#[async_trait]
impl MetadataStore for Counted<dyn MetadataStore> {
    async fn get(&self, key: &str) -> Result<Option<MetadataRecord>> {
        self.inner.get(key).await
    }

    async fn find(&self, query: &IndexQuery) -> Result<Vec<MetadataRecord>> {
        self.inner.find(query).await
    }

    async fn apply(&self, changes: Vec<MetadataChange>) -> Result<BatchOutcome> {
        self.writes.note();
        self.inner.apply(changes).await
    }
}

#[async_trait]
impl LeaseManager for Counted<dyn LeaseManager> {
    async fn create(&self, options: LeaseOptions) -> Result<Lease> {
        self.writes.note();
        self.inner.create(options).await
    }

    async fn get(&self, id: &str) -> Result<Option<Lease>> {
        self.inner.get(id).await
    }

    async fn attach(&self, lease: &Lease, resources: &[Resource]) -> Result<()> {
        self.writes.note();
        self.inner.attach(lease, resources).await
    }

    async fn detach(&self, lease: &Lease, resources: &[Resource]) -> Result<()> {
        self.writes.note();
        self.inner.detach(lease, resources).await
    }

    async fn resources(&self, lease: &Lease) -> Result<Vec<Resource>> {
        self.inner.resources(lease).await
    }

    async fn renew(&self, lease: &Lease) -> Result<()> {
        self.writes.note();
        self.inner.renew(lease).await
    }

    async fn delete(&self, id: &str) -> Result<bool> {
        self.writes.note();
        self.inner.delete(id).await
    }

    async fn list(&self) -> Result<Vec<LeaseInfo>> {
        self.inner.list().await
    }

    fn abandon(&self, id: &str) {
        self.writes.note();
        self.inner.abandon(id);
    }
}

/// How often this process has asked the system to write; `None` where the system does not count. Bytes of storage are no measure: SQLite's
/// readers note in shared memory how far they read, and that page is counted whenever it was clean.
fn system_writes() -> Option<u64> {
    let io = fs::read_to_string("/proc/self/io").ok()?;
    io.lines().find_map(|line| line.strip_prefix("syscw:")?.trim().parse().ok())
}

#[test]
fn exporting_a_chain_of_forty_layers_again_writes_nothing_and_begins_no_transaction() {
    let rig = Rig::new("native").unwrap();
    let holds = lease(&rig);
    let types: Vec<_> = ALL.iter().cycle().take(40).cloned().collect();
    let id = chain(&rig, &holds, &types, "layer").id().to_owned();
    let writes = Arc::<Writes>::default();
    let backends = Backends {
        content: Counted::new(&writes, &rig.backends.content),
        leases: Counted::new(&writes, &rig.backends.leases),
        metadata: Counted::new(&writes, &rig.backends.metadata),
        ..rig.backends.clone()
    };
    let manager = block_on(CacheManager::open(backends.clone())).unwrap();
    let top = block_on(manager.get(&id)).unwrap();
    let converter = Converter::new(ConverterBackends {
        content: backends.content.clone(),
        leases: backends.leases.clone(),
        ..variant_rig::backends(&rig)
    });
    let layers = LayerBackends::new(Arc::new(rig.differ.clone())).with_converter(converter);

    let plain = DiffOptions::new(config(&Compression::Gzip));
    let forced = DiffOptions::new(config(&Compression::Zstd).forced());
    for options in [plain, forced] {
        let first = block_on(top.ensure_remote(&holds, &layers, &options)).unwrap();
        // What foreign blobs are is found, and remembered, by the first who asks.
        block_on(top.remotes(&holds, &layers, &RemoteOptions::new(options.clone()))).unwrap();
        rig.pool.wait_until_idle();
        let (calls, before) = (writes.0.load(Ordering::SeqCst), system_writes());
        let again = block_on(top.ensure_remote(&holds, &layers, &options)).unwrap();
        let all = block_on(top.remotes(&holds, &layers, &RemoteOptions::new(options.clone()))).unwrap().unwrap();
        rig.pool.wait_until_idle();
        let after = system_writes();
        assert_eq!((again.layers().len(), again.chain()), (40, first.chain()));
        assert_eq!(all.main.chain(), first.chain());
        assert_eq!(writes.0.load(Ordering::SeqCst), calls, "a call that changes something");
        match (before, after) {
            (Some(before), Some(after)) => assert_eq!(after, before, "a write system call"),
            _ => println!("skipped: this system does not count the system calls of a process"),
        }
    }
    assert!(writes.0.load(Ordering::SeqCst) > 0, "the first export in a forced compression did write");
}
