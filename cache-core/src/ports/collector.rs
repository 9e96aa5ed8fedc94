//! Collection of what nothing reaches.

use std::fmt::Debug;

use async_trait::async_trait;

use crate::error::Result;

/// What a collection freed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Collected {
    /// Blobs.
    pub blobs: u64,
    /// Snapshots.
    pub snapshots: u64,
    /// Ingests.
    pub ingests: u64,
    /// Bytes on disk, in blocks as du(1) counts them.
    pub bytes: u64,
}

/// Frees what neither a lease, an image name nor a label reaches. Optional: containerd collects when a lease is deleted.
/// Mirrors: containerd `core/metadata/gc.go`.
#[async_trait]
pub trait Collector: Send + Sync + Debug + 'static {
    /// Frees what nothing reaches now. What appears meanwhile is kept.
    ///
    /// # Errors
    /// The backend's own failures; what was freed before stays freed, what was committed and held stays whole.
    ///
    /// # Cancel safety
    /// Can be dropped and repeated at any time.
    async fn collect(&self) -> Result<Collected>;
}
