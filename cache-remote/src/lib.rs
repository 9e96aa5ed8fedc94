//! cache-remote

mod chains;
mod combined;
pub mod config;
mod copy;
mod error;
mod exporter;
mod imported;
mod importer;
mod key_storage;
mod layer_forest;
mod load;
#[cfg(unix)]
mod local;
mod manifest;
mod marshal;
mod memory_keys;
mod output_key;
mod parse;
mod read_blob;
mod record_digest;
mod select;

mod settle;

pub use cache_blobs::remote::{Remote, RemoteLayer};
pub use chains::{CacheChains, ExportResult, RecordId, RecordLink};
pub use combined::CombinedCache;
pub use error::{CacheError, CacheWarning, Document, Fault};
pub use exporter::{ExportOptions, ExportOutcome, Exported, MissingBlobs, export_cache};
pub use imported::{ImportedCache, ImportedResult};
pub use importer::{ConfigSchema, ImportOptions, import_cache};
pub use key_storage::{
    CacheKeyStorage, CacheKeyWriter, CacheResultStorage, InputKey, KeyId, KeyLink, ResultId, StoredResult, find_records,
};
pub use load::{LoadOptions, load};
#[cfg(unix)]
pub use local::{DEFAULT_TAG, export_to_layout, import_from_layout};
pub use manifest::{CacheLayout, CacheManifest, ManifestForm};
pub use marshal::{DescriptorPlace, Marshalled};
pub use memory_keys::MemoryKeys;
pub use output_key::{CONTENT_OUTPUT, RecordKey, content_key, output_key};
pub use parse::{LayerTable, ParseMode, Parsed, annotated_layer_table, layer_table, parse};

pub use select::{Availability, Choice, ExportLink, ExportMode, ExportRecord, assemble, select};

/// The most bytes of config and of manifest that BuildKit reads from a registry or a directory. Larger caches can be
/// exported and imported here; BuildKit sees none then. Mirrors: BuildKit `cache/remotecache/import.go`, `readBlob`.
pub const BUILDKIT_READS_BYTES: u64 = 1024 * 1024;
