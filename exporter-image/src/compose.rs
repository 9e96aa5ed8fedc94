//! From layers and a config to the documents of an image.

use bytes::Bytes;
use cache_core::{Annotations, Descriptor, Digest, Layer, MediaType, MediaTypeFamily, Platform, Timestamp};

use crate::config::{ConfigPatch, EmptyLists, ImageConfig, default_config, patch_config, read_config};
use crate::error::{Error, Result};
use crate::history::{LayerMeta, normalize_history};
use crate::json::JsonLimits;
use crate::manifest::{Manifest, config_type, layer_descriptor, manifest_type};

/// A layer of an image that is to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageLayer {
    /// The blob and its DiffID.
    pub layer: Layer,
    /// What the cache knows of it.
    pub meta: LayerMeta,
}

impl ImageLayer {
    /// A layer with what the cache knows of it.
    pub fn new(layer: Layer, meta: LayerMeta) -> Self {
        Self { layer, meta }
    }
}

impl From<Layer> for ImageLayer {
    /// A layer of which nothing more is known.
    fn from(layer: Layer) -> Self {
        Self { layer, meta: LayerMeta::default() }
    }
}

/// How an image is made.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct ComposeOptions {
    /// The config to patch; `None` for [`default_config`] of [`platform`](Self::platform).
    pub config: Option<Bytes>,
    /// The config of the base image, whose history the epoch spares.
    pub base_config: Option<Bytes>,
    /// The platform of a default config; `None` for the host's.
    pub platform: Option<Platform>,
    /// Which media types are written.
    pub family: MediaTypeFamily,
    /// Later times become this one.
    pub epoch: Option<Timestamp>,
    /// An inline cache, opaque to this crate.
    pub inline_cache: Option<Bytes>,
    /// Annotations of the manifest.
    pub annotations: Annotations,
    /// Annotations of the descriptor that points to the manifest.
    pub descriptor_annotations: Annotations,
    /// How empty lists are written.
    pub empty_lists: EmptyLists,
    /// Bounds on the configs that are given; `None` for [`JsonLimits::CONFIG`].
    pub limits: Option<JsonLimits>,
}

impl ComposeOptions {
    /// The same with a config to patch.
    #[must_use]
    pub fn with_config(mut self, config: impl Into<Bytes>) -> Self {
        self.config = Some(config.into());
        self
    }

    /// The same over a base image.
    #[must_use]
    pub fn with_base_config(mut self, config: impl Into<Bytes>) -> Self {
        self.base_config = Some(config.into());
        self
    }

    /// The same with another platform of the default config.
    #[must_use]
    pub fn with_platform(mut self, platform: Platform) -> Self {
        self.platform = Some(platform);
        self
    }

    /// The same in another family of media types.
    #[must_use]
    pub fn with_family(mut self, family: MediaTypeFamily) -> Self {
        self.family = family;
        self
    }

    /// The same with later times set to `epoch`.
    #[must_use]
    pub fn with_epoch(mut self, epoch: Timestamp) -> Self {
        self.epoch = Some(epoch);
        self
    }

    /// The same with an inline cache.
    #[must_use]
    pub fn with_inline_cache(mut self, inline_cache: impl Into<Bytes>) -> Self {
        self.inline_cache = Some(inline_cache.into());
        self
    }

    /// The same with annotations of the manifest.
    #[must_use]
    pub fn with_annotations(mut self, annotations: Annotations) -> Self {
        self.annotations = annotations;
        self
    }

    /// The same with annotations of the descriptor that points to the manifest.
    #[must_use]
    pub fn with_descriptor_annotations(mut self, annotations: Annotations) -> Self {
        self.descriptor_annotations = annotations;
        self
    }

    /// The same with empty lists written another way.
    #[must_use]
    pub fn with_empty_lists(mut self, empty_lists: EmptyLists) -> Self {
        self.empty_lists = empty_lists;
        self
    }

    /// The same with other bounds on the configs.
    #[must_use]
    pub fn with_limits(mut self, limits: JsonLimits) -> Self {
        self.limits = Some(limits);
        self
    }
}

/// A small blob that is held in memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    /// Its descriptor.
    pub descriptor: Descriptor,
    /// Its bytes.
    pub bytes: Bytes,
}

impl Document {
    /// The document of `bytes`.
    pub fn new(media_type: MediaType, bytes: impl Into<Bytes>) -> Self {
        let bytes = bytes.into();
        Self { descriptor: Descriptor::of(media_type, &bytes), bytes }
    }
}

/// An image that is complete but for the bytes of its layers.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ComposedImage {
    /// The manifest. Its descriptor carries the platform and the annotations for it.
    pub manifest: Document,
    /// The config.
    pub config: Document,
    /// The layers as the manifest lists them, bottom first.
    pub layers: Vec<Layer>,
}

impl ComposedImage {
    /// The digest of the manifest.
    pub fn digest(&self) -> Digest {
        self.manifest.descriptor.digest
    }
}

/// Makes the config and the manifest of an image of `layers`, bottom first. It reads and writes nothing.
/// Mirrors: BuildKit `exporter/containerimage/writer.go`, `commitDistributionManifest`.
///
/// # Errors
/// [`Error::Config`] and [`Error::BaseConfig`] for configs that cannot be exported.
pub fn compose_image(layers: &[ImageLayer], options: &ComposeOptions) -> Result<ComposedImage> {
    let limits = options.limits.unwrap_or(JsonLimits::CONFIG);
    let given = match &options.config {
        Some(config) => config.clone(),
        None => default_config(&options.platform.clone().unwrap_or_else(Platform::host))?.into(),
    };
    let (_, parsed) = read_config(&given, limits).map_err(Error::Config)?;
    let platform = parsed.platform();
    let metas: Vec<_> = layers.iter().map(|layer| layer.meta.clone()).collect();
    let history = normalize_history(parsed.history, layers.len(), &metas);

    let mut patch = ConfigPatch::new(layers.iter().map(|layer| layer.layer.diff_id).collect(), history)
        .with_empty_lists(options.empty_lists);
    patch.epoch = options.epoch;
    patch.inline_cache = options.inline_cache.clone();
    if let Some(base) = &options.base_config {
        let base = ImageConfig::parse(base, limits).map_err(|problem| Error::BaseConfig(problem.into()))?;
        patch.base_history = base.history.unwrap_or_default();
    }
    let config = patch_config(&given, &patch, limits)?;
    let config = Document::new(config_type(options.family), config);

    let descriptors: Vec<_> = layers.iter().map(|layer| layer_descriptor(&layer.layer, options.family)).collect();
    let mut manifest = Manifest::new(options.family, config.descriptor.clone(), descriptors.clone());
    manifest.annotations = options.annotations.clone();
    let mut manifest = Document::new(manifest_type(options.family), manifest.to_bytes(options.empty_lists)?);
    manifest.descriptor.platform = Some(platform);
    manifest.descriptor.annotations = options.descriptor_annotations.clone();

    let diff_ids = layers.iter().map(|layer| layer.layer.diff_id);
    let layers = descriptors.into_iter().zip(diff_ids).map(|(descriptor, id)| Layer::new(descriptor, id)).collect();
    Ok(ComposedImage { manifest, config, layers })
}
