//! An open blob of a content store over a storage driver.

use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use futures::stream::{self, StreamExt};

use crate::driver::content::DriverContent;
use crate::driver::record::Record;
use crate::driver::storage_driver::StorageDriver;
use crate::driver::unfinished::Ingests;
use crate::error::Result;
use crate::ports::{BlobReader, ByteStream};

/// Its object is not deleted before this is dropped.
#[derive(Debug)]
pub(super) struct DriverReader {
    driver: Arc<dyn StorageDriver>,
    ingests: Arc<Ingests>,
    pub(super) object: String,
    size: u64,
}

impl DriverReader {
    pub(super) fn new(store: &DriverContent, record: Record) -> Self {
        let Record { object, size, .. } = record;
        *store.ingests.lock().readers.entry(object.clone()).or_default() += 1;
        Self { driver: Arc::clone(&store.driver), ingests: Arc::clone(&store.ingests), object, size }
    }
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

impl Drop for DriverReader {
    fn drop(&mut self) {
        let mut state = self.ingests.lock();
        match state.readers.get_mut(&self.object) {
            Some(count) if *count > 1 => *count -= 1,
            _ => drop(state.readers.remove(&self.object)),
        }
    }
}
