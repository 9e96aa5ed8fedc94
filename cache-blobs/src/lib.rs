//! Layers of layercache: archives, changes, codecs, the packer, blob chains.
//!
//! - [`tar`] writes archives byte for byte as containerd and BuildKit do, and reads them strictly.
//! - [`content`] is a file's bytes with its holes.
//! - [`changes`] finds what differs between two trees, as containerd and BuildKit do.
//! - [`layer`] makes the archive of a layer from it.
//! - [`codec`] compresses layers: a port, and what implements it here.
//! - [`pack`] turns archives into committed blobs within one budget.
//! - [`chain`] gives every ref of a chain its blob; [`remote`] is what can be copied elsewhere.
#![cfg_attr(target_os = "linux", doc = "- [`differ`] compares two snapshots.")]
#![cfg_attr(unix, doc = "- [`layout`] keeps blobs and their names in the directory of an OCI image layout.")]

pub mod chain;
pub mod changes;
pub mod codec;
pub mod content;
#[cfg(target_os = "linux")]
pub mod differ;
mod failure;
pub mod layer;
#[cfg(unix)]
pub mod layout;
pub mod pack;
pub mod remote;
pub mod tar;
