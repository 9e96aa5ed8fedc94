//! Reading a cache from any remote.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use cache_core::ports::{BlobReader, Fetcher, NoProgress, Phase, Progress, Provider};
use cache_core::{Descriptor, Digest, annotation};

use crate::config::{CacheConfig, ConfigDocument, ConfigLimits};
use crate::error::CacheError;
use crate::imported::ImportedCache;
use crate::manifest::CacheManifest;
use crate::parse::{ParseMode, layer_table, parse};
use crate::read_blob::read_blob;

/// The most bytes of a manifest by default: some thirty thousand layers. BuildKit reads 1 MiB.
const MAX_MANIFEST_BYTES: u64 = 16 * 1024 * 1024;

/// How a cache is imported.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ImportOptions {
    /// The most bytes of the manifest or index; 16 MiB by default.
    pub max_manifest_bytes: u64,
    /// Limits on the config.
    pub limits: ConfigLimits,
    /// What happens when part of the config is unsound.
    pub mode: ParseMode,
    /// What the cache is called in progress lines.
    pub name: Option<String>,
    /// Who is told.
    pub progress: Arc<dyn Progress>,
}

impl Default for ImportOptions {
    fn default() -> Self {
        Self {
            max_manifest_bytes: MAX_MANIFEST_BYTES,
            limits: ConfigLimits::default(),
            mode: ParseMode::default(),
            name: None,
            progress: Arc::new(NoProgress),
        }
    }
}

impl ImportOptions {
    /// The same with at most `bytes` of manifest.
    #[must_use]
    pub fn with_max_manifest_bytes(mut self, bytes: u64) -> Self {
        self.max_manifest_bytes = bytes;
        self
    }

    /// The same with `limits` on the config.
    #[must_use]
    pub fn with_limits(mut self, limits: ConfigLimits) -> Self {
        self.limits = limits;
        self
    }

    /// The same in `mode`.
    #[must_use]
    pub fn with_mode(mut self, mode: ParseMode) -> Self {
        self.mode = mode;
        self
    }

    /// The same, called `name` in progress lines.
    #[must_use]
    pub fn with_name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// The same with events to `progress`.
    #[must_use]
    pub fn with_progress(mut self, progress: Arc<dyn Progress>) -> Self {
        self.progress = progress;
        self
    }
}

/// Which schema a config was written in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConfigSchema {
    /// Today's.
    Current,
    /// That of October 2017 to April 2018: keys of whole inputs, without links. BuildKit sees an empty cache there.
    Legacy {
        /// For each content key the keys that it stands for.
        content_keys: BTreeMap<Digest, Vec<Digest>>,
    },
}

/// Reads the cache behind `root`, in any of its three layouts: manifest and config now, layers when they are used.
/// Mirrors: BuildKit `cache/remotecache/import.go`, `contentCacheImporter.Resolve`.
///
/// # Errors
/// [`CacheError::MissingBlob`] if manifest or config are not there, [`CacheError::NoCacheConfig`] for something else than
/// a cache; `Corrupt` for bytes that are not what their digest, size or media type say; [`CacheError::Limit`];
/// [`CacheError::Unsound`] in strict mode; what the fetcher gives.
pub async fn import_cache(
    fetcher: &Arc<dyn Fetcher>,
    root: &Descriptor,
    options: &ImportOptions,
) -> Result<ImportedCache, CacheError> {
    let name = options.name.clone().unwrap_or_else(|| root.digest.to_string());
    let phase = Phase::start(&options.progress, format!("importing cache manifest from {name}"));
    let imported = read(fetcher, root, options).await;
    for warning in imported.iter().flat_map(ImportedCache::warnings) {
        phase.warn(warning.to_string());
    }
    phase.finish(imported.as_ref().err().map(CacheError::kind));
    imported
}

async fn read(
    fetcher: &Arc<dyn Fetcher>,
    root: &Descriptor,
    options: &ImportOptions,
) -> Result<ImportedCache, CacheError> {
    let bytes = fetch(fetcher, root, "max_manifest_bytes", options.max_manifest_bytes).await?;
    let manifest = CacheManifest::from_json(&bytes, root)?;
    let bytes = fetch(fetcher, &manifest.config, "max_bytes", options.limits.max_bytes).await?;
    let (config, layers, schema) = match ConfigDocument::from_json(&bytes, &options.limits)? {
        ConfigDocument::Current(config) => (config, manifest.layers.clone(), ConfigSchema::Current),
        ConfigDocument::Legacy(legacy) => {
            let diff_ids = legacy.diff_ids();
            let annotate = |layer: &Descriptor| match diff_ids.get(&layer.digest) {
                Some(diff_id) => layer.clone().with_annotation(annotation::UNCOMPRESSED, diff_id.to_string()),
                None => layer.clone(),
            };
            let layers = manifest.layers.iter().map(annotate).collect();
            (legacy.to_current(), layers, ConfigSchema::Legacy { content_keys: legacy.content_keys() })
        }
    };
    imported(fetcher, root, manifest, config, &layers, schema, options)
}

fn imported(
    fetcher: &Arc<dyn Fetcher>,
    root: &Descriptor,
    manifest: CacheManifest,
    config: CacheConfig,
    layers: &[Descriptor],
    schema: ConfigSchema,
    options: &ImportOptions,
) -> Result<ImportedCache, CacheError> {
    let provider: Arc<dyn Provider> = Arc::new(Remotely { fetcher: Arc::clone(fetcher) });
    let (table, mut warnings) = layer_table(layers, &provider);
    let mut parsed = parse(&config, &table, options.mode, &options.limits)?;
    warnings.append(&mut parsed.warnings);
    parsed.warnings = warnings;
    Ok(ImportedCache::new(root.clone(), manifest, config, schema, parsed))
}

async fn fetch(
    fetcher: &Arc<dyn Fetcher>,
    descriptor: &Descriptor,
    limit: &'static str,
    most: u64,
) -> Result<Vec<u8>, CacheError> {
    if descriptor.size <= most
        && let Some(data) = descriptor.verified_data()
    {
        return Ok(data.to_vec());
    }
    if descriptor.size > most {
        return Err(CacheError::Limit { limit, most });
    }
    let reader = fetcher.fetch(descriptor).await?.ok_or(CacheError::MissingBlob(descriptor.digest))?;
    read_blob(reader.as_ref(), descriptor, limit, most).await
}

/// A remote's blobs, fetched when they are opened.
#[derive(Debug)]
struct Remotely {
    fetcher: Arc<dyn Fetcher>,
}

#[async_trait]
impl Provider for Remotely {
    async fn open(&self, descriptor: &Descriptor) -> cache_core::Result<Option<Box<dyn BlobReader>>> {
        self.fetcher.fetch(descriptor).await
    }
}
