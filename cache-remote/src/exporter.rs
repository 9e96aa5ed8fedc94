//! Writing a cache into any target: layers first, then the config, the manifest last.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use cache_blobs::remote::RemoteLayer;
use cache_core::ports::{BlobReader, ExportTarget, NoProgress, Phase, Progress};
use cache_core::{Descriptor, Digest, Error, ErrorKind, MediaType};
use futures::StreamExt;

use crate::BUILDKIT_READS_BYTES;
use crate::chains::CacheChains;
use crate::copy::{InMemory, copy_blob};
use crate::error::{CacheError, CacheWarning, Document};
use crate::manifest::{CacheLayout, CacheManifest};
use crate::marshal::{DescriptorPlace, Marshalled};

/// How many layers are written at a time by default, as BuildKit allows for each registry.
const PARALLEL_LAYERS: NonZeroUsize = NonZeroUsize::new(4).expect("four is not zero");

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
    Exported(Exported),
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

    write_layers(&marshalled, target, options).await?;
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
    Ok(ExportOutcome::Exported(Exported { descriptor, manifest, warnings }))
}

/// The config of what is there. Only blobs of results that go in are looked for: an older result's when the newer one
/// turned out to lack a blob.
async fn present_only(chains: &CacheChains, options: &ExportOptions) -> Result<Marshalled, CacheError> {
    let mut found: BTreeSet<Digest> = BTreeSet::new();
    let mut missing: BTreeSet<Digest> = BTreeSet::new();
    loop {
        let marshalled =
            chains.marshal(DescriptorPlace::Manifest, |layer| !missing.contains(&layer.layer.descriptor.digest));
        let unknown = distinct(&marshalled).filter(|(digest, _)| !found.contains(digest));
        let unknown: Vec<_> = unknown.map(|(_, layer)| layer.clone()).collect();
        if unknown.is_empty() {
            return Ok(marshalled);
        }
        let looked = unknown.into_iter().map(|layer| async move {
            let descriptor = &layer.layer.descriptor;
            open(&layer).await.map(|reader| (descriptor.digest, reader.is_some()))
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

fn distinct(marshalled: &Marshalled) -> impl Iterator<Item = (Digest, &RemoteLayer)> {
    let blobs: BTreeMap<_, _> = marshalled.layers.iter().map(|layer| (layer.layer.descriptor.digest, layer)).collect();
    blobs.into_iter()
}

async fn open(layer: &RemoteLayer) -> Result<Option<Box<dyn BlobReader>>, Error> {
    let descriptor = &layer.layer.descriptor;
    let Some(reader) = layer.provider.open(descriptor).await? else { return Ok(None) };
    if reader.size() != descriptor.size {
        return Err(Error::new(ErrorKind::Corrupt, "export blob of another size than", descriptor.digest));
    }
    Ok(Some(reader))
}

/// Writes every distinct blob. After a failure nothing new is begun, and what has begun ends before the failure is told.
async fn write_layers(
    marshalled: &Marshalled,
    target: &Arc<dyn ExportTarget>,
    options: &ExportOptions,
) -> Result<(), CacheError> {
    let stopped = AtomicBool::new(false);
    let layers: Vec<_> = distinct(marshalled).map(|(_, layer)| layer.clone()).collect();
    let writes = layers.into_iter().map(|layer| {
        let stopped = &stopped;
        async move {
            if stopped.load(Ordering::Relaxed) {
                return Ok(());
            }
            let name = format!("writing layer {}", layer.layer.descriptor.digest);
            let phase = Phase::start(&options.progress, name);
            let written = write_layer(&layer, target.as_ref(), &phase, stopped).await;
            stopped.fetch_or(written.is_err(), Ordering::Relaxed);
            phase.finish(written.as_ref().err().map(CacheError::kind));
            written
        }
    });
    let mut writes = futures::stream::iter(writes).buffer_unordered(options.parallel_layers.get());
    let mut failure = None;
    while let Some(outcome) = writes.next().await {
        // The first one is the reason of the others.
        failure = failure.or(outcome.err());
    }
    failure.map_or(Ok(()), Err)
}

async fn write_layer(
    layer: &RemoteLayer,
    target: &dyn ExportTarget,
    phase: &Phase,
    stopped: &AtomicBool,
) -> Result<(), CacheError> {
    let descriptor = &layer.layer.descriptor;
    let reader = open(layer).await?.ok_or(CacheError::MissingBlob(descriptor.digest))?;
    let key = format!("layer-{}", descriptor.digest);
    copy_blob(reader.as_ref(), descriptor, &key, target, phase, stopped).await?;
    Ok(())
}

async fn write_document(
    target: &dyn ExportTarget,
    progress: &Arc<dyn Progress>,
    name: String,
    descriptor: &Descriptor,
    bytes: Vec<u8>,
) -> Result<(), CacheError> {
    let phase = Phase::start(progress, name);
    let (reader, key, running) = (InMemory(bytes.into()), descriptor.digest.to_string(), AtomicBool::new(false));
    let written = copy_blob(&reader, descriptor, &key, target, &phase, &running).await;
    phase.finish(written.as_ref().err().map(Error::kind));
    written?;
    Ok(())
}
