//! Layers as archives: finding what changed, packing it, and unpacking it again.
//!
//! - [`changes`] finds what differs between two trees, as containerd and BuildKit do.
//! - [`layer`] makes the archive of a layer from it, or from plain entries.
//! - `apply` unpacks a layer into a directory, contained and within limits (Linux).
//! - [`tar`] writes archives byte for byte as containerd and BuildKit do, and reads them strictly.
//! - [`content`] is a file's bytes with its holes.
//!
//! All of it is synchronous and works on any [`Read`](std::io::Read) and [`Write`](std::io::Write); hash or compress on
//! the way as you like.
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
//! let (layer, report) = write_layer(changes, &after, Vec::new(), LayerOptions::default())?;
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
pub mod apply;
pub mod changes;
pub mod content;
#[cfg(target_os = "linux")]
mod directory_names;
pub mod layer;
pub mod tar;
