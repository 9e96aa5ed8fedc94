//! Why a blob could not be copied.

use cache_core::{Digest, Error, ErrorKind};

/// A failure of [`copy_blob`](super::copy_blob).
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CopyError {
    /// The source has no such blob.
    #[error("{0} is missing")]
    Missing(Digest),
    /// Source or target failed, or the source gave something else than the blob.
    #[error(transparent)]
    Port(#[from] Error),
}

impl CopyError {
    /// What a caller can do about it.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Missing(_) => ErrorKind::NotFound,
            Self::Port(error) => error.kind(),
        }
    }
}

impl From<CopyError> for Error {
    fn from(error: CopyError) -> Self {
        match error {
            CopyError::Missing(digest) => Self::new(ErrorKind::NotFound, "copy blob", digest),
            CopyError::Port(error) => error,
        }
    }
}
