//! The formats with a table of contents: tars, blobs of them, and the checks that both formats pass.
#![allow(dead_code, unused_imports, clippy::unwrap_used, clippy::panic, missing_docs)]

mod archives;
#[cfg(feature = "zstd-chunked")]
mod chunked;
pub(crate) mod determinism;
mod fixtures;
mod format;
mod memory_blob;
pub(crate) mod reading;
mod stargz;
pub(crate) mod writing;

pub(crate) use archives::{file, noise, resealed, tar_of};
#[cfg(feature = "zstd-chunked")]
pub(crate) use chunked::{Chunked, manifest, numbers, short_footer, skippable, tar_split};
pub(crate) use fixtures::buildkit_layers;
pub(crate) use format::{Files, Format, json_of, read, read_range};
pub(crate) use memory_blob::{MemoryBlob, Ranges};
pub(crate) use stargz::{Stargz, legacy_footer};
