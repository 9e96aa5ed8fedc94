//! A result as a ref.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use cache_blobs::remote::{Remote, RemoteLayer};
use cache_core::cache::{CacheManager, ImmutableRef, RefOptions};
use cache_core::ports::{ExportTarget, Ingester, Lease, Leased, NoProgress, Phase, Progress};
use cache_core::{Error, ErrorKind, annotation};
use futures::StreamExt;

use crate::copy::copy_blob;
use crate::error::CacheError;

/// How many layers are fetched at a time.
const PARALLEL_LAYERS: usize = 4;

/// How a result is loaded.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct LoadOptions {
    /// Who is told of layers.
    pub progress: Arc<dyn Progress>,
}

impl Default for LoadOptions {
    fn default() -> Self {
        Self { progress: Arc::new(NoProgress) }
    }
}

impl LoadOptions {
    /// The same with events to `progress`.
    #[must_use]
    pub fn with_progress(mut self, progress: Arc<dyn Progress>) -> Self {
        self.progress = progress;
        self
    }
}

/// Fetches all layers of `remote` into `content`, which must be `manager`'s, and gives the refs that they are, bottom
/// first; the last one is the result. `lease` holds the blobs. A blob that is there is not fetched again.
///
/// Each ref keeps the layer's creation time; its description is the layer's, or `imported` and the digest.
/// Mirrors: BuildKit `worker/base/worker.go`, `FromRemote`, followed by an unlazy of each layer.
///
/// # Errors
/// [`CacheError::MissingBlob`] if a layer is not there; `Corrupt` for one that is not what its descriptor says; what the
/// providers, the content store and the manager give.
///
/// # Cancel safety
/// What a dropped call fetched stays as long as `lease` does.
pub async fn load(
    remote: &Remote,
    manager: &CacheManager,
    content: &Arc<dyn Ingester>,
    lease: &Lease,
    options: &LoadOptions,
) -> Result<Vec<ImmutableRef>, CacheError> {
    let target = Leased::new(Arc::clone(content), lease.clone());
    fetch(remote, &target, options).await?;
    let mut refs: Vec<ImmutableRef> = Vec::with_capacity(remote.layers().len());
    for RemoteLayer { layer, .. } in remote.layers() {
        let made = manager.get_by_blob(lease, layer, refs.last(), ref_options(layer)).await?;
        refs.push(made);
    }
    Ok(refs)
}

fn ref_options(layer: &cache_core::Layer) -> RefOptions {
    let annotations = &layer.descriptor.annotations;
    let description = annotations.get(annotation::DESCRIPTION).cloned();
    let options = RefOptions::default()
        .with_description(description.unwrap_or_else(|| format!("imported {}", layer.descriptor.digest)));
    match annotations.get(annotation::CREATED_AT).and_then(|text| text.parse().ok()) {
        Some(time) => options.with_created_at(time),
        None => options,
    }
}

/// Copies every distinct blob. What has begun ends before a failure is told.
async fn fetch(remote: &Remote, target: &dyn ExportTarget, options: &LoadOptions) -> Result<(), CacheError> {
    let stopped = AtomicBool::new(false);
    let mut seen = std::collections::HashSet::new();
    let layers = remote.layers().iter().filter(|layer| seen.insert(layer.layer.descriptor.digest)).cloned();
    let copies = layers.collect::<Vec<_>>().into_iter().map(|layer| {
        let stopped = &stopped;
        async move {
            if stopped.load(Ordering::Relaxed) {
                return Ok(());
            }
            let phase = Phase::start(&options.progress, format!("pulling {}", layer.layer.descriptor.digest));
            let copied = fetch_layer(&layer, target, &phase, stopped).await;
            stopped.fetch_or(copied.is_err(), Ordering::Relaxed);
            phase.finish(copied.as_ref().err().map(CacheError::kind));
            copied
        }
    });
    let mut copies = futures::stream::iter(copies).buffer_unordered(PARALLEL_LAYERS);
    let mut failure = None;
    while let Some(outcome) = copies.next().await {
        failure = failure.or(outcome.err());
    }
    failure.map_or(Ok(()), Err)
}

async fn fetch_layer(
    layer: &RemoteLayer,
    target: &dyn ExportTarget,
    phase: &Phase,
    stopped: &AtomicBool,
) -> Result<(), CacheError> {
    let descriptor = &layer.layer.descriptor;
    let reader = layer.provider.open(descriptor).await?.ok_or(CacheError::MissingBlob(descriptor.digest))?;
    if reader.size() != descriptor.size {
        return Err(Error::new(ErrorKind::Corrupt, "load blob of another size than", descriptor.digest).into());
    }
    let key = format!("layer-{}", descriptor.digest);
    copy_blob(reader.as_ref(), descriptor, &key, target, phase, stopped).await?;
    Ok(())
}
