//! Blobs of which nobody knows where they are.

use std::fmt;

use crate::digest::Digest;
use crate::error::{Error, ErrorKind};

/// The blobs of a chain that the store has not and that nothing else can give, bottom first, each once. It is the source of an
/// error of kind `NotFound`.
///
/// Mirrors: BuildKit `cache/manager.go`, `NeedsRemoteProviderError`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MissingBlobs(Vec<Digest>);

impl MissingBlobs {
    /// These blobs.
    pub fn new(blobs: impl IntoIterator<Item = Digest>) -> Self {
        let mut once = Vec::new();
        for blob in blobs {
            if !once.contains(&blob) {
                once.push(blob);
            }
        }
        Self(once)
    }

    /// The blobs.
    pub fn digests(&self) -> &[Digest] {
        &self.0
    }

    /// Whether none is missing.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What `error` says to be missing.
    pub fn of(error: &Error) -> Option<&Self> {
        std::error::Error::source(error)?.downcast_ref()
    }

    /// The error of the ref `id` whose blobs they are.
    pub fn into_error(self, id: &str) -> Error {
        Error::new(ErrorKind::NotFound, "find the blobs of ref", id).with_source(self)
    }
}

impl fmt::Display for MissingBlobs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digests: Vec<_> = self.0.iter().map(Digest::to_string).collect();
        write!(f, "neither the store nor a provider has {}", digests.join(", "))
    }
}

impl std::error::Error for MissingBlobs {}
