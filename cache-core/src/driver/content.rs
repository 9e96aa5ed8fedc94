//! A content store over a storage driver: its committed blobs.

use std::sync::Arc;

use async_trait::async_trait;
use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};

use crate::descriptor::Descriptor;
use crate::digest::Digest;
use crate::driver::reader::DriverReader;
use crate::driver::record::{self, Change};
use crate::driver::storage_driver::StorageDriver;
use crate::driver::unfinished::Ingests;
use crate::error::{Error, ErrorKind, Result};
use crate::labels::{LabelChange, apply_label_changes};
use crate::ports::{BlobInfo, BlobReader, Clock, LeaseManager, Manager, MetadataStore, Provider};

/// A content store whose bytes lie where a [`StorageDriver`] puts them. Clones are the same store. An ingest whose writer is
/// dropped keeps its bytes, unless a write failed or was dropped.
#[derive(Clone, Debug)]
pub struct DriverContent {
    pub(super) driver: Arc<dyn StorageDriver>,
    pub(super) leases: Arc<dyn LeaseManager>,
    pub(super) metadata: Arc<dyn MetadataStore>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) ingests: Arc<Ingests>,
}

impl DriverContent {
    /// The store of the bytes in `driver` and of the blobs that `metadata` knows, under the leases of `leases`.
    pub fn new(
        driver: Arc<dyn StorageDriver>,
        leases: Arc<dyn LeaseManager>,
        metadata: Arc<dyn MetadataStore>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { driver, leases, metadata, clock, ingests: Arc::default() }
    }

    /// Forgets the blob `digest` and deletes its bytes, as soon as nobody reads them; whether there was one. For the embedder's
    /// own collector: nothing may hold the blob, and nobody may begin to.
    ///
    /// # Errors
    /// The backends' own failures.
    ///
    /// # Cancel safety
    /// A dropped call may leave an object that no record names.
    pub async fn remove(&self, digest: &Digest) -> Result<bool> {
        let Some(removed) = record::remove(&*self.metadata, digest).await? else { return Ok(false) };
        self.ingests.lock().doom(removed.object);
        self.delete_doomed().await;
        Ok(true)
    }

    /// Deletes the objects that nobody needs any more. One that cannot be deleted is tried again by the next call.
    pub(super) async fn delete_doomed(&self) {
        let doomed = self.ingests.lock().deletable();
        for object in doomed {
            match self.driver.delete(&object).await {
                Ok(()) => self.ingests.lock().doomed.retain(|doomed| *doomed != object),
                Err(error) => tracing::warn!(%error, object, "bytes that nobody needs wait for the next call"),
            }
        }
    }
}

#[async_trait]
impl Provider for DriverContent {
    async fn open(&self, descriptor: &Descriptor) -> Result<Option<Box<dyn BlobReader>>> {
        let find = || record::find(&*self.metadata, &descriptor.digest);
        let Some(found) = find().await? else { return Ok(None) };
        let reader = DriverReader::new(self, found);
        // A removal that came before the reader was known may have deleted the object.
        let is_still = find().await?.is_some_and(|record| record.object == reader.object);
        Ok(is_still.then(|| Box::new(reader) as Box<dyn BlobReader>))
    }
}

#[async_trait]
impl Manager for DriverContent {
    async fn info(&self, digest: &Digest) -> Result<Option<BlobInfo>> {
        Ok(record::find(&*self.metadata, digest).await?.map(|record| record.info(*digest)))
    }

    async fn change_labels(&self, digest: &Digest, changes: &[LabelChange]) -> Result<BlobInfo> {
        let changed = record::change(&*self.metadata, digest, |record| {
            apply_label_changes(&mut record.labels, changes)?;
            record.updated_at = self.clock.now();
            Ok(Change::Made)
        });
        let missing = || Error::new(ErrorKind::NotFound, "change labels of blob", digest);
        Ok(changed.await?.ok_or_else(missing)?.info(*digest))
    }

    fn list(&self) -> BoxStream<'_, Result<BlobInfo>> {
        let all = stream::once(record::all(&*self.metadata));
        all.map_ok(|infos| stream::iter(infos.into_iter().map(Ok))).try_flatten().boxed()
    }
}
