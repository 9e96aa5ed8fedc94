//! Remote caches of layercache: BuildKit's cache config, and how a cache gets out of a build and into the next one.
//!
//! - [`config`] is `application/vnd.buildkit.cacheconfig.v0` as it is written; [`CacheChains`] builds one and [`parse`]
//!   reads one.
//! - [`export_cache`] writes a cache into any target, [`import_cache`] reads one from any fetcher; [`CacheLayout`] has the
//!   three forms of its manifest. With [`export_to_layout`] and [`import_from_layout`] it lies in a local directory.
//! - [`select`] and [`assemble`] are `mode=min` and `mode=max`.
//! - [`ImportedCache`] and [`CombinedCache`] are looked up through [`CacheKeyStorage`] and [`CacheResultStorage`];
//!   [`find_records`] is the rule of a match. [`load`] makes refs of a result.
//!
//! A build writes its cache, and the next one finds the step in it:
//!
//! ```
//! use std::sync::Arc;
//! use cache_core::memory::{ManualClock, MemoryRemote};
//! use cache_core::ports::{ExportTarget, Fetcher};
//! use cache_core::{Digest, Timestamp};
//! use cache_remote::{
//!     CacheChains, ExportOptions, ExportOutcome, ExportResult, ImportOptions, InputKey, KeyId, RecordLink, Remote,
//!     export_cache, find_records, import_cache, output_key,
//! };
//! # use cache_core::ports::{BlobReader, Provider};
//! # use cache_core::{BlobChain, Descriptor, Layer, MediaType};
//! # #[derive(Debug)]
//! # struct Blobs(MemoryRemote);
//! # #[async_trait::async_trait]
//! # impl Provider for Blobs {
//! #     async fn open(&self, descriptor: &Descriptor) -> cache_core::Result<Option<Box<dyn BlobReader>>> {
//! #         self.0.fetch(descriptor).await
//! #     }
//! # }
//! # pollster::block_on(async {
//! # let blobs = MemoryRemote::new(Arc::new(ManualClock::default()));
//! # let descriptor = Descriptor::of(MediaType::OCI_LAYER, b"the layer");
//! # let expected = cache_core::ports::Expected::of(&descriptor);
//! # let cache_core::ports::Begun::Started(mut ingest) = blobs.begin("blob", expected).await? else { unreachable!() };
//! # ingest.write("the layer".into()).await?;
//! # ingest.commit(None, Default::default()).await?;
//! # let provider: Arc<dyn Provider> = Arc::new(Blobs(blobs));
//! # let chain = BlobChain::new(vec![Layer::new(descriptor.clone(), descriptor.digest)]);
//! let (source, step) = (output_key(&Digest::of("source"), 0), output_key(&Digest::of("step"), 0));
//!
//! let mut chains = CacheChains::new();
//! let result = ExportResult { created_at: Timestamp::now(), remote: Remote::from_chain(&chain, &provider) };
//! if let Some(source) = chains.add(source.into(), &[], &[])? {
//!     chains.add(step.into(), &[vec![RecordLink::whole(source)]], &[result])?;
//! }
//! let registry = MemoryRemote::new(Arc::new(ManualClock::default()));
//! let target: Arc<dyn ExportTarget> = Arc::new(registry.clone());
//! let outcome = export_cache(&chains, &target, &ExportOptions::default()).await?;
//! let ExportOutcome::Exported(exported) = outcome else { unreachable!("there is a layer") };
//!
//! let fetcher: Arc<dyn Fetcher> = Arc::new(registry);
//! let cache = import_cache(&fetcher, &exported.descriptor, &ImportOptions::default()).await?;
//! let input = InputKey { source: KeyId::new(source), selector: String::new() };
//! let found = find_records(&cache, &step, &[vec![input]]).await?;
//! assert_eq!(cache.results_of(&found[0])[0].remote.chain(), chain);
//! # Ok::<_, cache_remote::CacheError>(())
//! # }).unwrap();
//! ```
//!
//! Caches inside of images (`type=inline`), in registries, object stores and GitHub Actions are not built yet.

mod chains;
mod combined;
pub mod config;
#[cfg(feature = "conformance")]
pub mod conformance;
mod copy;
mod error;
mod exporter;
mod fault;
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
mod warning;

pub use cache_blobs::remote::{Remote, RemoteLayer};
pub use chains::{CacheChains, ExportResult, RecordId, RecordLink};
pub use combined::CombinedCache;
pub use error::{CacheError, Document};
pub use exporter::{ExportOptions, ExportOutcome, Exported, MissingBlobs, export_cache};
pub use fault::Fault;
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
pub use warning::CacheWarning;

/// The most bytes of config and of manifest that BuildKit reads from a registry or a directory. Larger caches can be
/// exported and imported here; BuildKit sees none then. Mirrors: BuildKit `cache/remotecache/import.go`, `readBlob`.
pub const BUILDKIT_READS_BYTES: u64 = 1024 * 1024;
