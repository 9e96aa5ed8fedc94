//! Snapshots: file systems in layers.

use std::fmt::Debug;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;

use crate::error::Result;
use crate::labels::{LabelChange, Labels};
use crate::ports::lease::Lease;
use crate::timestamp::Timestamp;

/// What a mount is made of.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum MountKind {
    /// A directory as it is.
    Bind,
    /// overlayfs; the options carry `lowerdir=`, `upperdir=` and `workdir=`.
    Overlay,
    /// A file system type of another snapshotter.
    Other(String),
}

/// Instructions to mount a snapshot. Mirrors: containerd `core/mount.Mount`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Mount {
    /// What it is made of.
    pub kind: MountKind,
    /// The directory of a bind mount; a name without meaning for overlayfs.
    pub source: PathBuf,
    /// Options in containerd's spelling and order: `ro`, `rw`, `rbind`, `lowerdir=…`.
    pub options: Vec<String>,
}

/// What a snapshot is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SnapshotKind {
    /// It can be written to and committed.
    Active,
    /// It shows its parent, read-only.
    View,
    /// It never changes and can be a parent.
    Committed,
}

/// What a snapshotter knows of a snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnapshotInfo {
    /// Its key, or its name if it is committed. Both live in one space.
    pub key: String,
    /// What it is.
    pub kind: SnapshotKind,
    /// The committed snapshot under it.
    pub parent: Option<String>,
    /// Its labels.
    pub labels: Labels,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it was created, committed or its labels were last changed.
    pub updated_at: Timestamp,
}

/// Disk that a snapshot takes, its parents not counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Bytes in blocks, each inode once, as du(1) counts them.
    pub bytes: u64,
    /// Inodes.
    pub inodes: u64,
}

/// The outcome of [`Snapshotter::prepare`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Prepared {
    /// The active snapshot's mounts.
    Mounts(Vec<Mount>),
    /// A remote snapshotter has the wanted snapshot already: there is nothing to unpack.
    AlreadyCommitted,
}

/// Keeps file systems in layers. Mirrors: containerd `core/snapshots.Snapshotter`.
///
/// # Cancel safety
/// A dropped call did its work as a whole or not at all, at the latest a moment later; what it made is held by `lease`.
#[async_trait]
pub trait Snapshotter: Send + Sync + Debug + 'static {
    /// The name in resources and labels: `overlayfs`, `native`, ….
    fn name(&self) -> &str;

    /// Creates an active snapshot over `parent`, or over nothing. `lease` holds it.
    ///
    /// # Errors
    /// `AlreadyExists` if the key is taken by a snapshot of any kind; `NotFound` if the parent is missing; `Invalid` if it
    /// is not committed, or the lease is dead.
    async fn prepare(&self, lease: &Lease, key: &str, parent: Option<&str>, labels: Labels) -> Result<Prepared>;

    /// Creates a read-only view of `parent`. `lease` holds it.
    ///
    /// # Errors
    /// As [`prepare`](Self::prepare).
    async fn view(&self, lease: &Lease, key: &str, parent: Option<&str>, labels: Labels) -> Result<Vec<Mount>>;

    /// Makes the active snapshot `key` the committed snapshot `name`, durably. The key is gone then; the labels are those
    /// given here, not the active one's; what held the key holds the name, and `lease` does.
    ///
    /// # Errors
    /// `AlreadyExists` if the name is taken; `NotFound` if there is no such key; `Invalid` if it is not active.
    async fn commit(&self, lease: &Lease, name: &str, key: &str, labels: Labels) -> Result<()>;

    /// The mounts of an active snapshot or view.
    ///
    /// # Errors
    /// `NotFound` if there is no such key; `Invalid` if it is committed.
    async fn mounts(&self, key: &str) -> Result<Vec<Mount>>;

    /// What is known of the snapshot; `None` if there is none.
    ///
    /// # Errors
    /// The backend's own failures.
    async fn stat(&self, key: &str) -> Result<Option<SnapshotInfo>>;

    /// Changes labels key by key, all or none of them, and gives the outcome.
    ///
    /// # Errors
    /// `NotFound` if there is no such snapshot.
    async fn change_labels(&self, key: &str, changes: &[LabelChange]) -> Result<SnapshotInfo>;

    /// The disk that the snapshot takes: counted now if it is active, at its commit if it is committed, zero for a view.
    ///
    /// # Errors
    /// `NotFound` if there is no such snapshot.
    async fn usage(&self, key: &str) -> Result<Usage>;

    /// Removes a snapshot and gives its key free.
    ///
    /// # Errors
    /// `NotFound` if there is no such snapshot; `Busy` if another one has it as parent.
    async fn remove(&self, key: &str) -> Result<()>;

    /// Every snapshot, in any order.
    ///
    /// # Errors
    /// The backend's own failures.
    async fn list(&self) -> Result<Vec<SnapshotInfo>>;
}

/// Whether a tree can be written to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Access {
    /// Nothing can be changed through it.
    ReadOnly,
    /// It can be changed.
    ReadWrite,
}

/// Turns mounts into trees. Mirrors: containerd `core/mount.WithTempMount`.
///
/// # Cancel safety
/// A dropped call leaves no tree mounted.
#[async_trait]
pub trait Mounter: Send + Sync + Debug + 'static {
    /// The tree that `mounts` describe; an empty list is an empty tree.
    ///
    /// # Errors
    /// `Unsupported` for kinds that this mounter does not know; `PermissionDenied` where the system forbids mounts.
    async fn mount(&self, mounts: &[Mount], access: Access) -> Result<Arc<dyn MountedTree>>;
}

/// A mounted tree. It is gone when the last handle is dropped, and when the process dies; no other process sees it.
pub trait MountedTree: Send + Sync + Debug + 'static {
    /// A handle of the tree's root.
    #[cfg(unix)]
    fn directory(&self) -> std::os::fd::BorrowedFd<'_>;

    /// A path by which this process reaches the root while it holds the tree.
    fn path(&self) -> PathBuf;
}
