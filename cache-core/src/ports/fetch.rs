//! Blobs and names of a remote.

use std::fmt::Debug;

use async_trait::async_trait;

use crate::descriptor::Descriptor;
use crate::error::Result;
use crate::ports::content::BlobReader;

/// Fetches blobs of a remote: a registry's repository, a layout, a bucket. Nothing that it gives is verified yet.
/// Mirrors: containerd `core/remotes.Fetcher`.
///
/// # Cancel safety
/// A dropped call holds nothing.
#[async_trait]
pub trait Fetcher: Send + Sync + Debug + 'static {
    /// Opens the blob or manifest of `descriptor` for ranged reads; `None` if the remote has none.
    ///
    /// # Errors
    /// `Unavailable`, `Unauthenticated`, `PermissionDenied`, and the backend's own failures.
    async fn fetch(&self, descriptor: &Descriptor) -> Result<Option<Box<dyn BlobReader>>>;
}

/// Finds what a name stands for. Mirrors: containerd `core/remotes.Resolver`.
///
/// # Cancel safety
/// A dropped call holds nothing.
#[async_trait]
pub trait Resolver: Send + Sync + Debug + 'static {
    /// The descriptor behind `name`; `None` if there is no such name.
    ///
    /// # Errors
    /// As [`Fetcher::fetch`]; `Invalid` for a name that the remote cannot have.
    async fn resolve(&self, name: &str) -> Result<Option<Descriptor>>;
}
