//! Layer tars of layercache: archives, changes, layers, codecs and the packer.
//!
//! - [`tar`] writes archives byte for byte as containerd and BuildKit do, and reads them strictly.
//! - [`content`] is a file's bytes with its holes.
//! - [`changes`] finds what differs between two trees, as containerd and BuildKit do.
//! - [`layer`] makes the archive of a layer from it.
//! - [`codec`] compresses layers: a port, and what implements it here.
#![cfg_attr(unix, doc = "- [`layout`] keeps blobs and their names in the directory of an OCI image layout.")]

pub mod chain;
pub mod changes;
pub mod codec;
pub mod content;
pub mod layer;
#[cfg(unix)]
pub mod layout;
pub mod remote;
pub mod tar;
