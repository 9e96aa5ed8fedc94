//! What can go wrong with a remote cache.

use std::fmt;
use std::sync::Arc;

use cache_blobs::CopyError;
use cache_core::{Digest, Error, ErrorKind, MediaType};
use thiserror::Error as ThisError;

use crate::fault::Fault;

/// A failure of an export, an import or a lookup.
#[derive(Clone, Debug, ThisError)]
#[non_exhaustive]
pub enum CacheError {
    /// A port failed.
    #[error(transparent)]
    Port(#[from] Error),
    /// A document of the cache is not what it should be.
    #[error("{document} is malformed")]
    Malformed {
        /// The document.
        document: Document,
        /// Why.
        source: Arc<serde_json::Error>,
    },
    /// Records or layers contradict each other.
    #[error("the cache config is unsound: {0}")]
    Unsound(Fault),
    /// A document is larger than its documented limit.
    #[error("the cache has more than {limit} ({most})")]
    Limit {
        /// The limit that can be raised.
        limit: &'static str,
        /// Its value.
        most: u64,
    },
    /// A document can be read as a manifest and as an index.
    #[error("{0} is both a manifest and an index")]
    Ambiguous(Digest),
    /// A document calls itself something else than it is.
    #[error("{digest} calls itself {media_type:?} and is something else")]
    MediaTypeMismatch {
        /// The document.
        digest: Digest,
        /// What it calls itself.
        media_type: MediaType,
    },
    /// A manifest or index has no cache config, or more than one.
    #[error("{0} is no remote cache")]
    NoCacheConfig(Digest),
    /// There is nothing under this digest.
    #[error("{0} is missing")]
    MissingBlob(Digest),
    /// Options exclude each other.
    #[error("{0}")]
    Contradiction(&'static str),
    /// A link comes from another builder.
    #[error("a link leads from another builder's record")]
    ForeignRecord,
    /// An input has no link.
    #[error("input {0} has no link")]
    EmptyInput(usize),
}

impl From<CopyError> for CacheError {
    fn from(error: CopyError) -> Self {
        match error {
            CopyError::Missing(digest) => Self::MissingBlob(digest),
            failed => Self::Port(failed.into()),
        }
    }
}

impl CacheError {
    /// What a caller can do about it.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Port(error) => error.kind(),
            Self::Malformed { .. } | Self::Unsound(_) | Self::Ambiguous(_) | Self::MediaTypeMismatch { .. } => {
                ErrorKind::Corrupt
            }
            Self::Limit { .. } => ErrorKind::LimitExceeded,
            Self::MissingBlob(_) => ErrorKind::NotFound,
            Self::NoCacheConfig(_) | Self::Contradiction(_) | Self::ForeignRecord | Self::EmptyInput(_) => {
                ErrorKind::Invalid
            }
        }
    }
}

/// A document of a remote cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Document {
    /// The cache config.
    Config,
    /// The manifest or index.
    Manifest,
}

impl fmt::Display for Document {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Config => "the cache config",
            Self::Manifest => "the cache manifest",
        })
    }
}
