//! The snapshotter over rows and directories.

use std::fmt::Debug;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;

use crate::error::{Error, ErrorKind, Result};
use crate::labels::{LabelChange, Labels, validate_labels};
use crate::ports::{Lease, Mount, Pool, PoolExt, Prepared, SnapshotInfo, SnapshotKind, Snapshotter, Usage};
use crate::snapshot::durability::Durability;
use crate::snapshot::rows::{NewSnapshot, SnapshotRow, SnapshotRows};
use crate::snapshot::scratch::ScratchTree;
use crate::snapshot::usage;

/// What lies in the directory of a snapshot, and how it is mounted. Functions that touch the disk block.
pub(super) trait Trees: Send + Sync + Debug + 'static {
    /// Makes the tree of a new snapshot in `scratch`, an empty directory. Gives up soon after `cancelled` is set.
    fn make(&self, scratch: &Path, kind: SnapshotKind, parent: Option<&Path>, cancelled: &AtomicBool) -> Result<()>;

    /// Whether such a snapshot has a directory of its own.
    fn has_tree(&self, kind: SnapshotKind, parent: Option<&SnapshotRow>) -> bool {
        kind == SnapshotKind::Active || parent.is_none()
    }

    /// The mounts of an active snapshot or a view, whose own directory is the first, its parents' the others.
    fn mounts(&self, kind: SnapshotKind, own: &Path, parents: &[PathBuf]) -> Result<Vec<Mount>>;

    /// The root of the part of a snapshot's directory that is the snapshot.
    fn contents(&self, directory: &Path) -> PathBuf;
}

/// A snapshotter that keeps every snapshot in a directory of its own.
///
/// Mirrors: containerd `plugins/snapshots/overlay/overlay.go` and `plugins/snapshots/native/native.go`. What differs: trees are
/// made before the store's write lock is taken, and a commit can make them durable.
///
/// # Cancel safety
/// A dropped `prepare` or `view` leaves nothing, unless its row had been reached: then the lease holds the snapshot. A dropped
/// `commit` happens wholly or not at all.
#[derive(Debug)]
pub struct DirectorySnapshotter {
    name: String,
    rows: Arc<dyn SnapshotRows>,
    pool: Arc<dyn Pool>,
    trees: Arc<dyn Trees>,
    durability: Durability,
}

impl DirectorySnapshotter {
    pub(super) fn over(
        rows: Arc<dyn SnapshotRows>,
        pool: Arc<dyn Pool>,
        trees: Arc<dyn Trees>,
        durability: Durability,
    ) -> Result<Self> {
        let directory = rows.directory();
        // Mount options are strings, and a mount may be made with another working directory.
        if directory.to_str().is_none() || !directory.is_absolute() {
            return Err(Error::new(ErrorKind::Invalid, "open snapshotter", directory.display()));
        }
        Ok(Self { name: rows.snapshotter().to_owned(), rows, pool, trees, durability })
    }

    async fn create(
        &self,
        operation: &'static str,
        lease: &Lease,
        key: &str,
        kind: SnapshotKind,
        parent: Option<&str>,
        labels: Labels,
    ) -> Result<Vec<Mount>> {
        validate_labels(&labels)?;
        if key.is_empty() {
            return Err(Error::new(ErrorKind::Invalid, operation, "the empty key"));
        }
        // The rows decide; asked before, they spare a copy in vain.
        if self.rows.get(key).await?.is_some() {
            return Err(Error::new(ErrorKind::AlreadyExists, operation, key.escape_debug()));
        }
        let parent = match parent {
            Some(name) => Some(self.committed(operation, name).await?),
            None => None,
        };
        let tree = if self.trees.has_tree(kind, parent.as_ref()) {
            Some(self.make_tree(kind, parent.as_ref()).await?)
        } else {
            None
        };
        let new = NewSnapshot { key: key.to_owned(), kind, parent, labels };
        let row = self.rows.create(lease, new, tree).await?;
        self.mounts_of(&row)
    }

    async fn committed(&self, operation: &'static str, name: &str) -> Result<SnapshotRow> {
        let row = self.existing(operation, name).await?;
        if row.info.kind == SnapshotKind::Committed {
            return Ok(row);
        }
        Err(Error::new(ErrorKind::Invalid, operation, name.escape_debug()).with_source("the parent is not committed"))
    }

    async fn existing(&self, operation: &'static str, key: &str) -> Result<SnapshotRow> {
        let row = self.rows.get(key).await?;
        row.ok_or_else(|| Error::new(ErrorKind::NotFound, operation, key.escape_debug()))
    }

    async fn make_tree(&self, kind: SnapshotKind, parent: Option<&SnapshotRow>) -> Result<ScratchTree> {
        let tree = self.rows.scratch().await?;
        let parent = parent.map(|row| self.directory(row.id));
        let trees = Arc::clone(&self.trees);
        let caller = Caller::default();
        let cancelled = caller.gone();
        self.pool
            .run(move || {
                match trees.make(tree.path(), kind, parent.as_deref(), &cancelled) {
                    Ok(()) => Ok(tree),
                    Err(error) => {
                        // Here, so that a full disk has room again when the caller hears of it.
                        tree.discard();
                        Err(error)
                    }
                }
            })
            .await
    }

    fn mounts_of(&self, row: &SnapshotRow) -> Result<Vec<Mount>> {
        let parents: Vec<_> = row.parents.iter().map(|id| self.directory(*id)).collect();
        self.trees.mounts(row.info.kind, &self.directory(row.id), &parents)
    }

    fn directory(&self, id: i64) -> PathBuf {
        self.rows.directory().join(id.to_string())
    }

    async fn measure(&self, row: &SnapshotRow) -> Result<Usage> {
        let contents = self.trees.contents(&self.directory(row.id));
        self.pool.run(move || usage::of_tree(&contents)).await
    }
}

#[async_trait]
impl Snapshotter for DirectorySnapshotter {
    fn name(&self) -> &str {
        &self.name
    }

    async fn prepare(&self, lease: &Lease, key: &str, parent: Option<&str>, labels: Labels) -> Result<Prepared> {
        self.create("prepare snapshot", lease, key, SnapshotKind::Active, parent, labels).await.map(Prepared::Mounts)
    }

    async fn view(&self, lease: &Lease, key: &str, parent: Option<&str>, labels: Labels) -> Result<Vec<Mount>> {
        self.create("view snapshot", lease, key, SnapshotKind::View, parent, labels).await
    }

    async fn commit(&self, lease: &Lease, name: &str, key: &str, labels: Labels) -> Result<()> {
        const OPERATION: &str = "commit snapshot";
        validate_labels(&labels)?;
        let row = self.existing(OPERATION, key).await?;
        if row.info.kind != SnapshotKind::Active {
            return Err(Error::new(ErrorKind::Invalid, OPERATION, key.escape_debug()).with_source("it is not active"));
        }
        if self.rows.get(name).await?.is_some() {
            return Err(Error::new(ErrorKind::AlreadyExists, OPERATION, name.escape_debug()));
        }
        let (directory, durability) = (self.directory(row.id), self.durability);
        let contents = self.trees.contents(&directory);
        let usage = self
            .pool
            .run(move || {
                durability.apply(&directory)?;
                // After it, because blocks are allocated when they are written out.
                usage::of_tree(&contents)
            })
            .await?;
        self.rows.commit(lease, name, &row, labels, usage).await
    }

    async fn mounts(&self, key: &str) -> Result<Vec<Mount>> {
        const OPERATION: &str = "mount snapshot";
        let row = self.existing(OPERATION, key).await?;
        if row.info.kind == SnapshotKind::Committed {
            return Err(Error::new(ErrorKind::Invalid, OPERATION, key.escape_debug()).with_source("it is committed"));
        }
        self.mounts_of(&row)
    }

    async fn stat(&self, key: &str) -> Result<Option<SnapshotInfo>> {
        Ok(self.rows.get(key).await?.map(|row| row.info))
    }

    async fn change_labels(&self, key: &str, changes: &[LabelChange]) -> Result<SnapshotInfo> {
        self.rows.change_labels(key, changes).await
    }

    async fn usage(&self, key: &str) -> Result<Usage> {
        let row = self.existing("measure snapshot", key).await?;
        match row.info.kind {
            SnapshotKind::Active => self.measure(&row).await,
            SnapshotKind::Committed => Ok(row.usage),
            SnapshotKind::View => Ok(Usage::default()),
        }
    }

    async fn remove(&self, key: &str) -> Result<()> {
        self.rows.remove(key).await
    }

    async fn list(&self) -> Result<Vec<SnapshotInfo>> {
        self.rows.list().await
    }
}

/// Whoever waits for a job. Its drop tells the job that nobody does any more.
#[derive(Default)]
pub(super) struct Caller(Arc<AtomicBool>);

impl Caller {
    pub(super) fn gone(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.0)
    }
}

impl Drop for Caller {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
