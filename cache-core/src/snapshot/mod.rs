//! Snapshotters that keep their trees in directories: `overlayfs` and `native`, over rows that a store keeps.
//!
//! A snapshotter here is two halves. [`SnapshotRows`] knows which snapshots there are, under which lease, and moves a
//! finished tree to its place in the same step in which the row appears; a store implements it. [`DirectorySnapshotter`] knows
//! what lies in a tree and how it is mounted, in two ways:
//!
//! - **overlayfs**: a snapshot's directory holds `fs`, the changes over its parents, and `work`. Needs the right to mount.
//! - **native**: a snapshot's directory is a whole copy, sharing blocks where the file system has reflinks. Needs no rights.
//!
//! [`DirectorySnapshotter::auto`] picks the better one that works on this machine. Linux only.
//!
//! ```
//! use std::sync::Arc;
//! use cache_core::memory::{ManualClock, Memory};
//! use cache_core::ports::{Access, LeaseManager, LeaseOptions, MountedTree, Mounter, Prepared, Snapshotter};
//! use cache_core::{Labels, ThreadPool, mount::LinuxMounter};
//! use cache_core::snapshot::{DirectorySnapshotter, MemoryRows, NativeOptions};
//!
//! # let (directory, scratch) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
//! # let (directory, scratch) = (directory.path(), scratch.path());
//! # pollster::block_on(async {
//! let (pool, clock) = (Arc::new(ThreadPool::new()), Arc::new(ManualClock::default()));
//! let rows = MemoryRows::open(directory, "native", pool.clone(), clock.clone()).await?;
//! let snapshotter = DirectorySnapshotter::native(Arc::new(rows), pool.clone(), NativeOptions::default())?;
//! let lease = Memory::new(clock).leases.create(LeaseOptions::default()).await?;
//!
//! let Prepared::Mounts(mounts) = snapshotter.prepare(&lease, "work", None, Labels::new()).await? else {
//!     unreachable!("only remote snapshotters have what was never made");
//! };
//! let tree = LinuxMounter::new(pool, scratch).mount(&mounts, Access::ReadWrite).await?;
//! std::fs::write(tree.path().join("hello"), "world").unwrap();
//! snapshotter.commit(&lease, "base", "work", Labels::new()).await?;
//! assert_eq!(snapshotter.usage("base").await?.inodes, 2);
//! # Ok::<(), cache_core::Error>(())
//! # }).unwrap();
//! ```

mod auto;
mod copy;
mod descend;
mod durability;
mod memory_rows;
mod native;
mod overlay_options;
mod overlayfs;
mod rows;
mod scratch;
mod snapshotter;
mod tree_removal;
mod usage;

pub use auto::overlayfs_works;
pub use durability::Durability;
pub use memory_rows::MemoryRows;
pub use native::{NativeOptions, Ownership};
pub use overlayfs::OverlayfsOptions;
pub use rows::{NewSnapshot, SnapshotRow, SnapshotRows};
pub use scratch::ScratchTree;
pub use snapshotter::DirectorySnapshotter;
#[cfg(feature = "local")]
pub(crate) use tree_removal::remove_tree;
#[cfg(feature = "local")]
pub(crate) use usage::of_tree;
