//! What a config holds in the place of a digest.

use std::fmt;

use cache_core::Digest;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A digest as a config carries it. Whatever is no digest is kept as it is, so that one bad record need not cost all.
#[derive(Clone, PartialEq, Eq, Hash)]
pub enum WireDigest {
    /// A digest.
    Digest(Digest),
    /// Something else: `random:…`, an algorithm of tomorrow, nothing at all.
    Other(Box<str>),
}

impl WireDigest {
    /// The digest, if it is one.
    pub fn get(&self) -> Option<Digest> {
        match self {
            Self::Digest(digest) => Some(*digest),
            Self::Other(_) => None,
        }
    }

    /// Whether nothing was written.
    pub fn is_empty(&self) -> bool {
        matches!(self, Self::Other(text) if text.is_empty())
    }

    /// Whether this is the key of something that is never the same twice.
    pub fn is_random(&self) -> bool {
        matches!(self, Self::Other(text) if text.starts_with("random:"))
    }
}

impl Default for WireDigest {
    fn default() -> Self {
        Self::Other("".into())
    }
}

impl From<Digest> for WireDigest {
    fn from(digest: Digest) -> Self {
        Self::Digest(digest)
    }
}

impl fmt::Display for WireDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Digest(digest) => digest.fmt(f),
            Self::Other(text) => f.write_str(text),
        }
    }
}

impl fmt::Debug for WireDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.to_string(), f)
    }
}

impl Serialize for WireDigest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for WireDigest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        Ok(text.parse().map_or_else(|_| Self::Other(text.into()), Self::Digest))
    }
}
