//! The backends that a cache is made of.

use std::sync::Arc;

use crate::ports::{
    Applier, Clock, Collector, ContentStore, LeaseManager, Locks, MetadataStore, Mounter, Pool, Snapshotter,
};

/// Everything that a cache manager is given, once.
#[derive(Clone, Debug)]
pub struct Backends {
    /// Blobs.
    pub content: Arc<dyn ContentStore>,
    /// Snapshots.
    pub snapshotter: Arc<dyn Snapshotter>,
    /// Leases over both.
    pub leases: Arc<dyn LeaseManager>,
    /// Records of refs.
    pub metadata: Arc<dyn MetadataStore>,
    /// Locks among the processes that share the backends.
    pub locks: Arc<dyn Locks>,
    /// Mounts snapshots for the family's own reads and writes.
    pub mounter: Arc<dyn Mounter>,
    /// Unpacks layers; without one, refs that exist only as blobs cannot be mounted.
    pub applier: Option<Arc<dyn Applier>>,
    /// Frees what nothing reaches; without one, the store does so by itself when a lease is deleted.
    pub collector: Option<Arc<dyn Collector>>,
    /// Threads that may block.
    pub pool: Arc<dyn Pool>,
    /// Time.
    pub clock: Arc<dyn Clock>,
}
