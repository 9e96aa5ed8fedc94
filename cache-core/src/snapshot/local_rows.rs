//! Rows of snapshots in the embedded store.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;

use crate::error::{Error, ErrorKind, Result};
use crate::labels::{LabelChange, Labels};
use crate::local::{self, Store};
use crate::ports::{Lease, Pool, PoolExt, SnapshotInfo, Usage};
use crate::snapshot::rows::{NewSnapshot, SnapshotRow, SnapshotRows};
use crate::snapshot::scratch::ScratchTree;

/// The rows of one snapshotter in a [`Store`], which any number of processes may have open. Leases are those of the store.
#[derive(Debug)]
pub struct LocalRows {
    store: Arc<Store>,
    snapshotter: Arc<str>,
    directory: PathBuf,
    pool: Arc<dyn Pool>,
}

impl LocalRows {
    /// The rows of the snapshotter `snapshotter` in `store`, whose calls run on threads of `pool`.
    pub fn new(store: Arc<Store>, snapshotter: impl Into<Arc<str>>, pool: Arc<dyn Pool>) -> Self {
        let directory = store.directory().join("snapshots");
        Self { store, snapshotter: snapshotter.into(), directory, pool }
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Arc<Store>, &str) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (store, snapshotter) = (Arc::clone(&self.store), Arc::clone(&self.snapshotter));
        self.pool.run(move || work(&store, &snapshotter)).await
    }
}

#[async_trait]
impl SnapshotRows for LocalRows {
    fn snapshotter(&self) -> &str {
        &self.snapshotter
    }

    fn directory(&self) -> &Path {
        &self.directory
    }

    async fn scratch(&self) -> Result<ScratchTree> {
        let pool = Arc::clone(&self.pool);
        self.run(move |store, _| Ok(ScratchTree::new(store.scratch_directory()?, pool))).await
    }

    async fn create(&self, lease: &Lease, new: NewSnapshot, tree: Option<ScratchTree>) -> Result<SnapshotRow> {
        let lease = lease.id().to_owned();
        self.run(move |store, snapshotter| {
            let (parent, parents) = match new.parent {
                Some(row) => (Some(stored(&row)), std::iter::once(row.id).chain(row.parents).collect()),
                None => (None, Vec::new()),
            };
            let created = store.create_snapshot(
                &lease,
                &local::NewSnapshot {
                    snapshotter,
                    key: &new.key,
                    kind: new.kind,
                    parent: parent.as_ref(),
                    labels: &new.labels,
                    directory: tree.as_ref().map(ScratchTree::path),
                },
            );
            match (tree, &created) {
                (Some(tree), Ok(_)) => tree.placed(),
                (Some(tree), Err(_)) => tree.discard(),
                (None, _) => {}
            }
            created.map(|created| row(created, parents))
        })
        .await
    }

    async fn get(&self, key: &str) -> Result<Option<SnapshotRow>> {
        let key = key.to_owned();
        self.run(move |store, snapshotter| {
            let Some(found) = store.snapshot(snapshotter, &key)? else { return Ok(None) };
            let parents = if found.parent.is_some() { store.snapshot_parents(found.id)? } else { Vec::new() };
            // Removed between the two looks: its parent cannot be, as long as it is there itself.
            if parents.first() != found.parent.as_ref() {
                return Ok(None);
            }
            Ok(Some(row(found, parents)))
        })
        .await
    }

    async fn commit(
        &self,
        lease: &Lease,
        name: &str,
        active: &SnapshotRow,
        labels: Labels,
        usage: Usage,
    ) -> Result<()> {
        let (lease, name, key, id) = (lease.id().to_owned(), name.to_owned(), active.info.key.clone(), active.id);
        self.run(move |store, snapshotter| {
            // The key may have been removed and used again since the tree was made durable.
            if store.snapshot(snapshotter, &key)?.is_some_and(|row| row.id != id) {
                return Err(Error::new(ErrorKind::NotFound, "commit snapshot", key.escape_debug()));
            }
            store.commit_snapshot(&lease, snapshotter, &name, &key, &labels, usage).map(drop)
        })
        .await
    }

    async fn change_labels(&self, key: &str, changes: &[LabelChange]) -> Result<SnapshotInfo> {
        let (key, changes) = (key.to_owned(), changes.to_vec());
        self.run(move |store, snapshotter| store.change_snapshot_labels(snapshotter, &key, &changes)).await
    }

    async fn remove(&self, key: &str) -> Result<()> {
        let key = key.to_owned();
        self.run(move |store, snapshotter| store.remove_snapshot(snapshotter, &key)).await
    }

    async fn list(&self) -> Result<Vec<SnapshotInfo>> {
        self.run(move |store, snapshotter| Ok(store.snapshots(snapshotter)?.into_iter().map(|row| row.info).collect()))
            .await
    }
}

fn row(stored: local::SnapshotRow, parents: Vec<i64>) -> SnapshotRow {
    SnapshotRow { id: stored.id, info: stored.info, parents, usage: stored.usage }
}

fn stored(row: &SnapshotRow) -> local::SnapshotRow {
    local::SnapshotRow { id: row.id, info: row.info.clone(), parent: row.parents.first().copied(), usage: row.usage }
}
