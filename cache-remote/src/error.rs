//! What can go wrong with a remote cache, and what is merely worth knowing.

use std::fmt;
use std::sync::Arc;

use cache_core::{Digest, Error, ErrorKind, MediaType};
use thiserror::Error as ThisError;

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

/// What is wrong in a config. Numbers are indexes in its lists.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// A record's digest is none, or `random:`.
    RecordDigest {
        /// The record.
        record: usize,
    },
    /// A link leads to no record.
    LinkOutOfRange {
        /// The record.
        record: usize,
        /// The input.
        input: usize,
        /// Where the link leads.
        link: i64,
    },
    /// A link leads back to a record that depends on it.
    RecordLoop {
        /// The record.
        record: usize,
        /// The input.
        input: usize,
    },
    /// A link leads to a record that was dropped.
    LinkToDropped {
        /// The record.
        record: usize,
        /// The input.
        input: usize,
    },
    /// An input has no usable link.
    EmptyInput {
        /// The record.
        record: usize,
        /// The input.
        input: usize,
    },
    /// A result names no layer.
    ResultOutOfRange {
        /// The record.
        record: usize,
        /// What it names.
        layer: i64,
    },
    /// A layer's digest is none.
    LayerDigest {
        /// The layer.
        layer: usize,
    },
    /// A layer's parent is no layer.
    ParentOutOfRange {
        /// The layer.
        layer: usize,
        /// Its parent.
        parent: i64,
    },
    /// A layer lies on itself.
    LayerLoop {
        /// The layer.
        layer: usize,
    },
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::RecordDigest { record } => write!(f, "record {record} has no digest that could be met again"),
            Self::LinkOutOfRange { record, input, link } => {
                write!(f, "record {record} links input {input} to record {link}, which is not there")
            }
            Self::RecordLoop { record, input } => write!(f, "record {record} depends on itself by input {input}"),
            Self::LinkToDropped { record, input } => {
                write!(f, "record {record} links input {input} to a record that was dropped")
            }
            Self::EmptyInput { record, input } => write!(f, "record {record} has no link for input {input}"),
            Self::ResultOutOfRange { record, layer } => {
                write!(f, "record {record} has the layer {layer}, which is not there")
            }
            Self::LayerDigest { layer } => write!(f, "layer {layer} has no digest"),
            Self::ParentOutOfRange { layer, parent } => {
                write!(f, "layer {layer} lies on layer {parent}, which is not there")
            }
            Self::LayerLoop { layer } => write!(f, "layer {layer} lies on itself"),
        }
    }
}

/// Something worth a line, which did not stop the work.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CacheWarning {
    /// The faulty part of a config was left out.
    Dropped(Fault),
    /// A result was left out, because a blob of it is not there or not usable. The record stays.
    ResultWithoutBlob {
        /// The blob.
        blob: Digest,
    },
    /// A layer cannot be used: nothing says what its uncompressed stream is.
    NoDiffId {
        /// The blob.
        blob: Digest,
    },
    /// The config or the manifest is larger than BuildKit reads from a registry or a directory
    /// ([`BUILDKIT_READS_BYTES`](crate::BUILDKIT_READS_BYTES)).
    TooLargeForBuildKit {
        /// Which one.
        document: Document,
        /// Its length in bytes.
        bytes: u64,
    },
    /// A media type has no name in the wanted family and was kept.
    KeptMediaType {
        /// The blob.
        blob: Digest,
        /// Its media type.
        media_type: MediaType,
    },
}

impl fmt::Display for CacheWarning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dropped(fault) => write!(f, "left out: {fault}"),
            Self::ResultWithoutBlob { blob } => write!(f, "left out results with the blob {blob}, which is missing"),
            Self::NoDiffId { blob } => write!(f, "left out the layer {blob}, whose DiffID is not known"),
            Self::TooLargeForBuildKit { document, bytes } => {
                write!(f, "{document} has {bytes} bytes, more than BuildKit imports")
            }
            Self::KeptMediaType { blob, media_type } => {
                write!(f, "{blob} keeps the media type {media_type}, which has no other name")
            }
        }
    }
}
