//! From a descriptor to an image that can be used.

use std::sync::Arc;

use bytes::Bytes;
use cache_core::ports::Provider;
use cache_core::{Descriptor, Layer, MediaType, Platform};

use super::choose::{by_platform, platforms};
use super::read_document::read_document;
use crate::compose::Document;
use crate::config::ImageConfig;
use crate::error::{DocumentProblem, Error, Result};
use crate::index::Index;
use crate::json::JsonLimits;
use crate::manifest::{DocumentKind, Manifest, document_kind};

/// Indexes that are followed inside of each other: a layout's, BuildKit's, and as many again.
const MAX_NESTING: usize = 4;

/// How an image is read.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct LoadOptions {
    /// The platform that is wanted of an index; `None` for the host's, or the only one there is.
    pub platform: Option<Platform>,
    /// Bounds on manifests and indexes.
    pub manifest_limits: JsonLimits,
    /// Bounds on configs.
    pub config_limits: JsonLimits,
}

impl Default for LoadOptions {
    fn default() -> Self {
        Self { platform: None, manifest_limits: JsonLimits::MANIFEST, config_limits: JsonLimits::CONFIG }
    }
}

impl LoadOptions {
    /// The same for a platform.
    #[must_use]
    pub fn with_platform(mut self, platform: Platform) -> Self {
        self.platform = Some(platform);
        self
    }

    /// The same with other bounds on manifests and indexes.
    #[must_use]
    pub fn with_manifest_limits(mut self, limits: JsonLimits) -> Self {
        self.manifest_limits = limits;
        self
    }

    /// The same with other bounds on configs.
    #[must_use]
    pub fn with_config_limits(mut self, limits: JsonLimits) -> Self {
        self.config_limits = limits;
        self
    }
}

/// An image that was found and checked, its layers not yet read.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SourceImage {
    /// The manifest.
    pub manifest: Document,
    /// The config, as it is spelled.
    pub config: Document,
    /// What the config means.
    pub image_config: ImageConfig,
    /// The layers, bottom first. Nobody has read them: digests, sizes and DiffIDs are what manifest and config promise.
    pub layers: Vec<Layer>,
    /// The platforms among which the image was chosen, or its own.
    pub platforms: Vec<Platform>,
    /// Opens the layers.
    pub provider: Arc<dyn Provider>,
}

/// Reads the image of `root`, which is a manifest or an index.
///
/// # Errors
/// [`Error::Document`]: `Corrupt` if a document is not what it must be, `NotFound` if one is missing, `LimitExceeded` past
/// the options' limits, `Unsupported` for what is no image; [`Error::NoSuchImage`] if an index lacks the platform.
pub async fn load_image(provider: Arc<dyn Provider>, root: &Descriptor, options: &LoadOptions) -> Result<SourceImage> {
    load_one_of(provider, &root.digest.to_string(), &[root], options).await
}

/// Reads the image among `roots`, which are one image for several platforms.
pub(super) async fn load_one_of(
    provider: Arc<dyn Provider>,
    target: &str,
    roots: &[&Descriptor],
    options: &LoadOptions,
) -> Result<SourceImage> {
    let mut known = Vec::new();
    let mut descriptor = match roots {
        // Several names of one image.
        [root, others @ ..] if others.iter().all(|other| other.digest == root.digest) => (*root).clone(),
        roots => {
            known = platforms(roots);
            by_platform(target, roots, options.platform.as_ref())?.clone()
        }
    };
    for _ in 0..=MAX_NESTING {
        let bytes = read_document(provider.as_ref(), &descriptor, options.manifest_limits).await?;
        match parse(&descriptor, &bytes, options).map_err(|problem| invalid(&descriptor, problem))? {
            Parsed::Manifest(manifest) => {
                descriptor.media_type = manifest.media_type.clone();
                let manifest_document = Document { descriptor, bytes };
                return finish(provider, manifest_document, *manifest, known, options).await;
            }
            Parsed::Index(index) => {
                let entries: Vec<_> = index.manifests.iter().collect();
                known = platforms(&entries);
                descriptor = by_platform(&descriptor.digest.to_string(), &entries, options.platform.as_ref())?.clone();
            }
        }
    }
    Err(invalid(&descriptor, DocumentProblem::Nesting { maximum: MAX_NESTING }))
}

fn invalid(descriptor: &Descriptor, problem: DocumentProblem) -> Error {
    Error::Document { document: descriptor.digest.to_string(), problem }
}

enum Parsed {
    Manifest(Box<Manifest>),
    Index(Box<Index>),
}

/// Reads a document by its own keys; every media type that is given must agree with them.
fn parse(descriptor: &Descriptor, bytes: &Bytes, options: &LoadOptions) -> Result<Parsed, DocumentProblem> {
    let limits = options.manifest_limits;
    match document_kind(bytes, limits)? {
        DocumentKind::Manifest => {
            let mut manifest = Manifest::parse(bytes, limits)?;
            let allowed = [MediaType::OCI_MANIFEST, MediaType::DOCKER_MANIFEST];
            let by_config = match manifest.config.media_type == MediaType::DOCKER_CONFIG {
                true => MediaType::DOCKER_MANIFEST,
                false => MediaType::OCI_MANIFEST,
            };
            manifest.media_type = agree([&manifest.media_type, &descriptor.media_type], &allowed, by_config)?;
            Ok(Parsed::Manifest(Box::new(manifest)))
        }
        DocumentKind::Index => {
            let mut index = Index::parse(bytes, limits)?;
            let allowed = [MediaType::OCI_INDEX, MediaType::DOCKER_MANIFEST_LIST];
            index.media_type = agree([&index.media_type, &descriptor.media_type], &allowed, MediaType::OCI_INDEX)?;
            Ok(Parsed::Index(Box::new(index)))
        }
    }
}

/// The one media type that `given` say, if any says one.
fn agree(given: [&MediaType; 2], allowed: &[MediaType], otherwise: MediaType) -> Result<MediaType, DocumentProblem> {
    let mut said = given.into_iter().filter(|media_type| !media_type.is_empty());
    let Some(first) = said.next() else { return Ok(otherwise) };
    match said.find(|other| *other != first).or((!allowed.contains(first)).then_some(first)) {
        Some(wrong) => Err(DocumentProblem::MediaType { found: wrong.to_string() }),
        None => Ok(first.clone()),
    }
}

async fn finish(
    provider: Arc<dyn Provider>,
    manifest: Document,
    parsed: Manifest,
    known: Vec<Platform>,
    options: &LoadOptions,
) -> Result<SourceImage> {
    let config = parsed.config;
    if ![MediaType::OCI_CONFIG, MediaType::DOCKER_CONFIG].contains(&config.media_type) {
        let found = config.media_type.to_string();
        return Err(invalid(&manifest.descriptor, DocumentProblem::NotAnImage { found }));
    }
    let bytes = read_document(provider.as_ref(), &config, options.config_limits).await?;
    let image_config = ImageConfig::parse(&bytes, options.config_limits)
        .map_err(|problem| invalid(&config, DocumentProblem::Json(problem)))?;
    let diff_ids = &image_config.rootfs.diff_ids;
    if diff_ids.len() != parsed.layers.len() {
        let problem = DocumentProblem::LayerCount { layers: parsed.layers.len(), diff_ids: diff_ids.len() };
        return Err(invalid(&manifest.descriptor, problem));
    }
    let layers = parsed.layers.into_iter().zip(diff_ids).map(|(layer, diff_id)| Layer::new(layer, *diff_id)).collect();
    let platforms = if known.is_empty() { vec![image_config.platform()] } else { known };
    let config = Document { descriptor: config, bytes };
    Ok(SourceImage { manifest, config, image_config, layers, platforms, provider })
}
