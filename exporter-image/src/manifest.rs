//! Image manifests.

use cache_core::{Annotations, Descriptor, Layer, MediaType, MediaTypeFamily, annotation, null_as_empty};
use serde::{Deserialize, Serialize};

use crate::config::EmptyLists;
use crate::error::{DocumentProblem, Result};
use crate::json::{self, JsonLimits, Object};

/// An image manifest. Fields serialise in the order in which Go writes them. Mirrors: image-spec `specs-go/v1.Manifest`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Manifest {
    /// Its own media type; empty in old manifests.
    #[serde(default, deserialize_with = "null_as_empty")]
    pub media_type: MediaType,
    /// The type of an artifact.
    #[serde(default)]
    pub artifact_type: Option<MediaType>,
    /// The config.
    pub config: Descriptor,
    /// The layers, bottom first.
    #[serde(default, deserialize_with = "null_as_empty")]
    pub layers: Vec<Descriptor>,
    /// The manifest that this one is about.
    #[serde(default)]
    pub subject: Option<Descriptor>,
    /// Annotations.
    #[serde(default, deserialize_with = "null_as_empty")]
    pub annotations: Annotations,
}

/// The media type of manifests in `family`.
pub(crate) fn manifest_type(family: MediaTypeFamily) -> MediaType {
    match family {
        MediaTypeFamily::Oci => MediaType::OCI_MANIFEST,
        MediaTypeFamily::Docker => MediaType::DOCKER_MANIFEST,
    }
}

/// The media type of image configs in `family`.
pub(crate) fn config_type(family: MediaTypeFamily) -> MediaType {
    match family {
        MediaTypeFamily::Oci => MediaType::OCI_CONFIG,
        MediaTypeFamily::Docker => MediaType::DOCKER_CONFIG,
    }
}

impl Manifest {
    /// A manifest of `family` over a config and layers that already have that family's media types.
    pub fn new(family: MediaTypeFamily, config: Descriptor, layers: Vec<Descriptor>) -> Self {
        Self {
            media_type: manifest_type(family),
            artifact_type: None,
            config,
            layers,
            subject: None,
            annotations: Annotations::new(),
        }
    }

    /// The bytes as BuildKit writes them, with an indent of two spaces.
    ///
    /// # Errors
    /// None in practice: every manifest has a JSON form.
    pub fn to_bytes(&self, empty_lists: EmptyLists) -> Result<Vec<u8>> {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Document<'a> {
            schema_version: u32,
            #[serde(skip_serializing_if = "MediaType::is_empty")]
            media_type: &'a MediaType,
            #[serde(skip_serializing_if = "Option::is_none")]
            artifact_type: &'a Option<MediaType>,
            config: &'a Descriptor,
            layers: Option<&'a [Descriptor]>,
            #[serde(skip_serializing_if = "Option::is_none")]
            subject: &'a Option<Descriptor>,
            #[serde(skip_serializing_if = "Annotations::is_empty")]
            annotations: &'a Annotations,
        }
        Ok(cache_core::json::to_vec_indented(&Document {
            schema_version: 2,
            media_type: &self.media_type,
            artifact_type: &self.artifact_type,
            config: &self.config,
            layers: empty_lists.apply(&self.layers),
            subject: &self.subject,
            annotations: &self.annotations,
        })?)
    }

    /// Reads a manifest.
    ///
    /// # Errors
    /// [`DocumentProblem`] if `text` is not JSON within `limits`, has a wrong shape, could be read as an index too, or has
    /// another schema version than 2.
    pub fn parse(text: &[u8], limits: JsonLimits) -> Result<Self, DocumentProblem> {
        match document_kind(text, limits)? {
            DocumentKind::Manifest => Ok(json::parse_object(text, limits)?),
            DocumentKind::Index => Err(DocumentProblem::Neither),
        }
    }
}

/// What a document is by its own keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DocumentKind {
    Manifest,
    Index,
}

/// Looks at the keys alone, because a media type that comes from outside must not decide between two readings
/// (CVE-2021-41190).
pub(crate) fn document_kind(text: &[u8], limits: JsonLimits) -> Result<DocumentKind, DocumentProblem> {
    let members = Object::parse(text, limits)?;
    let has = |key: &str| members.get(key).is_some_and(|value| value != b"null");
    let kind = match (has("config") || has("layers"), has("manifests")) {
        (true, true) => return Err(DocumentProblem::Ambiguous),
        (true, false) => DocumentKind::Manifest,
        (false, true) => DocumentKind::Index,
        // An index without manifests is one that nothing was put into yet.
        (false, false) if members.get("manifests").is_some() => DocumentKind::Index,
        (false, false) if has("fsLayers") => return Err(DocumentProblem::SchemaVersion),
        (false, false) => return Err(DocumentProblem::Neither),
    };
    if members.get("schemaVersion") != Some(b"2") {
        return Err(DocumentProblem::SchemaVersion);
    }
    Ok(kind)
}

/// What a manifest of `family` says of a layer: the media type in that family, and no annotation that only the cache
/// understands. Docker's types have no annotations. Mirrors: BuildKit `exporter/containerimage/writer.go`,
/// `RemoveInternalLayerAnnotations`.
pub fn layer_descriptor(layer: &Layer, family: MediaTypeFamily) -> Descriptor {
    let mut descriptor = layer.descriptor.clone();
    if descriptor.media_type.has_name_in(family) {
        descriptor.media_type = descriptor.media_type.to_family(family);
    } else {
        tracing::warn!(media_type = %descriptor.media_type, ?family, "the layer keeps its media type: it has no other name");
    }
    match family {
        MediaTypeFamily::Docker => descriptor.annotations.clear(),
        MediaTypeFamily::Oci => descriptor.annotations.retain(|key, _| !is_internal(key)),
    }
    descriptor
}

fn is_internal(key: &str) -> bool {
    matches!(key, annotation::UNCOMPRESSED | annotation::CREATED_AT | annotation::RECIPE)
        || key.starts_with(annotation::DISTRIBUTION_SOURCE)
}
