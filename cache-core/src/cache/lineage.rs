//! What a ref stands on.

use serde::{Deserialize, Serialize};

/// The kind of a ref with its parents.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "camelCase")]
pub(super) enum Lineage {
    /// A layer on top of nothing.
    BaseLayer,
    /// A layer on top of another ref.
    Layer {
        /// The other ref.
        parent: String,
    },
    /// A kind of newer code.
    #[serde(other)]
    Unknown,
}

impl Lineage {
    pub(super) fn of(parent: Option<&str>) -> Self {
        parent.map_or(Self::BaseLayer, |parent| Self::Layer { parent: parent.to_owned() })
    }

    pub(super) fn parent(&self) -> Option<&str> {
        match self {
            Self::Layer { parent } => Some(parent),
            Self::BaseLayer | Self::Unknown => None,
        }
    }

    pub(super) fn kind(&self) -> RefKind {
        match self {
            Self::BaseLayer => RefKind::BaseLayer,
            Self::Layer { .. } => RefKind::Layer,
            Self::Unknown => RefKind::Unknown,
        }
    }
}

/// The kind of a ref. Mirrors: BuildKit `cache/refs.go`, `refKind`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum RefKind {
    /// A layer on top of nothing.
    BaseLayer,
    /// A layer on top of another ref.
    Layer,
    /// A kind of a newer release, or a record that cannot be read. Such a ref is counted and protected, but not used.
    Unknown,
}

impl RefKind {
    /// The name, as filters and listings write it.
    pub fn name(self) -> &'static str {
        match self {
            Self::BaseLayer => "base-layer",
            Self::Layer => "layer",
            Self::Unknown => "unknown",
        }
    }
}
