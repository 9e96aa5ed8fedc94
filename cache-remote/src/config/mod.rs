//! The config of a remote cache, `application/vnd.buildkit.cacheconfig.v0`, as it is written.
//!
//! The structs hold what the JSON holds, faults included: indexes may point nowhere and digests may be none.
//! [`parse`](crate::parse) turns a config into [`CacheChains`](crate::CacheChains), and
//! [`CacheChains::marshal`](crate::CacheChains::marshal) makes one.

mod digest;
mod fields;
mod legacy;
mod limits;
mod member;
mod read;

use cache_core::{Error, MediaType, Timestamp, json};
use serde::{Serialize, Serializer};

pub use digest::WireDigest;
pub use legacy::{LegacyConfig, LegacyItem};
pub use limits::ConfigLimits;

use crate::error::CacheError;

/// In the place of a parent's index: there is none. An absent `parent` means index 0.
pub const NO_PARENT: i64 = -1;

/// A whole config. Mirrors: BuildKit `cache/remotecache/v1/types/spec.go`, `CacheConfig`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct CacheConfig {
    /// The table of layers.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub layers: Vec<CacheLayer>,
    /// The records.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub records: Vec<CacheRecord>,
}

/// A layer on top of another one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct CacheLayer {
    /// The blob's digest.
    #[serde(skip_serializing_if = "WireDigest::is_empty")]
    pub blob: WireDigest,
    /// The index of the layer below in [`CacheConfig::layers`], or [`NO_PARENT`].
    #[serde(skip_serializing_if = "is_zero")]
    pub parent: i64,
    /// The blob's descriptor, in caches that have no manifest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub annotations: Option<Box<LayerAnnotations>>,
}

/// The descriptor of a layer in caches that have no manifest (S3, Azure, GitHub Actions).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LayerAnnotations {
    /// The media type.
    #[serde(skip_serializing_if = "MediaType::is_empty")]
    pub media_type: MediaType,
    /// The digest of the uncompressed stream.
    #[serde(rename = "diffID", skip_serializing_if = "WireDigest::is_empty")]
    pub diff_id: WireDigest,
    /// The blob's length in bytes.
    #[serde(skip_serializing_if = "is_zero")]
    pub size: i64,
    /// When the layer was made.
    pub created_at: Timestamp,
}

impl Default for LayerAnnotations {
    fn default() -> Self {
        Self {
            media_type: MediaType::default(),
            diff_id: WireDigest::default(),
            size: 0,
            created_at: Timestamp::zero(),
        }
    }
}

/// A record: a cache key, how it is reached from others, and what it stands for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct CacheRecord {
    /// Results that are the top of a chain of layers. The JSON calls them `layers`.
    #[serde(rename = "layers", skip_serializing_if = "Vec::is_empty")]
    pub results: Vec<CacheResult>,
    /// Results that list all of their layers.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub chains: Vec<ChainedResult>,
    /// The output key ([`output_key`](crate::output_key)).
    #[serde(skip_serializing_if = "WireDigest::is_empty")]
    pub digest: WireDigest,
    /// For each input the links of which any one is enough. None for a source.
    #[serde(skip_serializing_if = "Vec::is_empty", serialize_with = "slots")]
    pub inputs: Vec<Vec<CacheInput>>,
}

/// A result by its top layer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CacheResult {
    /// The index of the top layer in [`CacheConfig::layers`].
    pub layer: i64,
    /// When the result was made.
    pub created_at: Timestamp,
}

impl Default for CacheResult {
    fn default() -> Self {
        Self { layer: 0, created_at: Timestamp::zero() }
    }
}

/// A result by all of its layers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ChainedResult {
    /// Indexes in [`CacheConfig::layers`], bottom first; their parents do not matter.
    pub layers: Vec<i64>,
    /// When the result was made.
    pub created_at: Timestamp,
}

impl Default for ChainedResult {
    fn default() -> Self {
        Self { layers: Vec::new(), created_at: Timestamp::zero() }
    }
}

/// A link to the record that an input comes from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct CacheInput {
    /// Which part of the input counts; empty for all.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub selector: String,
    /// An index in [`CacheConfig::records`].
    pub link: i64,
}

/// What a config's bytes turned out to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConfigDocument {
    /// The schema since April 2018.
    Current(CacheConfig),
    /// The schema from October 2017 to April 2018, which has the same media type.
    Legacy(LegacyConfig),
}

impl CacheConfig {
    /// The bytes that BuildKit would write for this config, without white space.
    ///
    /// # Errors
    /// `Invalid` for times that RFC 3339 cannot express.
    pub fn to_json(&self) -> Result<Vec<u8>, Error> {
        json::to_vec(self)
    }
}

impl ConfigDocument {
    /// Reads a config. Keys may have any case, unknown ones are skipped, and `null` is the empty value of its field, as
    /// in Go; of a key that comes twice, the last one counts.
    ///
    /// # Errors
    /// [`CacheError::Malformed`] for bytes that are no config; [`CacheError::Limit`] past one of `limits`.
    pub fn from_json(bytes: &[u8], limits: &ConfigLimits) -> Result<Self, CacheError> {
        read::document(bytes, limits)
    }
}

fn is_zero(number: &i64) -> bool {
    *number == 0
}

/// Go writes an empty slot, which no sound config has, as `null`.
fn slots<S: Serializer>(slots: &[Vec<CacheInput>], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(slots.iter().map(|slot| (!slot.is_empty()).then_some(slot)))
}
