//! Layer tars of layercache: archives, changes, layers.
//!
//! - [`tar`] writes archives byte for byte as containerd and BuildKit do, and reads them strictly.
//! - [`content`] is a file's bytes with its holes.
//! - [`changes`] finds what differs between two trees, as containerd and BuildKit do.
//! - [`layer`] makes the archive of a layer from it.
#![cfg_attr(unix, doc = "- [`layout`] keeps blobs and their names in the directory of an OCI image layout.")]

pub mod changes;
pub mod content;
pub mod layer;
#[cfg(unix)]
pub mod layout;
pub mod tar;
