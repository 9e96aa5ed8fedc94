//! The manifest or index that lists a cache's layers and its config.

use std::collections::BTreeMap;
use std::sync::Arc;

use cache_core::{Annotations, Descriptor, Error, MediaType, MediaTypeFamily, json, null_as_empty};
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};

use crate::error::{CacheError, Document};
use crate::warning::CacheWarning;

/// The form in which a cache lists its layers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum CacheLayout {
    /// An OCI image manifest whose config is the cache config. What registries take best.
    #[default]
    ImageManifest,
    /// An OCI index, the config last.
    Index,
    /// A Docker manifest list, the config last, with Docker's media types.
    DockerList,
}

/// Whether the user asked for an image manifest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ManifestForm {
    /// `image-manifest=true`.
    ImageManifest,
    /// `image-manifest=false`.
    List,
}

impl CacheLayout {
    /// The layout for BuildKit's options `oci-mediatypes` and `image-manifest`, where `None` is "not given". Docker's
    /// types go with a list unless something else is asked for.
    ///
    /// # Errors
    /// [`CacheError::Contradiction`] for an image manifest with Docker's types. BuildKit finds out only after it has
    /// written all layers.
    pub fn choose(family: MediaTypeFamily, form: Option<ManifestForm>) -> Result<Self, CacheError> {
        match (family, form) {
            (MediaTypeFamily::Oci, None | Some(ManifestForm::ImageManifest)) => Ok(Self::ImageManifest),
            (MediaTypeFamily::Oci, Some(ManifestForm::List)) => Ok(Self::Index),
            (MediaTypeFamily::Docker, None | Some(ManifestForm::List)) => Ok(Self::DockerList),
            (MediaTypeFamily::Docker, Some(ManifestForm::ImageManifest)) => Err(CacheError::Contradiction(
                "a cache in an image manifest (image-manifest=true) needs OCI media types (oci-mediatypes=true)",
            )),
        }
    }

    /// The name in reports: `image-manifest`, `index`, `docker-list`.
    pub fn name(self) -> &'static str {
        match self {
            Self::ImageManifest => "image-manifest",
            Self::Index => "index",
            Self::DockerList => "docker-list",
        }
    }

    /// The media type of the manifest or index.
    pub fn media_type(self) -> MediaType {
        match self {
            Self::ImageManifest => MediaType::OCI_MANIFEST,
            Self::Index => MediaType::OCI_INDEX,
            Self::DockerList => MediaType::DOCKER_MANIFEST_LIST,
        }
    }

    /// The family of the layers' media types.
    pub fn family(self) -> MediaTypeFamily {
        match self {
            Self::ImageManifest | Self::Index => MediaTypeFamily::Oci,
            Self::DockerList => MediaTypeFamily::Docker,
        }
    }
}

/// A cache's manifest or index. Mirrors: BuildKit `cache/remotecache/export.go`, `ExportableCache`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CacheManifest {
    /// Its form.
    pub layout: CacheLayout,
    /// The cache config.
    pub config: Descriptor,
    /// The layers in the config's order; a blob comes as often as it has different parents.
    pub layers: Vec<Descriptor>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct WrittenManifest<'a> {
    schema_version: u32,
    media_type: MediaType,
    config: &'a Descriptor,
    layers: &'a [Descriptor],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct WrittenIndex<'a> {
    schema_version: u32,
    media_type: MediaType,
    manifests: Vec<&'a Descriptor>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ReadDocument {
    #[serde(default)]
    media_type: Option<MediaType>,
    #[serde(default)]
    config: Option<Descriptor>,
    #[serde(default, deserialize_with = "null_as_empty")]
    layers: Vec<Descriptor>,
    #[serde(default, deserialize_with = "null_as_empty")]
    manifests: Vec<Descriptor>,
    #[serde(default, deserialize_with = "null_as_empty", rename = "annotations")]
    _annotations: Annotations,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Manifest,
    Index,
}

impl CacheManifest {
    /// A manifest in `layout`, with the layers' media types in its family. What has no name there keeps its own, with a
    /// warning.
    pub fn new(layout: CacheLayout, config: Descriptor, layers: Vec<Descriptor>) -> (Self, Vec<CacheWarning>) {
        let mut warnings = Vec::new();
        let convert = |mut layer: Descriptor| {
            if layer.media_type.has_name_in(layout.family()) {
                layer.media_type = layer.media_type.to_family(layout.family());
            } else {
                let (blob, media_type) = (layer.digest, layer.media_type.clone());
                let warning = CacheWarning::KeptMediaType { blob, media_type };
                if !warnings.contains(&warning) {
                    warnings.push(warning);
                }
            }
            layer
        };
        let layers = layers.into_iter().map(convert).collect();
        (Self { layout, config, layers }, warnings)
    }

    /// The bytes that BuildKit would write.
    ///
    /// # Errors
    /// None in practice: every manifest has a JSON form.
    pub fn to_json(&self) -> Result<Vec<u8>, Error> {
        let (schema_version, media_type) = (2, self.layout.media_type());
        match self.layout {
            CacheLayout::ImageManifest => json::to_vec(&WrittenManifest {
                schema_version,
                media_type,
                config: &self.config,
                layers: &self.layers,
            }),
            CacheLayout::Index | CacheLayout::DockerList => {
                let manifests = self.layers.iter().chain([&self.config]).collect();
                json::to_vec(&WrittenIndex { schema_version, media_type, manifests })
            }
        }
    }

    /// Reads the document `bytes`, which was fetched as `descriptor`. Docker's image manifest is read as an image
    /// manifest. Where the media type is missing, Docker's is meant, as for BuildKit.
    ///
    /// # Errors
    /// [`CacheError::Malformed`]; [`CacheError::Ambiguous`] for a document that is a manifest and an index;
    /// [`CacheError::MediaTypeMismatch`] where it calls itself otherwise, or was announced as the other kind;
    /// [`CacheError::NoCacheConfig`] if it is none of a cache.
    pub fn from_json(bytes: &[u8], descriptor: &Descriptor) -> Result<Self, CacheError> {
        let malformed = |source| CacheError::Malformed { document: Document::Manifest, source: Arc::new(source) };
        let keys: BTreeMap<String, IgnoredAny> = serde_json::from_slice(bytes).map_err(malformed)?;
        // Go reads keys in any case: a document must not be one thing to us and another to it.
        let has = |names: &[&str]| keys.keys().any(|key| names.iter().any(|name| key.eq_ignore_ascii_case(name)));
        let kind = match (has(&["config", "layers"]), has(&["manifests"])) {
            (true, true) => return Err(CacheError::Ambiguous(descriptor.digest)),
            (true, false) => Kind::Manifest,
            (false, _) => Kind::Index,
        };
        let document: ReadDocument = serde_json::from_slice(bytes).map_err(malformed)?;
        let inside = document.media_type.clone().unwrap_or_default();
        for media_type in [&inside, &descriptor.media_type] {
            if kind_of(media_type).is_some_and(|named| named != kind) || (*media_type == inside && is_foreign(&inside))
            {
                let (digest, media_type) = (descriptor.digest, media_type.clone());
                return Err(CacheError::MediaTypeMismatch { digest, media_type });
            }
        }
        let layout = match (kind, &inside) {
            (Kind::Manifest, _) => CacheLayout::ImageManifest,
            (Kind::Index, inside) if *inside == MediaType::OCI_INDEX => CacheLayout::Index,
            (Kind::Index, _) => CacheLayout::DockerList,
        };
        let is_config = |entry: &Descriptor| entry.media_type == MediaType::BUILDKIT_CACHE_CONFIG;
        let (mut configs, layers) = match kind {
            Kind::Manifest => (document.config.into_iter().filter(is_config).collect::<Vec<_>>(), document.layers),
            Kind::Index => document.manifests.into_iter().partition(is_config),
        };
        match (configs.pop(), configs.is_empty()) {
            (Some(config), true) => Ok(Self { layout, config, layers }),
            _ => Err(CacheError::NoCacheConfig(descriptor.digest)),
        }
    }
}

fn kind_of(media_type: &MediaType) -> Option<Kind> {
    if [MediaType::OCI_MANIFEST, MediaType::DOCKER_MANIFEST].contains(media_type) {
        Some(Kind::Manifest)
    } else if [MediaType::OCI_INDEX, MediaType::DOCKER_MANIFEST_LIST].contains(media_type) {
        Some(Kind::Index)
    } else {
        None
    }
}

fn is_foreign(inside: &MediaType) -> bool {
    !inside.is_empty() && kind_of(inside).is_none()
}
