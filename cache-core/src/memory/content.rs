//! The memory content store's committed blobs.

use std::sync::Arc;

use async_trait::async_trait;
use futures::StreamExt;
use futures::stream::{self, BoxStream};

use crate::descriptor::Descriptor;
use crate::digest::Digest;
use crate::error::{Error, ErrorKind, Result};
use crate::labels::{LabelChange, apply_label_changes};
use crate::memory::leases::MemoryLeases;
use crate::memory::state::Shared;
use crate::ports::{BlobInfo, BlobReader, Manager, Provider};

/// A content store in memory. An ingest that is dropped keeps its bytes.
#[derive(Debug)]
pub struct MemoryContent {
    pub(super) shared: Arc<Shared>,
    pub(super) leases: Arc<MemoryLeases>,
}

impl MemoryContent {
    pub(super) fn new(shared: Arc<Shared>, leases: Arc<MemoryLeases>) -> Self {
        Self { shared, leases }
    }
}

#[async_trait]
impl Provider for MemoryContent {
    async fn open(&self, descriptor: &Descriptor) -> Result<Option<Box<dyn BlobReader>>> {
        let state = self.shared.lock();
        Ok(state.blobs.get(&descriptor.digest).map(|blob| Box::new(blob.bytes.clone()) as Box<dyn BlobReader>))
    }
}

#[async_trait]
impl Manager for MemoryContent {
    async fn info(&self, digest: &Digest) -> Result<Option<BlobInfo>> {
        Ok(self.shared.lock().blobs.get(digest).map(|blob| blob.info.clone()))
    }

    async fn change_labels(&self, digest: &Digest, changes: &[LabelChange]) -> Result<BlobInfo> {
        let now = self.shared.now();
        let mut state = self.shared.lock();
        let blob = state
            .blobs
            .get_mut(digest)
            .ok_or_else(|| Error::new(ErrorKind::NotFound, "change labels of blob", digest))?;
        apply_label_changes(&mut blob.info.labels, changes)?;
        blob.info.updated_at = now;
        Ok(blob.info.clone())
    }

    fn list(&self) -> BoxStream<'_, Result<BlobInfo>> {
        let infos: Vec<_> = self.shared.lock().blobs.values().map(|blob| Ok(blob.info.clone())).collect();
        stream::iter(infos).boxed()
    }
}
