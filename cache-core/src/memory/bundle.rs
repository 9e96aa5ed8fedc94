//! All memory backends over one state.

use std::sync::Arc;

use crate::memory::collector::MemoryCollector;
use crate::memory::content::MemoryContent;
use crate::memory::images::MemoryImages;
use crate::memory::leases::MemoryLeases;
use crate::memory::locks::MemoryLocks;
use crate::memory::metadata::MemoryMetadata;
use crate::memory::state::Shared;
use crate::ports::Clock;

/// Backends that share one state. Clones share it too; it is gone with the last of them.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Memory {
    /// Blobs.
    pub content: Arc<MemoryContent>,
    /// Leases over the blobs and image names.
    pub leases: Arc<MemoryLeases>,
    /// Image names.
    pub images: Arc<MemoryImages>,
    /// Records.
    pub metadata: Arc<MemoryMetadata>,
    /// Locks.
    pub locks: Arc<MemoryLocks>,
    /// Frees what nothing reaches.
    pub collector: Arc<MemoryCollector>,
    /// The time that all of them see.
    pub clock: Arc<dyn Clock>,
}

impl Memory {
    /// Empty backends that take the time from `clock`.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        let shared = Arc::new(Shared::new(Arc::clone(&clock)));
        let leases = MemoryLeases::new(Arc::clone(&shared));
        Self {
            content: Arc::new(MemoryContent::new(Arc::clone(&shared), Arc::clone(&leases))),
            leases,
            images: Arc::new(MemoryImages::new(Arc::clone(&shared))),
            metadata: Arc::default(),
            locks: Arc::default(),
            collector: Arc::new(MemoryCollector::new(shared)),
            clock,
        }
    }
}
