//! Layers of layercache: archives, changes, codecs, the packer, blob chains.
//!
//! - [`tar`] writes archives byte for byte as containerd and BuildKit do, and reads them strictly.
//! - [`content`] is a file's bytes with its holes.
//! - [`changes`] finds what differs between two trees, as containerd and BuildKit do.
//! - [`layer`] makes the archive of a layer from it, or from plain entries.
//! - [`codec`] compresses layers: a port, and what implements it here.
//! - [`pack`] turns archives into committed blobs within one budget.
//! - [`convert`] gives layers in other compressions; [`RemoteBlob`] is what lazy refs pull.
//! - [`copy_blob`] brings a blob from one place to another; [`verify_blob`] checks that a layer is what it says;
//!   [`DecodingAhead`] decodes one on another thread than its reader's.
//! - [`chain`] gives every ref of a chain its blob; [`remote`] is what can be copied elsewhere.
#![cfg_attr(target_os = "linux", doc = "- [`apply`] unpacks a layer into a directory, and never outside of it.")]
#![cfg_attr(target_os = "linux", doc = "- [`differ`] compares two snapshots.")]
#![cfg_attr(unix, doc = "- [`layout`] keeps blobs and their names in the directory of an OCI image layout.")]
#![cfg_attr(
    all(feature = "local", target_os = "linux"),
    doc = "- [`embedded`] is all of it over one directory, which any number of processes may open."
)]
//!
//! Archives, changes and layers are synchronous and work on any [`Read`](std::io::Read) and [`Write`](std::io::Write):
//!
//! ```
//! use cache_blobs::changes::{MemoryTree, double_walk};
//! use cache_blobs::layer::{LayerOptions, write_layer};
//! use cache_blobs::tar::{Header, Reader};
//!
//! let mut before = MemoryTree::new();
//! before.insert(&Header::file("etc/motd", 0), b"hello\n")?;
//! before.insert(&Header::file("etc/obsolete", 0), b"old\n")?;
//!
//! let mut after = MemoryTree::new();
//! after.insert(&Header::file("etc/motd", 0), b"goodbye\n")?;
//!
//! let changes = double_walk(Some(&before), &after)?;
//! let (layer, report) = write_layer(changes, Vec::new(), LayerOptions::default())?;
//! assert!(report.is_complete());
//!
//! let mut reader = Reader::new(&layer[..]);
//! let mut names = Vec::new();
//! while let Some(entry) = reader.next_entry()? {
//!     names.push(String::from_utf8_lossy(&entry.header().path).into_owned());
//! }
//! assert_eq!(names, ["etc/", "etc/motd", "etc/.wh.obsolete"]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#[cfg(target_os = "linux")]
mod applier;
#[cfg(target_os = "linux")]
pub mod apply;
pub mod chain;
pub mod changes;
pub mod codec;
pub mod content;
pub mod convert;
mod copy;
mod decoding_ahead;
#[cfg(target_os = "linux")]
pub mod differ;
#[cfg(target_os = "linux")]
mod directory_names;
#[cfg(all(feature = "local", target_os = "linux"))]
pub mod embedded;
mod failure;
pub mod layer;
#[cfg(unix)]
pub mod layout;
pub mod pack;
pub mod remote;
mod remote_blob;
pub mod tar;
mod verify;
mod windows;

#[cfg(target_os = "linux")]
pub use applier::LayerApplier;
pub use copy::{BlobSource, BusyKey, CopyError, CopyOptions, copy_blob};
pub use decoding_ahead::{DecodedLayer, DecodingAhead};
pub use remote_blob::RemoteBlob;
pub use verify::{Verified, verify_blob};
