//! What is worth knowing of an export or an import that went well.

use std::fmt;

use cache_core::{Digest, MediaType};

use crate::error::Document;
use crate::fault::Fault;

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
