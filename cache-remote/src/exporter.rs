//! Writing a cache into any target: layers first, then the config, the manifest last.

use std::collections::BTreeSet;
use std::num::NonZeroUsize;
use std::sync::Arc;

use cache_blobs::remote::RemoteLayer;
use cache_blobs::{BlobSource, BusyKey, CopyError, CopyOptions, copy_blob};
use cache_core::ports::{ExportTarget, NoProgress, Phase, Progress};
use cache_core::{Descriptor, Digest, Error, ErrorKind, MediaType};
use futures::StreamExt;

use crate::BUILDKIT_READS_BYTES;
use crate::chains::CacheChains;
use crate::copy::{PARALLEL_LAYERS, copy_layers, distinct};
use crate::error::{CacheError, Document};
use crate::manifest::{CacheLayout, CacheManifest};
use crate::marshal::{DescriptorPlace, Marshalled};
use crate::warning::CacheWarning;

/// What happens when a provider does not have a blob that a result needs. Either way it is found out before
/// anything is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum MissingBlobs {
    /// The export fails.
    #[default]
    Fail,
    /// The record's next best result is exported, or the record without result, as BuildKit does. For caches that were
    /// imported from a place where blobs expire.
    LeaveOut,
}

/// How a cache is exported.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ExportOptions {
    /// The form of the manifest.
    pub layout: CacheLayout,
    /// What happens when a blob is missing.
    pub missing_blobs: MissingBlobs,
    /// How many layers are written at a time; 4 by default.
    pub parallel_layers: NonZeroUsize,
    /// Who is told of layers and documents, in BuildKit's words.
    pub progress: Arc<dyn Progress>,
}

impl Default for ExportOptions {
    fn default() -> Self {
        Self {
            layout: CacheLayout::default(),
            missing_blobs: MissingBlobs::default(),
            parallel_layers: PARALLEL_LAYERS,
            progress: Arc::new(NoProgress),
        }
    }
}

impl ExportOptions {
    /// The same in `layout`.
    #[must_use]
    pub fn with_layout(mut self, layout: CacheLayout) -> Self {
        self.layout = layout;
        self
    }

    /// The same with `missing_blobs`.
    #[must_use]
    pub fn with_missing_blobs(mut self, missing_blobs: MissingBlobs) -> Self {
        self.missing_blobs = missing_blobs;
        self
    }

    /// The same with at most `layers` at a time.
    #[must_use]
    pub fn with_parallel_layers(mut self, layers: NonZeroUsize) -> Self {
        self.parallel_layers = layers;
        self
    }

    /// The same with events to `progress`.
    #[must_use]
    pub fn with_progress(mut self, progress: Arc<dyn Progress>) -> Self {
        self.progress = progress;
        self
    }
}

/// How an export ended.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub enum ExportOutcome {
    /// No record has a layer. Nothing was written.
    Empty,
    /// The cache was written.
    Exported(Box<Exported>),
}

/// A cache that was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exported {
    /// The descriptor of the manifest or index, by which the cache is found. BuildKit's metadata `cache.manifest`.
    pub descriptor: Descriptor,
    /// The manifest or index.
    pub manifest: CacheManifest,
    /// What is worth knowing.
    pub warnings: Vec<CacheWarning>,
}

/// Writes `chains` into `target`. Each distinct blob is written once; the manifest lists it as often as it has
/// different parents. Mirrors: BuildKit `cache/remotecache/export.go`, `Finalize`.
///
/// # Errors
/// [`CacheError::MissingBlob`], before anything is written; `Corrupt` for a blob that is not what its descriptor says;
/// what the providers and the target give. Layers that were written stay, without a manifest that names them.
///
/// # Cancel safety
/// A dropped call leaves layers at most.
pub async fn export_cache(
    chains: &CacheChains,
    target: &Arc<dyn ExportTarget>,
    options: &ExportOptions,
) -> Result<ExportOutcome, CacheError> {
    let marshalled = present_only(chains, options).await?;
    let mut warnings: Vec<_> =
        marshalled.missing.iter().map(|blob| CacheWarning::ResultWithoutBlob { blob: *blob }).collect();
    if marshalled.layers.is_empty() {
        Phase::start(&options.progress, "skipping cache export for empty result").finish(None);
        return Ok(ExportOutcome::Empty);
    }
    let config = marshalled.config.to_json()?;
    let config_descriptor = Descriptor::of(MediaType::BUILDKIT_CACHE_CONFIG, &config);
    let layers = marshalled.layers.iter().map(|layer| layer.layer.to_annotated()).collect();
    let (manifest, kept) = CacheManifest::new(options.layout, config_descriptor.clone(), layers);
    warnings.extend(kept);
    let document = manifest.to_json()?;
    let descriptor = Descriptor::of(options.layout.media_type(), &document);
    for (document, bytes) in [(Document::Config, config.len()), (Document::Manifest, document.len())] {
        let bytes = bytes as u64;
        if bytes > BUILDKIT_READS_BYTES {
            warnings.push(CacheWarning::TooLargeForBuildKit { document, bytes });
        }
    }

    let (layers, parallel) = (&marshalled.layers, options.parallel_layers);
    copy_layers(layers, target.as_ref(), "writing layer", parallel, &options.progress).await?;
    let name = format!("writing config {}", config_descriptor.digest);
    write_document(target.as_ref(), &options.progress, name, &config_descriptor, config).await?;
    let name = match options.layout {
        CacheLayout::ImageManifest => format!("writing cache image manifest {}", descriptor.digest),
        CacheLayout::Index | CacheLayout::DockerList => format!("writing cache manifest {}", descriptor.digest),
    };
    write_document(target.as_ref(), &options.progress, name, &descriptor, document).await?;
    for warning in &warnings {
        tracing::warn!(%warning, "exported a cache");
    }
    Ok(ExportOutcome::Exported(Box::new(Exported { descriptor, manifest, warnings })))
}

/// The config of what is there. Only blobs of results that go in are looked for: an older result's when the newer one
/// turned out to lack a blob.
async fn present_only(chains: &CacheChains, options: &ExportOptions) -> Result<Marshalled, CacheError> {
    let mut found: BTreeSet<Digest> = BTreeSet::new();
    let mut missing: BTreeSet<Digest> = BTreeSet::new();
    loop {
        let marshalled =
            chains.marshal(DescriptorPlace::Manifest, |layer| !missing.contains(&layer.layer.descriptor.digest));
        let unknown = distinct(&marshalled.layers).into_iter().filter(|(digest, _)| !found.contains(digest));
        let unknown: Vec<_> = unknown.map(|(_, layer)| layer).collect();
        if unknown.is_empty() {
            return Ok(marshalled);
        }
        let looked = unknown.into_iter().map(|layer| async move {
            let is_there = is_there(&layer).await?;
            Ok::<_, Error>((layer.layer.descriptor.digest, is_there))
        });
        let mut looked = futures::stream::iter(looked).buffer_unordered(options.parallel_layers.get());
        while let Some(outcome) = looked.next().await {
            match (outcome?, options.missing_blobs) {
                ((digest, true), _) => found.insert(digest),
                ((digest, false), MissingBlobs::Fail) => return Err(CacheError::MissingBlob(digest)),
                ((digest, false), MissingBlobs::LeaveOut) => missing.insert(digest),
            };
        }
    }
}

async fn is_there(layer: &RemoteLayer) -> Result<bool, Error> {
    let descriptor = &layer.layer.descriptor;
    match layer.provider.open(descriptor).await? {
        Some(reader) if reader.size() != descriptor.size => {
            Err(Error::new(ErrorKind::Corrupt, "export blob of another size than", descriptor.digest))
        }
        reader => Ok(reader.is_some()),
    }
}

async fn write_document(
    target: &dyn ExportTarget,
    progress: &Arc<dyn Progress>,
    name: String,
    descriptor: &Descriptor,
    bytes: Vec<u8>,
) -> Result<(), CacheError> {
    let phase = Phase::start(progress, name);
    let (bytes, key) = (bytes.into(), descriptor.digest.to_string());
    let options = CopyOptions::default().with_busy_key(BusyKey::UseAnother).with_phase(&phase);
    let written = copy_blob(BlobSource::Bytes(&bytes), target, descriptor, &key, &options).await;
    phase.finish(written.as_ref().err().map(CopyError::kind));
    written?;
    Ok(())
}
