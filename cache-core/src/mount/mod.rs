//! Mounts on Linux: trees for this process alone, and trees for a command.
//!
//! [`LinuxMounter`] gives the family's own reads and writes a tree that is attached nowhere: no other process sees it, and it is
//! gone when its last handle is, at the latest when the process dies. [`run_attached`] gives a command a tree at a path, in a
//! mount namespace of its own.

mod attach;
mod bind;
mod classic;
mod mounter;
mod namespace;
mod overlay;
mod overlay_layers;
mod tree;

pub use attach::{die_with_parent, run_attached};
pub use mounter::LinuxMounter;
pub use overlay_layers::{MAX_LOWER_LAYERS, OverlayLayers};
pub use tree::{LinuxTree, MountCalls};
