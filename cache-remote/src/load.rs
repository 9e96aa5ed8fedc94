//! A result as a ref.

use std::sync::Arc;

use cache_blobs::remote::{Remote, RemoteLayer};
use cache_core::cache::{CacheManager, ImmutableRef, RefOptions};
use cache_core::ports::{Ingester, Lease, Leased, NoProgress, Progress};
use cache_core::{Layer, annotation};

use crate::copy::{PARALLEL_LAYERS, copy_layers};
use crate::error::CacheError;

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

/// Fetches all layers of `remote` into the content store of `manager` and gives the refs that they are, bottom first; the
/// last one is the result. `lease` holds the blobs. A blob that is there is not fetched again.
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
    lease: &Lease,
    options: &LoadOptions,
) -> Result<Vec<ImmutableRef>, CacheError> {
    let content: Arc<dyn Ingester> = Arc::clone(&manager.backends().content) as Arc<dyn Ingester>;
    let target = Leased::new(content, lease.clone());
    copy_layers(remote.layers(), &target, "pulling", PARALLEL_LAYERS, &options.progress).await?;
    let mut refs: Vec<ImmutableRef> = Vec::with_capacity(remote.layers().len());
    for RemoteLayer { layer, .. } in remote.layers() {
        let made = manager.get_by_blob(lease, layer, refs.last(), ref_options(layer)).await?;
        refs.push(made);
    }
    Ok(refs)
}

fn ref_options(layer: &Layer) -> RefOptions {
    let annotations = &layer.descriptor.annotations;
    let description = annotations.get(annotation::DESCRIPTION).cloned();
    let options = RefOptions::default()
        .with_description(description.unwrap_or_else(|| format!("imported {}", layer.descriptor.digest)));
    match annotations.get(annotation::CREATED_AT).and_then(|text| text.parse().ok()) {
        Some(time) => options.with_created_at(time),
        None => options,
    }
}
