//! `index.json`: the manifests of a layout and their names.

use cache_core::{
    Annotations, Descriptor, Digest, Error, ErrorKind, MediaType, Result, annotation, json, null_as_empty,
};
use serde::{Deserialize, Serialize};

/// The content of `index.json`. Fields serialise in the order in which Go writes them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LayoutIndex {
    /// Always 2.
    pub schema_version: u32,
    /// The media type of an OCI index; empty in indexes of old writers.
    #[serde(default, skip_serializing_if = "MediaType::is_empty")]
    pub media_type: MediaType,
    /// The type of an artifact.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<MediaType>,
    /// The manifests and indexes, in the order in which they came.
    #[serde(default, deserialize_with = "null_as_empty")]
    pub manifests: Vec<Descriptor>,
    /// What this index refers to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<Descriptor>,
    /// Annotations of the index itself.
    #[serde(default, skip_serializing_if = "Annotations::is_empty", deserialize_with = "null_as_empty")]
    pub annotations: Annotations,
}

impl Default for LayoutIndex {
    fn default() -> Self {
        Self {
            schema_version: 2,
            media_type: MediaType::OCI_INDEX,
            artifact_type: None,
            manifests: Vec::new(),
            subject: None,
            annotations: Annotations::new(),
        }
    }
}

/// A name of a manifest in a layout.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum LayoutName {
    /// A tag, in `org.opencontainers.image.ref.name`.
    Tag(String),
    /// A full image name, in `io.containerd.image.name`, with its tag as the reference name.
    Image {
        /// The full name: `registry.example/repository:tag`.
        name: String,
        /// The tag of that name.
        tag: String,
    },
}

impl LayoutName {
    /// `descriptor` as the index lists it under this name.
    #[must_use]
    pub fn give_to(&self, descriptor: Descriptor) -> Descriptor {
        match self {
            Self::Tag(tag) => descriptor.with_annotation(annotation::REF_NAME, tag),
            Self::Image { name, tag } => descriptor
                .with_annotation(annotation::CONTAINERD_IMAGE_NAME, name)
                .with_annotation(annotation::REF_NAME, tag),
        }
    }
}

impl LayoutIndex {
    pub(super) fn parse(bytes: &[u8], target: impl std::fmt::Display) -> Result<Self> {
        let corrupt = || Error::new(ErrorKind::Corrupt, "read layout index", &target);
        let index: Self = serde_json::from_slice(bytes).map_err(|source| corrupt().with_source(source))?;
        let list = [MediaType::default(), MediaType::OCI_INDEX, MediaType::DOCKER_MANIFEST_LIST];
        if index.schema_version == 2 && list.contains(&index.media_type) { Ok(index) } else { Err(corrupt()) }
    }

    /// The bytes of `index.json`.
    ///
    /// # Errors
    /// None in practice: every index has a JSON form.
    pub fn to_json(&self) -> Result<Vec<u8>> {
        json::to_vec(self)
    }

    /// The entry that `name` means: a digest, else a full image name, else a tag.
    /// Mirrors: BuildKit `client/ociindex/ociindex.go`, `Get`.
    pub fn find(&self, name: &str) -> Option<&Descriptor> {
        if let Ok(digest) = name.parse::<Digest>() {
            return self.manifests.iter().find(|entry| entry.digest == digest);
        }
        [annotation::CONTAINERD_IMAGE_NAME, annotation::REF_NAME]
            .into_iter()
            .find_map(|key| self.manifests.iter().find(|entry| value(entry, key) == Some(name)))
    }

    /// Adds `entry` and removes what it replaces: entries of the same image name, or, if it has none, of the same tag;
    /// an entry without a name replaces nothing but itself.
    pub fn put(&mut self, entry: Descriptor) {
        let key = [annotation::CONTAINERD_IMAGE_NAME, annotation::REF_NAME]
            .into_iter()
            .find(|key| value(&entry, key).is_some());
        match key {
            Some(key) => self.manifests.retain(|other| value(other, key) != value(&entry, key)),
            None => self.manifests.retain(|other| *other != entry),
        }
        self.manifests.push(entry);
    }
}

fn value<'a>(entry: &'a Descriptor, key: &str) -> Option<&'a str> {
    entry.annotations.get(key).map(String::as_str)
}
