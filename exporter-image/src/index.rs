//! Image indexes and manifest lists.

use cache_core::{Annotations, Descriptor, MediaType, MediaTypeFamily, null_as_empty};
use serde::{Deserialize, Serialize};

use crate::config::EmptyLists;
use crate::error::{DocumentProblem, Result};
use crate::json::{self, JsonLimits};
use crate::manifest::{DocumentKind, document_kind};

/// An image index, or Docker's manifest list. Fields serialise in the order in which Go writes them.
/// Mirrors: image-spec `specs-go/v1.Index`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Index {
    /// Its own media type; empty in some layouts.
    #[serde(default, deserialize_with = "null_as_empty")]
    pub media_type: MediaType,
    /// The type of an artifact.
    #[serde(default)]
    pub artifact_type: Option<MediaType>,
    /// The manifests, and perhaps more indexes, in the order of their preference.
    #[serde(default, deserialize_with = "null_as_empty")]
    pub manifests: Vec<Descriptor>,
    /// The manifest that this index is about.
    #[serde(default)]
    pub subject: Option<Descriptor>,
    /// Annotations.
    #[serde(default, deserialize_with = "null_as_empty")]
    pub annotations: Annotations,
}

impl Index {
    /// An index of `family` over manifests.
    pub fn new(family: MediaTypeFamily, manifests: Vec<Descriptor>) -> Self {
        let media_type = match family {
            MediaTypeFamily::Oci => MediaType::OCI_INDEX,
            MediaTypeFamily::Docker => MediaType::DOCKER_MANIFEST_LIST,
        };
        Self { media_type, manifests, ..Self::default() }
    }

    /// The bytes as BuildKit writes an index that is a blob, with an indent of two spaces.
    ///
    /// # Errors
    /// None in practice: every index has a JSON form.
    pub fn to_bytes(&self, empty_lists: EmptyLists) -> Result<Vec<u8>> {
        Ok(cache_core::json::to_vec_indented(&self.document(empty_lists))?)
    }

    /// The bytes as BuildKit writes the `index.json` of a layout, without white space.
    ///
    /// # Errors
    /// None in practice: every index has a JSON form.
    pub fn to_compact_bytes(&self, empty_lists: EmptyLists) -> Result<Vec<u8>> {
        Ok(cache_core::json::to_vec(&self.document(empty_lists))?)
    }

    /// Reads an index.
    ///
    /// # Errors
    /// [`DocumentProblem`] if `text` is not JSON within `limits`, has a wrong shape, could be read as a manifest too, or
    /// has another schema version than 2.
    pub fn parse(text: &[u8], limits: JsonLimits) -> Result<Self, DocumentProblem> {
        match document_kind(text, limits)? {
            DocumentKind::Index => Ok(json::parse_object(text, limits)?),
            DocumentKind::Manifest => Err(DocumentProblem::Neither),
        }
    }

    fn document(&self, empty_lists: EmptyLists) -> Document<'_> {
        Document {
            schema_version: 2,
            media_type: &self.media_type,
            artifact_type: &self.artifact_type,
            manifests: empty_lists.apply(&self.manifests),
            subject: &self.subject,
            annotations: &self.annotations,
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Document<'a> {
    schema_version: u32,
    #[serde(skip_serializing_if = "MediaType::is_empty")]
    media_type: &'a MediaType,
    #[serde(skip_serializing_if = "Option::is_none")]
    artifact_type: &'a Option<MediaType>,
    manifests: Option<&'a [Descriptor]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: &'a Option<Descriptor>,
    #[serde(skip_serializing_if = "Annotations::is_empty")]
    annotations: &'a Annotations,
}
