//! The parts of an image config that this crate understands.

use cache_core::{Digest, Platform, Timestamp, null_as_empty};
use serde::{Deserialize, Serialize};

use super::{HistoryEntry, RuntimeConfig};
use crate::error::JsonError;
use crate::json::{self, JsonLimits};

/// An image config. It is for looking: a config that is written passes through
/// [`patch_config`](super::patch_config), which keeps what this type does not know.
/// Mirrors: image-spec `specs-go/v1.Image`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ImageConfig {
    /// When the image was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created: Option<Timestamp>,
    /// Who made it.
    #[serde(default, skip_serializing_if = "String::is_empty", deserialize_with = "null_as_empty")]
    pub author: String,
    /// Go's name of the architecture.
    #[serde(default, deserialize_with = "null_as_empty")]
    pub architecture: String,
    /// Go's name of the operating system.
    #[serde(default, deserialize_with = "null_as_empty")]
    pub os: String,
    /// The version of the operating system, on Windows.
    #[serde(
        rename = "os.version",
        default,
        skip_serializing_if = "String::is_empty",
        deserialize_with = "null_as_empty"
    )]
    pub os_version: String,
    /// Features of the operating system that must be there.
    #[serde(
        rename = "os.features",
        default,
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "null_as_empty"
    )]
    pub os_features: Vec<String>,
    /// The variant of the architecture.
    #[serde(default, skip_serializing_if = "String::is_empty", deserialize_with = "null_as_empty")]
    pub variant: String,
    /// How a container of the image is run.
    #[serde(default, deserialize_with = "null_as_empty")]
    pub config: RuntimeConfig,
    /// The layers.
    #[serde(default, deserialize_with = "null_as_empty")]
    pub rootfs: RootFs,
    /// The steps, oldest first; `None` if nothing is said of them.
    #[serde(default)]
    pub history: Option<Vec<HistoryEntry>>,
}

/// The layers of an image by what is in them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct RootFs {
    /// `layers`.
    #[serde(rename = "type", default, deserialize_with = "null_as_empty")]
    pub kind: String,
    /// Digests of the uncompressed layers, bottom first.
    #[serde(default, deserialize_with = "null_as_empty")]
    pub diff_ids: Vec<Digest>,
}

impl ImageConfig {
    /// Reads a config; fields that it does not know are passed over.
    ///
    /// # Errors
    /// [`JsonError`] if `text` is no JSON object, exceeds `limits`, or a known field has the wrong type.
    pub fn parse(text: &[u8], limits: JsonLimits) -> Result<Self, JsonError> {
        json::parse_object(text, limits)
    }

    /// The platform, normalised.
    pub fn platform(&self) -> Platform {
        let mut platform = Platform::new(&self.os, &self.architecture, &self.variant);
        platform.os_version.clone_from(&self.os_version);
        platform.os_features.clone_from(&self.os_features);
        platform
    }
}
