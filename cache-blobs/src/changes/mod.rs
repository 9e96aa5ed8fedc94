//! What changed between two trees of files.
//!
//! [`double_walk`] compares two whole trees as containerd does; [`overlay_upper`] reads the answer off an overlay's
//! upper directory as BuildKit does. Trees come from directories (`DirectoryTree`, on Linux), from archives and
//! plain entries ([`MemoryTree`]), and from stacks of overlay directories that nobody mounted ([`Overlay`]).
//!
//! ```
//! use cache_blobs::changes::{ChangeKind, MemoryTree, double_walk};
//! use cache_blobs::tar::Header;
//!
//! let mut upper = MemoryTree::new();
//! upper.insert(&Header::file("etc/motd", 6), b"hello\n")?;
//! let changes = double_walk(None, &upper)?.collect::<Result<Vec<_>, _>>()?;
//! assert_eq!(changes[1].path, b"etc/motd");
//! assert_eq!(changes[1].kind, ChangeKind::Add);
//! # Ok::<(), cache_blobs::changes::Error>(())
//! ```

mod change;
#[cfg(target_os = "linux")]
mod directory_tree;
mod double_walk;
mod error;
#[cfg(target_os = "linux")]
mod file_content;
mod lookahead;
#[cfg(target_os = "linux")]
mod lower_tree;
mod memory_content;
mod memory_tree;
mod metadata;
mod overlay;
mod overlay_upper;
#[cfg(target_os = "linux")]
mod own_directory;
mod pair;
mod same;
mod tree;
mod upper_directory;
mod walker_thread;
#[cfg(target_os = "linux")]
mod xattr_calls;

pub use change::{Change, ChangeKind};
#[cfg(target_os = "linux")]
pub use directory_tree::DirectoryTree;
pub use double_walk::{DoubleWalk, double_walk};
pub use error::{Error, Operation, OverlayFeature};
#[cfg(target_os = "linux")]
pub use lower_tree::LowerTree;
pub use memory_tree::MemoryTree;
pub use metadata::{FileKind, Identity, Metadata};
pub use overlay::Overlay;
pub use overlay_upper::{OverlayUpper, overlay_upper};
pub use tree::{Directory, OpenFile, Tree, TreeEntry, lookup};

pub(crate) use change::Parent;
pub(crate) use overlay::is_overlay_xattr;
pub(crate) use same::CAPABILITY;
pub(crate) use walker_thread::spawn_walker;
