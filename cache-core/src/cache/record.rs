//! The record of a ref as it is stored.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::cache::lineage::Lineage;
use crate::cache::options::{RecordType, Retention};
use crate::descriptor::Descriptor;
use crate::digest::Digest;
use crate::layer::Layer;
use crate::ports::{IndexEntry, LayerMode, Uniqueness};
use crate::timestamp::Timestamp;

/// The newest form of records that this code reads. A form that older code would misread gets the next number.
pub(super) const SCHEMA: u32 = 1;

/// Records whose parent is the value. Also for kinds that this code does not know, so that it never removes their parents.
pub(super) const PARENT_INDEX: &str = "ref.parent";
/// Records by chain id.
pub(super) const CHAIN_INDEX: &str = "ref.chain";
/// Records by blob-chain id.
pub(super) const BLOB_CHAIN_INDEX: &str = "ref.blobchain";

/// How far a record's snapshot has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Phase {
    /// Its active snapshot is written to.
    Mutable,
    /// It never changes any more, but its snapshot is still active.
    Committed,
    /// Its snapshot is committed, or can be unpacked from its blob.
    Finalized,
    /// A phase of newer code.
    #[serde(other)]
    Unknown,
}

/// Everything that outlives the process of a ref. Fields that this code does not know are kept as they are.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Record {
    pub(super) schema: u32,
    pub(super) id: String,
    pub(super) lineage: Lineage,
    pub(super) phase: Phase,
    /// Whoever wrote to it last. One that gives the record up does not take it from the next one.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(super) writer: String,
    /// The name of the committed snapshot, also before it exists.
    pub(super) snapshot: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) layer: Option<StoredLayer>,
    #[serde(default, rename = "chainID", skip_serializing_if = "Option::is_none")]
    pub(super) chain_id: Option<Digest>,
    #[serde(default, rename = "blobChainID", skip_serializing_if = "Option::is_none")]
    pub(super) blob_chain_id: Option<Digest>,
    #[serde(default, with = "layer_type", skip_serializing_if = "layer_type::is_default")]
    pub(super) layer_type: LayerMode,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(super) description: String,
    /// In the order in which they were added.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) image_names: Vec<String>,
    #[serde(default)]
    pub(super) record_type: RecordType,
    #[serde(default)]
    pub(super) retention: Retention,
    pub(super) created_at: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) last_used_at: Option<Timestamp>,
    #[serde(default)]
    pub(super) usage_count: u64,
    /// It is being removed: whoever finds it goes on with that.
    #[serde(default, skip_serializing_if = "is_false")]
    pub(super) deleted: bool,
    #[serde(flatten)]
    pub(super) unknown: BTreeMap<String, Value>,
}

fn is_false(value: &bool) -> bool {
    !value
}

/// A [`Layer`] as it is stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct StoredLayer {
    descriptor: Descriptor,
    #[serde(rename = "diffID")]
    diff_id: Digest,
}

impl From<&Layer> for StoredLayer {
    fn from(layer: &Layer) -> Self {
        Self { descriptor: layer.descriptor.clone(), diff_id: layer.diff_id }
    }
}

impl From<&StoredLayer> for Layer {
    fn from(stored: &StoredLayer) -> Self {
        Self::new(stored.descriptor.clone(), stored.diff_id)
    }
}

impl Record {
    pub(super) fn layer(&self) -> Option<Layer> {
        self.layer.as_ref().map(Layer::from)
    }

    /// The key of the snapshot while it is active.
    pub(super) fn active_key(&self) -> String {
        active_key(&self.id)
    }

    /// Whether this code knows what to do with it.
    pub(super) fn is_supported(&self) -> bool {
        self.schema <= SCHEMA && self.lineage != Lineage::Unknown && self.phase != Phase::Unknown
    }

    pub(super) fn indexes(&self) -> Vec<IndexEntry> {
        let parent = self.lineage.parent().map(|parent| entry(PARENT_INDEX, parent.to_owned()));
        let chains = [(CHAIN_INDEX, self.chain_id), (BLOB_CHAIN_INDEX, self.blob_chain_id)];
        let chains = chains.into_iter().filter_map(|(index, digest)| Some(entry(index, digest?.to_string())));
        parent.into_iter().chain(chains).collect()
    }
}

/// The key of a record's snapshot while it is active.
pub(super) fn active_key(id: &str) -> String {
    format!("{id}-active")
}

fn entry(index: &str, value: String) -> IndexEntry {
    IndexEntry { index: index.to_owned(), value, uniqueness: Uniqueness::Shared }
}

/// BuildKit's `cache.layerType`: "windows", or nothing.
mod layer_type {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use crate::ports::LayerMode;

    #[derive(Serialize, Deserialize)]
    #[serde(rename_all = "camelCase")]
    enum Stored {
        Linux,
        Windows,
    }

    pub(super) fn is_default(mode: &LayerMode) -> bool {
        *mode == LayerMode::default()
    }

    pub(super) fn serialize<S: Serializer>(mode: &LayerMode, serializer: S) -> Result<S::Ok, S::Error> {
        match mode {
            LayerMode::Linux => Stored::Linux.serialize(serializer),
            LayerMode::Windows => Stored::Windows.serialize(serializer),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<LayerMode, D::Error> {
        Ok(match Stored::deserialize(deserializer)? {
            Stored::Linux => LayerMode::Linux,
            Stored::Windows => LayerMode::Windows,
        })
    }
}
