//! The rows of snapshots, as a store keeps them for a snapshotter.

use std::fmt::Debug;
use std::path::Path;

use async_trait::async_trait;

use crate::error::Result;
use crate::labels::{LabelChange, Labels};
use crate::ports::{Lease, SnapshotInfo, SnapshotKind, Usage};
use crate::snapshot::scratch::ScratchTree;

/// A snapshot as a store keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnapshotRow {
    /// Its number; its decimal form is the name of its directory. It keeps it when it is committed, and no other snapshot that
    /// was ever seen has it.
    pub id: i64,
    /// What its snapshotter tells of it.
    pub info: SnapshotInfo,
    /// The numbers of the snapshots under it, the nearest first.
    pub parents: Vec<i64>,
    /// The disk that it took when it was committed; zero before.
    pub usage: Usage,
}

/// A snapshot that is to be created.
#[derive(Clone, Debug)]
pub struct NewSnapshot {
    /// Its key.
    pub key: String,
    /// What it is to be: active, or a view.
    pub kind: SnapshotKind,
    /// The committed snapshot under it, as it was read before the tree was made. The number counts, so that a snapshot that
    /// has got the same name since is not mistaken for it.
    pub parent: Option<SnapshotRow>,
    /// Its labels.
    pub labels: Labels,
}

/// The rows and places of one snapshotter's snapshots. Mirrors: containerd `core/snapshots/storage.MetaStore`.
///
/// The futures may be polled on any thread: an implementation that blocks does so on a pool of its own.
///
/// # Cancel safety
/// A dropped call that has begun to change something still ends it.
#[async_trait]
pub trait SnapshotRows: Send + Sync + Debug + 'static {
    /// The snapshotter's name in resources of leases.
    fn snapshotter(&self) -> &str;

    /// The absolute directory in which every snapshot's directory lies.
    fn directory(&self) -> &Path;

    /// Creates an empty directory on the file system of [`directory`](Self::directory), for this process alone (mode 0700).
    /// What a killed process leaves there is removed by the store later.
    ///
    /// # Errors
    /// The disk's failures.
    async fn scratch(&self) -> Result<ScratchTree>;

    /// Creates a snapshot that `lease` holds. `tree` becomes its directory in the same step; without one it has no directory.
    ///
    /// # Errors
    /// `AlreadyExists` if the key is taken by a snapshot of any kind; `NotFound` if the parent is gone; `Invalid` if it is not
    /// committed, the key is empty or the lease is dead.
    async fn create(&self, lease: &Lease, new: NewSnapshot, tree: Option<ScratchTree>) -> Result<SnapshotRow>;

    /// The snapshot `key`; `None` if there is none.
    ///
    /// # Errors
    /// The store's own failures.
    async fn get(&self, key: &str) -> Result<Option<SnapshotRow>>;

    /// Makes `active` the committed snapshot `name`, durably. What held its key holds the name, and `lease` does. Its files are
    /// durable already, if they are to be.
    ///
    /// # Errors
    /// `AlreadyExists` if the name is taken; `NotFound` if the snapshot is gone; `Invalid` if it is not active, the name is
    /// empty or the lease is dead.
    async fn commit(&self, lease: &Lease, name: &str, active: &SnapshotRow, labels: Labels, usage: Usage)
    -> Result<()>;

    /// Changes labels key by key, all or none of them, and gives the outcome.
    ///
    /// # Errors
    /// `NotFound` if there is no such snapshot; as [`validate_labels`](crate::validate_labels).
    async fn change_labels(&self, key: &str, changes: &[LabelChange]) -> Result<SnapshotInfo>;

    /// Removes the row, then its directory.
    ///
    /// # Errors
    /// `NotFound` if there is no such snapshot; `Busy` if another one has it as parent.
    async fn remove(&self, key: &str) -> Result<()>;

    /// Every snapshot, in any order.
    ///
    /// # Errors
    /// The store's own failures.
    async fn list(&self) -> Result<Vec<SnapshotInfo>>;
}
