//! Everything over one directory: the embedded store, its snapshots, a cache and what makes layers.

use std::fs;
use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Arc;

use cache_core::cache::CacheManager;
use cache_core::local::{IfMissing, Local, StoreOptions};
use cache_core::mount::LinuxMounter;
use cache_core::ports::{Clock, Mounter, Pool, Snapshotter};
use cache_core::snapshot::{DirectorySnapshotter, Durability, NativeOptions, OverlayfsOptions, SnapshotRows};
use cache_core::{Backends, Error, Result, SystemClock, ThreadPool};

use crate::LayerApplier;
use crate::chain::LayerBackends;
use crate::codec::Codecs;
use crate::convert::{Converter, ConverterBackends};
use crate::differ::TreeDiffer;
use crate::pack::Budget;

/// How snapshots are kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum SnapshotterChoice {
    /// What the store's snapshots are kept by already; in a store without any, overlayfs where it can be mounted, else
    /// native.
    #[default]
    Auto,
    /// Layers by overlayfs; needs the right to mount.
    Overlayfs,
    /// Copies, with reflinks where the file system has them.
    Native,
}

/// How an [`Embedded`] is opened.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct EmbeddedOptions {
    /// How snapshots are kept.
    pub snapshotter: SnapshotterChoice,
    /// Whether snapshots are durable when they are committed.
    pub durability: Durability,
    /// What becomes of a directory without a store.
    pub if_missing: IfMissing,
    /// Compressing threads; `None` for as many as there are processors.
    pub workers: Option<NonZeroUsize>,
    /// Bytes that packing holds at a time; `None` for [`Budget::DEFAULT_MEMORY_BYTES`].
    pub memory_bytes: Option<u64>,
    /// Codecs; `None` for the built-in ones.
    pub codecs: Option<Codecs>,
}

impl EmbeddedOptions {
    /// The same, keeping snapshots by `snapshotter`.
    #[must_use]
    pub fn with_snapshotter(mut self, snapshotter: SnapshotterChoice) -> Self {
        self.snapshotter = snapshotter;
        self
    }

    /// The same with snapshots as durable as `durability` says.
    #[must_use]
    pub fn with_durability(mut self, durability: Durability) -> Self {
        self.durability = durability;
        self
    }

    /// The same, doing what `if_missing` says where there is no store.
    #[must_use]
    pub fn with_if_missing(mut self, if_missing: IfMissing) -> Self {
        self.if_missing = if_missing;
        self
    }

    /// The same with so many compressing threads.
    #[must_use]
    pub fn with_workers(mut self, workers: NonZeroUsize) -> Self {
        self.workers = Some(workers);
        self
    }

    /// The same with packing bounded to so many bytes.
    #[must_use]
    pub fn with_memory_bytes(mut self, bytes: u64) -> Self {
        self.memory_bytes = Some(bytes);
        self
    }

    /// The same with other codecs.
    #[must_use]
    pub fn with_codecs(mut self, codecs: Codecs) -> Self {
        self.codecs = Some(codecs);
        self
    }
}

/// One directory that any number of processes may open at once, with all that is built on it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Embedded {
    /// The store.
    pub local: Local,
    /// The store and the snapshots as backends.
    pub backends: Backends,
    /// The refs.
    pub cache: CacheManager,
    /// The differ, for direct use.
    pub differ: TreeDiffer,
    /// The differ and the converter, as blob chains use them.
    pub layers: LayerBackends,
    /// The codecs.
    pub codecs: Codecs,
    /// What packing may use.
    pub budget: Arc<Budget>,
}

impl Embedded {
    /// Opens the store in `directory`, which is created if it is missing and the options do not say otherwise.
    ///
    /// # Errors
    /// As [`Local::open`]; `PermissionDenied` where overlayfs is asked for and cannot be mounted; `Unavailable` if threads
    /// cannot be had.
    pub async fn open(directory: impl AsRef<Path>, options: EmbeddedOptions) -> Result<Self> {
        let pool: Arc<dyn Pool> = Arc::new(ThreadPool::new());
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new(Arc::clone(&pool)));
        let store = StoreOptions::new(Arc::clone(&clock)).with_if_missing(options.if_missing);
        let local = Local::open(directory, Arc::clone(&pool), store).await?;
        let snapshotter: Arc<dyn Snapshotter> = Arc::new(snapshotter(&local, &pool, &options).await?);
        // The mounter makes and removes empty directories here; what a killed process leaves is empty, too.
        let scratch = local.directory().join("mounts");
        fs::create_dir_all(&scratch).map_err(|error| Error::io("create directory", scratch.display(), error))?;
        let mounter: Arc<dyn Mounter> = Arc::new(LinuxMounter::new(Arc::clone(&pool), scratch));
        let codecs = options.codecs.unwrap_or_default();
        let applier = LayerApplier::new(local.content.clone(), Arc::clone(&mounter), Arc::clone(&pool), codecs.clone());
        let workers = options.workers.or_else(|| std::thread::available_parallelism().ok());
        let memory_bytes = options.memory_bytes.unwrap_or(Budget::DEFAULT_MEMORY_BYTES);
        let budget = Arc::new(Budget::new(workers.unwrap_or(NonZeroUsize::MIN), memory_bytes)?);
        let differ = TreeDiffer::new(
            local.content.clone(),
            Arc::clone(&mounter),
            Arc::clone(&pool),
            codecs.clone(),
            Arc::clone(&budget),
        );
        let backends = Backends {
            content: local.content.clone(),
            snapshotter,
            leases: local.leases.clone(),
            metadata: local.metadata.clone(),
            locks: local.locks.clone(),
            mounter,
            applier: Some(Arc::new(applier)),
            collector: Some(local.collector.clone()),
            pool,
            clock,
        };
        let cache = CacheManager::open(backends.clone()).await?;
        let converter = Converter::new(ConverterBackends {
            content: backends.content.clone(),
            leases: backends.leases.clone(),
            pool: backends.pool.clone(),
            codecs: codecs.clone(),
            budget: budget.clone(),
        });
        let layers = LayerBackends::new(Arc::new(differ.clone())).with_converter(converter);
        Ok(Self { local, backends, cache, differ, layers, codecs, budget })
    }
}

async fn snapshotter(local: &Local, pool: &Arc<dyn Pool>, options: &EmbeddedOptions) -> Result<DirectorySnapshotter> {
    let rows = |name: &str| Ok(local.snapshots(name) as Arc<dyn SnapshotRows>);
    let (pool, durability) = (Arc::clone(pool), options.durability);
    let choice = match options.snapshotter {
        SnapshotterChoice::Auto if has_only_native(local).await? => SnapshotterChoice::Native,
        choice => choice,
    };
    match choice {
        SnapshotterChoice::Auto => DirectorySnapshotter::auto(rows, pool, durability).await,
        SnapshotterChoice::Overlayfs => {
            let rows = rows("overlayfs")?;
            cache_core::snapshot::overlayfs_works(&*rows, Arc::clone(&pool)).await?;
            let options = OverlayfsOptions::default().with_durability(durability);
            DirectorySnapshotter::overlayfs(rows, pool, options).await
        }
        SnapshotterChoice::Native => {
            DirectorySnapshotter::native(rows("native")?, pool, NativeOptions::default().with_durability(durability))
        }
    }
}

/// Whether the store's snapshots were all made by copying. Its refs need the snapshotter that made them.
async fn has_only_native(local: &Local) -> Result<bool> {
    let (native, overlayfs) = (local.snapshots("native"), local.snapshots("overlayfs"));
    Ok(!native.list().await?.is_empty() && overlayfs.list().await?.is_empty())
}
