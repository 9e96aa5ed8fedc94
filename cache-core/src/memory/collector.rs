//! The memory collector.

use std::sync::Arc;

use async_trait::async_trait;

use crate::error::Result;
use crate::memory::state::Shared;
use crate::ports::{Collected, Collector, Resource};

/// Frees what nothing reaches in the memory backends. Its bytes are those of the blobs and ingests, uncounted in blocks.
#[derive(Debug)]
pub struct MemoryCollector {
    shared: Arc<Shared>,
}

impl MemoryCollector {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }
}

#[async_trait]
impl Collector for MemoryCollector {
    async fn collect(&self) -> Result<Collected> {
        let mut state = self.shared.lock();
        let reached = state.reached();
        let mut collected = Collected::default();
        state.blobs.retain(|digest, blob| {
            let stays = reached.contains(&Resource::Content(*digest));
            if !stays {
                collected.blobs += 1;
                collected.bytes += blob.info.size;
            }
            stays
        });
        state.ingests.retain(|key, ingest| {
            let stays = reached.contains(&Resource::Ingest(key.clone()));
            if !stays {
                collected.ingests += 1;
                collected.bytes += ingest.status.offset;
            }
            stays
        });
        Ok(collected)
    }
}
