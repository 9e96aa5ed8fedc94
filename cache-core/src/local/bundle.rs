//! All local backends over one opening of a directory.

use std::path::Path;
use std::sync::Arc;

use crate::error::Result;
use crate::local::collector::LocalCollector;
use crate::local::content::LocalContent;
use crate::local::engine::Engine;
use crate::local::fsck::{CheckReport, Depth, Repair};
use crate::local::image_store::LocalImages;
use crate::local::lease_manager::LocalLeases;
use crate::local::locks::LocalLocks;
use crate::local::metadata_store::LocalMetadata;
use crate::local::snapshot_rows::LocalSnapshots;
use crate::local::store::{Store, StoreOptions};
use crate::ports::{Pool, PoolExt};

/// The backends of one directory. Clones share one opening; it is closed after the last of them and of what they gave.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Local {
    /// Blobs.
    pub content: Arc<LocalContent>,
    /// Leases over blobs, snapshots and image names.
    pub leases: Arc<LocalLeases>,
    /// Image names.
    pub images: Arc<LocalImages>,
    /// Records.
    pub metadata: Arc<LocalMetadata>,
    /// Locks among all processes that have the directory open.
    pub locks: Arc<LocalLocks>,
    /// Frees what nothing reaches.
    pub collector: Arc<LocalCollector>,
    engine: Arc<Engine>,
}

impl Local {
    /// Opens the store in `directory`, which is created if it is missing and the options do not say otherwise, and frees what dead
    /// processes held in it. Work that blocks runs on `pool`.
    ///
    /// # Errors
    /// `NotFound` by [`IfMissing::Fail`](super::IfMissing::Fail); `Unsupported` on a network file system, for a store of a newer release and with an SQLite older than 3.51.3.
    pub async fn open(directory: impl AsRef<Path>, pool: Arc<dyn Pool>, options: StoreOptions) -> Result<Self> {
        let directory = directory.as_ref().to_owned();
        let store = pool.run(move || Store::open(directory, options)).await?;
        let engine = Engine::new(store, pool);
        let leases = LocalLeases::new(Arc::clone(&engine));
        Ok(Self {
            content: Arc::new(LocalContent::new(Arc::clone(&engine), Arc::clone(&leases))),
            leases,
            images: Arc::new(LocalImages::new(Arc::clone(&engine))),
            metadata: Arc::new(LocalMetadata::new(Arc::clone(&engine))),
            locks: Arc::new(LocalLocks::new(Arc::clone(&engine))),
            collector: Arc::new(LocalCollector::new(Arc::clone(&engine))),
            engine,
        })
    }

    /// The absolute path of the directory.
    pub fn directory(&self) -> &Path {
        self.engine.store().directory()
    }

    /// The rows of the snapshots of `snapshotter`, for a [`DirectorySnapshotter`](crate::snapshot::DirectorySnapshotter).
    pub fn snapshots(&self, snapshotter: impl Into<String>) -> Arc<LocalSnapshots> {
        Arc::new(LocalSnapshots::new(Arc::clone(&self.engine), Arc::clone(&self.leases), snapshotter.into()))
    }

    /// Compares rows, files and, if asked, bytes, while others use the store.
    ///
    /// # Errors
    /// The disk's and the database's failures. Damage is none: it is in the report.
    pub async fn check(&self, depth: Depth, repair: Repair) -> Result<CheckReport> {
        self.engine.run(move |store| store.check(depth, repair)).await
    }
}
