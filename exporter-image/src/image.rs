//! The export of an image into an injected target.

use std::collections::BTreeSet;
use std::future::Future;
use std::sync::Arc;

use cache_blobs::{BlobSource, BusyKey, CopyOptions, copy_blob};
use cache_core::ports::{
    ContentStore, ExportTarget, ImageStore, Ingester, Lease, Leased, Manager, NoProgress, Phase, Progress, Provider,
};
use cache_core::{Descriptor, Digest, Labels, annotation};
use futures::{StreamExt, TryStreamExt};

use crate::compose::{ComposedImage, Document};
use crate::docker_zstd::warn_of_docker_zstd;
use crate::error::{Error, Result};
use crate::naming::name_image;

/// Layers that are copied at a time. Mirrors: BuildKit's default of four requests for each registry.
const PARALLEL_COPIES: usize = 4;

/// Writes images into a target: the layers first, then the config, the manifest last. Whoever sees the manifest sees the
/// whole image.
#[derive(Clone, Debug)]
pub struct ImageExporter {
    target: Arc<dyn ExportTarget>,
    manager: Option<Arc<dyn Manager>>,
    images: Option<Arc<dyn ImageStore>>,
    progress: Arc<dyn Progress>,
}

/// What an export gave.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ExportedImage {
    /// The descriptor of the manifest, with its platform and annotations.
    pub descriptor: Descriptor,
    /// The digest of the config.
    pub config_digest: Digest,
    /// The names that stand for the image now.
    pub names: Vec<String>,
}

impl ExportedImage {
    /// The digest of the manifest.
    pub fn digest(&self) -> Digest {
        self.descriptor.digest
    }
}

impl ImageExporter {
    /// An exporter into a target that nobody collects, like a layout or a registry.
    pub fn new(target: Arc<dyn ExportTarget>) -> Self {
        Self { target, manager: None, images: None, progress: Arc::new(NoProgress) }
    }

    /// An exporter into a content store. `lease` holds what is written; the manifest gets labels by which it holds its
    /// config and layers once the lease is gone.
    pub fn into_store(content: Arc<dyn ContentStore>, lease: Lease) -> Self {
        let ingester: Arc<dyn Ingester> = Arc::clone(&content) as _;
        let manager: Arc<dyn Manager> = content;
        Self { manager: Some(manager), ..Self::new(Arc::new(Leased::new(ingester, lease))) }
    }

    /// The same, naming the images in `images`.
    #[must_use]
    pub fn with_image_store(mut self, images: Arc<dyn ImageStore>) -> Self {
        self.images = Some(images);
        self
    }

    /// The same, telling `progress` of each phase.
    #[must_use]
    pub fn with_progress(mut self, progress: Arc<dyn Progress>) -> Self {
        self.progress = progress;
        self
    }

    /// Writes `image`, whose layers `provider` has, and lets `names` stand for it. Without an image store names are
    /// ignored. Mirrors: BuildKit `exporter/containerimage/export.go`, `Export`.
    ///
    /// # Errors
    /// `NotFound` if the provider lacks a layer; `Corrupt` if a layer's bytes are not those of its digest; what target and
    /// image store give. No manifest is visible then, unless only naming failed.
    ///
    /// # Cancel safety
    /// A dropped call leaves blobs that nothing names, and no manifest before all that it needs is there.
    pub async fn export(
        &self,
        image: &ComposedImage,
        provider: &dyn Provider,
        names: &[String],
    ) -> Result<ExportedImage> {
        self.phase("exporting layers", |phase| self.copy_layers(image, provider, phase)).await?;

        let config = &image.config;
        let put = |phase| self.put(config, Labels::new(), phase);
        self.phase(format!("exporting config {}", config.descriptor.digest), put).await?;

        let manifest = &image.manifest;
        let put = |phase| self.put(manifest, reference_labels(image), phase);
        self.phase(format!("exporting manifest {}", manifest.descriptor.digest), put).await?;

        let mut named = Vec::new();
        if let Some(images) = &self.images {
            for name in names {
                let labels = Labels::new();
                let naming = name_image(images.as_ref(), name, &manifest.descriptor, &labels);
                self.phase(format!("naming to {name}"), |_| naming).await?;
                named.push(name.clone());
            }
        }
        let descriptor = manifest.descriptor.clone();
        Ok(ExportedImage { descriptor, config_digest: config.descriptor.digest, names: named })
    }

    /// Runs `work` as a phase that ends as it does.
    async fn phase<'p, T, F>(&'p self, id: impl Into<String>, work: impl FnOnce(Arc<Phase>) -> F) -> Result<T>
    where
        F: Future<Output = cache_core::Result<T>> + 'p,
    {
        let phase = Arc::new(Phase::start(&self.progress, id));
        let outcome = work(Arc::clone(&phase)).await;
        if let Some(phase) = Arc::into_inner(phase) {
            phase.finish(outcome.as_ref().err().map(cache_core::Error::kind));
        }
        outcome.map_err(Error::Port)
    }

    /// Copies each layer once, some at a time.
    async fn copy_layers(
        &self,
        image: &ComposedImage,
        provider: &dyn Provider,
        phase: Arc<Phase>,
    ) -> cache_core::Result<()> {
        warn_of_docker_zstd(image.layers.iter().map(|layer| &layer.descriptor), &phase);
        let mut seen = BTreeSet::new();
        let layers = image.layers.iter().filter(|layer| seen.insert(layer.descriptor.digest));
        let phase = &phase;
        let copies = layers.map(|layer| async move {
            let labels = Labels::from([(annotation::UNCOMPRESSED.to_owned(), layer.diff_id.to_string())]);
            self.copy(BlobSource::Provider(provider), &layer.descriptor, labels, phase).await
        });
        futures::stream::iter(copies).buffer_unordered(PARALLEL_COPIES).try_collect::<()>().await
    }

    /// Writes a document.
    async fn put(&self, document: &Document, labels: Labels, phase: Arc<Phase>) -> cache_core::Result<()> {
        self.copy(BlobSource::Bytes(&document.bytes), &document.descriptor, labels, &phase).await
    }

    /// Brings one blob to the target, where it has `labels` then. Mirrors: BuildKit, whose ingests of an image are named by the
    /// digest.
    async fn copy(
        &self,
        source: BlobSource<'_>,
        descriptor: &Descriptor,
        labels: Labels,
        phase: &Phase,
    ) -> cache_core::Result<()> {
        let mut options =
            CopyOptions::default().with_labels(labels).with_phase(phase).with_busy_key(BusyKey::UseAnother);
        if let Some(manager) = self.manager.as_deref() {
            options = options.with_manager(manager);
        }
        copy_blob(source, self.target.as_ref(), descriptor, &descriptor.digest.to_string(), &options).await?;
        Ok(())
    }
}

/// The labels by which a manifest keeps what it needs from being collected. Mirrors: BuildKit
/// `exporter/containerimage/writer.go`, where 0 is the config and the layers count from 1.
fn reference_labels(image: &ComposedImage) -> Labels {
    let layers = image.layers.iter().map(|layer| layer.descriptor.digest);
    std::iter::once(image.config.descriptor.digest)
        .chain(layers)
        .enumerate()
        .map(|(index, digest)| (format!("{}.{index}", annotation::GC_REF_CONTENT), digest.to_string()))
        .collect()
}
