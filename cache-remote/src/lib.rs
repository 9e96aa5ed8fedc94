//! cache-remote

mod chains;
pub mod config;
mod error;
mod layer_forest;
mod marshal;
mod output_key;
mod parse;
mod record_digest;
mod remote;
mod settle;

pub use chains::{CacheChains, ExportResult, RecordId, RecordLink};
pub use error::{CacheError, CacheWarning, Document, Fault};
pub use marshal::{DescriptorPlace, Marshalled};
pub use output_key::{CONTENT_OUTPUT, RecordKey, content_key, output_key};
pub use parse::{LayerTable, ParseMode, Parsed, annotated_layer_table, layer_table, parse};
pub use remote::{Remote, RemoteLayer};

/// The most bytes of config and of manifest that BuildKit reads from a registry or a directory. Larger caches can be
/// exported and imported here; BuildKit sees none then. Mirrors: BuildKit `cache/remotecache/import.go`, `readBlob`.
pub const BUILDKIT_READS_BYTES: u64 = 1024 * 1024;
