//! Unpacking a layer into a directory.
//!
//! [`unpack`] does what containerd's `archive.Apply` does, and holds every path below the root by asking the kernel
//! for it (`openat2`), or where that is missing by a walk that follows no link unseen. The archive is hostile until
//! proven otherwise: [`ApplyLimits`] are on from the start, and everything that could not be kept is in [`Applied`].
//!
//! ```
//! use cache_blobs::apply::{ApplyOptions, unpack};
//! use cache_blobs::tar::{Header, Writer};
//!
//! let mut writer = Writer::new(Vec::new());
//! writer.append(&Header::file("etc/motd", 6), &b"hello\n"[..])?;
//! let archive = writer.finish()?;
//!
//! let root = tempfile::tempdir()?;
//! let applied = unpack(&archive[..], std::fs::File::open(root.path())?, &ApplyOptions::default())?;
//! assert_eq!(applied.entries, 1);
//! assert_eq!(std::fs::read(root.path().join("etc/motd"))?, b"hello\n");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod applied;
mod attributes;
mod budget;
mod create;
mod directories;
mod durability;
mod error;
mod files;
mod limits;
mod options;
mod parents;
mod path;
mod remove;
mod root;
mod unpack;
mod walk;

pub use applied::Applied;
pub use durability::Durability;
pub use error::{ApplyLimit, Error, Operation, Problem};
pub use limits::ApplyLimits;
pub use options::{ApplyOptions, Devices, OverlayXattrs, Ownership, Resolution, Whiteouts};
pub use unpack::unpack;
