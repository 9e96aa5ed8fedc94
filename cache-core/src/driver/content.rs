//! A content store over a storage driver: its committed blobs.

use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};

use crate::descriptor::Descriptor;
use crate::digest::Digest;
use crate::driver::record::{self, Change};
use crate::driver::storage_driver::StorageDriver;
use crate::driver::unfinished::Ingests;
use crate::error::{Error, ErrorKind, Result};
use crate::labels::{LabelChange, apply_label_changes};
use crate::ports::{BlobInfo, BlobReader, ByteStream, Clock, LeaseManager, Manager, MetadataStore, Provider};

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
}

#[async_trait]
impl Provider for DriverContent {
    async fn open(&self, descriptor: &Descriptor) -> Result<Option<Box<dyn BlobReader>>> {
        let found = record::find(&*self.metadata, &descriptor.digest).await?;
        Ok(found.map(|record| {
            let driver = Arc::clone(&self.driver);
            Box::new(DriverReader { driver, object: record.object, size: record.size }) as Box<dyn BlobReader>
        }))
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

/// An open blob.
#[derive(Debug)]
struct DriverReader {
    driver: Arc<dyn StorageDriver>,
    object: String,
    size: u64,
}

#[async_trait]
impl BlobReader for DriverReader {
    fn size(&self) -> u64 {
        self.size
    }

    async fn read(&self, range: Range<u64>) -> Result<ByteStream> {
        let range = range.start..range.end.min(self.size);
        if range.is_empty() {
            return Ok(stream::empty().boxed());
        }
        self.driver.read(&self.object, range).await
    }

    fn local_file(&self) -> Option<PathBuf> {
        None
    }
}
