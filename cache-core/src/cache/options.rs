//! What a caller may say about a new ref.

use serde::{Deserialize, Serialize};

use crate::ports::LayerMode;
use crate::timestamp::Timestamp;

/// What becomes of a mutable ref that is dropped without a commit. Mirrors: BuildKit's cache policies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Retention {
    /// It is removed.
    #[default]
    Discard,
    /// It stays for [`CacheManager::get_mutable`](crate::cache::CacheManager::get_mutable) until it is pruned.
    Retain,
}

/// What a ref is for; pruning tells them apart. Mirrors: BuildKit `client.UsageRecordType`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
#[non_exhaustive]
pub enum RecordType {
    /// The result of a step.
    #[default]
    Regular,
    /// Of use to the build tool alone.
    Internal,
    /// A build frontend.
    Frontend,
    /// Files that a client sent.
    LocalSource,
    /// A checkout of a git repository.
    GitCheckout,
    /// A mount that steps keep between builds.
    CacheMount,
    /// Any other name.
    Other(String),
}

impl RecordType {
    /// BuildKit's name of the type.
    pub fn name(&self) -> &str {
        match self {
            Self::Regular => "regular",
            Self::Internal => "internal",
            Self::Frontend => "frontend",
            Self::LocalSource => "source.local",
            Self::GitCheckout => "source.git.checkout",
            Self::CacheMount => "exec.cachemount",
            Self::Other(name) => name,
        }
    }
}

impl From<String> for RecordType {
    fn from(name: String) -> Self {
        match name.as_str() {
            "regular" => Self::Regular,
            "internal" => Self::Internal,
            "frontend" => Self::Frontend,
            "source.local" => Self::LocalSource,
            "source.git.checkout" => Self::GitCheckout,
            "exec.cachemount" => Self::CacheMount,
            _ => Self::Other(name),
        }
    }
}

impl From<RecordType> for String {
    fn from(record_type: RecordType) -> Self {
        record_type.name().to_owned()
    }
}

/// What is known of a ref when it is made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RefOptions {
    /// What it is, for people.
    pub description: Option<String>,
    /// When it was created; `None` for now. Imported refs bring their own.
    pub created_at: Option<Timestamp>,
    /// What it is for.
    pub record_type: RecordType,
    /// What becomes of it when it is dropped while mutable.
    pub retention: Retention,
    /// The shape of its layer's tar.
    pub layer_type: LayerMode,
    /// The image it comes from, as a reference.
    pub image_name: Option<String>,
}

impl RefOptions {
    /// The same with a description.
    #[must_use]
    pub fn with_description(mut self, description: impl Into<String>) -> Self {
        self.description = Some(description.into());
        self
    }

    /// The same, created at `time`.
    #[must_use]
    pub fn with_created_at(mut self, time: Timestamp) -> Self {
        self.created_at = Some(time);
        self
    }

    /// The same for the purpose `record_type`.
    #[must_use]
    pub fn with_record_type(mut self, record_type: RecordType) -> Self {
        self.record_type = record_type;
        self
    }

    /// The same with another fate when it is dropped while mutable.
    #[must_use]
    pub fn with_retention(mut self, retention: Retention) -> Self {
        self.retention = retention;
        self
    }

    /// The same with layers of the shape `layer_type`.
    #[must_use]
    pub fn with_layer_type(mut self, layer_type: LayerMode) -> Self {
        self.layer_type = layer_type;
        self
    }

    /// The same, from the image `name`.
    #[must_use]
    pub fn with_image_name(mut self, name: impl Into<String>) -> Self {
        self.image_name = Some(name.into());
        self
    }
}
