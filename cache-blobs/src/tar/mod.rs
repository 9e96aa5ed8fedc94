//! Tar archives: a writer whose bytes equal those of Go's `archive/tar`, and a strict reader.
//!
//! The [`Writer`] chooses like Go: a plain ustar header while every value fits, else a PAX extended header in front
//! of it. Layers get the digests that containerd and BuildKit give them.
//!
//! The [`Reader`] accepts what images in the wild hold (ustar, PAX, GNU long names, every GNU sparse form, v7) and
//! refuses whatever two programs could read in two ways. Its [`ReadLimits`] are on from the start.
//!
//! ```
//! use cache_blobs::tar::{Header, Reader, Writer};
//!
//! let mut writer = Writer::new(Vec::new());
//! writer.append(&Header::file("etc/motd", 6), &b"hello\n"[..])?;
//! let archive = writer.finish()?;
//!
//! let mut reader = Reader::new(&archive[..]);
//! let entry = reader.next_entry()?.expect("the archive has one entry");
//! assert_eq!(entry.header().path, b"etc/motd");
//! # Ok::<(), cache_blobs::tar::Error>(())
//! ```

mod block;
mod body;
mod decode;
mod encode;
mod entry;
mod error;
mod header;
mod limits;
mod number;
mod pax;
mod reader;
#[cfg(any(feature = "estargz", feature = "zstd-chunked"))]
mod scanner;
mod source;
mod sparse;
mod sparse_map;
mod writer;

pub use entry::Entry;
pub use error::{Error, Field, Limit, Place, Problem};
pub use header::{Header, Kind, Timestamp};
pub use limits::ReadLimits;
pub use reader::Reader;
#[cfg(any(feature = "estargz", feature = "zstd-chunked"))]
pub(crate) use scanner::{Scanned, ScannedEntry, Scanner};
pub use writer::{EntryWriter, Writer};

#[cfg(any(target_os = "linux", feature = "zstd-chunked"))]
pub(crate) use pax::parse_time;

/// Bytes in a tar block: headers are one, contents are padded to a multiple.
pub const TAR_BLOCK_BYTES: usize = 512;
