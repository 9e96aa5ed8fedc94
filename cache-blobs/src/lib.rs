//! Layer tars of layercache: archives, changes, layers.
//!
//! - [`tar`] writes archives byte for byte as containerd and BuildKit do, and reads them strictly.
//! - [`content`] is a file's bytes with its holes.
//! - [`changes`] finds what differs between two trees, as containerd and BuildKit do.
//! - `apply` unpacks a layer into a directory, contained and within limits (Linux).
//! - [`layer`] makes the archive of a layer from it.

#[cfg(target_os = "linux")]
pub mod apply;
pub mod changes;
pub mod content;
#[cfg(target_os = "linux")]
mod directory_names;
pub mod layer;
pub mod tar;
