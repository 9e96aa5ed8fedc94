//! One entry of an image's history.

use cache_core::{Timestamp, null_as_empty};
use serde::{Deserialize, Serialize};

/// One step by which an image was made. Fields serialise in the order in which Go writes them, and only where they say
/// something. Mirrors: image-spec `specs-go/v1.History`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct HistoryEntry {
    /// When the step was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created: Option<Timestamp>,
    /// The command of the step.
    #[serde(default, skip_serializing_if = "String::is_empty", deserialize_with = "null_as_empty")]
    pub created_by: String,
    /// Who made the step.
    #[serde(default, skip_serializing_if = "String::is_empty", deserialize_with = "null_as_empty")]
    pub author: String,
    /// Which tool wrote the entry.
    #[serde(default, skip_serializing_if = "String::is_empty", deserialize_with = "null_as_empty")]
    pub comment: String,
    /// Whether the step made no layer.
    #[serde(default, skip_serializing_if = "is_false", deserialize_with = "null_as_empty")]
    pub empty_layer: bool,
}

impl HistoryEntry {
    /// An entry with a layer.
    pub fn new(created_by: impl Into<String>) -> Self {
        Self { created_by: created_by.into(), ..Self::default() }
    }

    /// The same at another time.
    #[must_use]
    pub fn with_created(mut self, created: Timestamp) -> Self {
        self.created = Some(created);
        self
    }

    /// The same with another comment.
    #[must_use]
    pub fn with_comment(mut self, comment: impl Into<String>) -> Self {
        self.comment = comment.into();
        self
    }

    /// The same without a layer.
    #[must_use]
    pub fn without_layer(mut self) -> Self {
        self.empty_layer = true;
        self
    }

    /// Whether both say the same, their times spelled in the same zone. Two spellings of one instant are equal
    /// [`Timestamp`]s, but not the same history.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        let spelled = |entry: &Self| entry.created.map(|created| created.to_string());
        self == other && spelled(self) == spelled(other)
    }
}

fn is_false(value: &bool) -> bool {
    !value
}
