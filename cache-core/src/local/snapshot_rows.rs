//! The rows of one snapshotter's snapshots, behind the port.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;

use crate::error::Result;
use crate::labels::{LabelChange, Labels};
use crate::local::engine::Engine;
use crate::local::lease_manager::LocalLeases;
use crate::ports::{Lease, SnapshotInfo, Usage};
use crate::snapshot::{NewSnapshot, ScratchTree, SnapshotRow, SnapshotRows};

/// One snapshotter's part of a [`Local`](crate::local::Local) store.
#[derive(Debug)]
pub struct LocalSnapshots {
    engine: Arc<Engine>,
    leases: Arc<LocalLeases>,
    snapshotter: String,
    directory: PathBuf,
}

impl LocalSnapshots {
    pub(super) fn new(engine: Arc<Engine>, leases: Arc<LocalLeases>, snapshotter: String) -> Self {
        let directory = engine.store().snapshots_directory();
        Self { engine, leases, snapshotter, directory }
    }
}

#[async_trait]
impl SnapshotRows for LocalSnapshots {
    fn snapshotter(&self) -> &str {
        &self.snapshotter
    }

    fn directory(&self) -> &Path {
        &self.directory
    }

    async fn scratch(&self) -> Result<ScratchTree> {
        let pool = Arc::clone(self.engine.pool());
        self.engine.run(|store| Ok(ScratchTree::new(store.scratch_directory()?, pool))).await
    }

    async fn create(&self, lease: &Lease, new: NewSnapshot, tree: Option<ScratchTree>) -> Result<SnapshotRow> {
        self.leases.own("create snapshot", lease)?;
        let (lease, snapshotter) = (lease.id().to_owned(), self.snapshotter.clone());
        self.engine
            .run(move |store| {
                let path = tree.as_ref().map(ScratchTree::path);
                let row = store.create_snapshot(&lease, &snapshotter, &new, path)?;
                if let Some(tree) = tree {
                    tree.placed();
                }
                Ok(row)
            })
            .await
    }

    async fn get(&self, key: &str) -> Result<Option<SnapshotRow>> {
        let (snapshotter, key) = (self.snapshotter.clone(), key.to_owned());
        self.engine.run(move |store| store.snapshot(&snapshotter, &key)).await
    }

    async fn commit(
        &self,
        lease: &Lease,
        name: &str,
        active: &SnapshotRow,
        labels: Labels,
        usage: Usage,
    ) -> Result<()> {
        self.leases.own("commit snapshot", lease)?;
        let (lease, snapshotter) = (lease.id().to_owned(), self.snapshotter.clone());
        let (name, active) = (name.to_owned(), active.clone());
        self.engine
            .run(move |store| store.commit_snapshot(&lease, &snapshotter, &name, &active, &labels, usage).map(drop))
            .await
    }

    async fn change_labels(&self, key: &str, changes: &[LabelChange]) -> Result<SnapshotInfo> {
        let (snapshotter, key, changes) = (self.snapshotter.clone(), key.to_owned(), changes.to_vec());
        self.engine.run(move |store| store.change_snapshot_labels(&snapshotter, &key, &changes)).await
    }

    async fn remove(&self, key: &str) -> Result<()> {
        let (snapshotter, key) = (self.snapshotter.clone(), key.to_owned());
        self.engine.run(move |store| store.remove_snapshot(&snapshotter, &key)).await
    }

    async fn list(&self) -> Result<Vec<SnapshotInfo>> {
        let snapshotter = self.snapshotter.clone();
        self.engine.run(move |store| store.snapshots(&snapshotter)).await
    }
}
