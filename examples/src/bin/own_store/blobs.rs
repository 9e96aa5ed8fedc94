//! The committed half of the store: blobs by digest.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use cache_core::ports::{BlobInfo, BlobReader, ByteStream, Clock, LeaseManager, Manager, Provider};
use cache_core::{Descriptor, Digest, Error, ErrorKind, LabelChange, Result, apply_label_changes};
use futures::stream::{BoxStream, StreamExt, iter};

use crate::drafts::Draft;

/// Two maps behind one lock. Clones are the same store.
#[derive(Clone, Debug)]
pub(crate) struct Store {
    pub(crate) leases: Arc<dyn LeaseManager>,
    pub(crate) clock: Arc<dyn Clock>,
    maps: Arc<Mutex<Maps>>,
}

#[derive(Debug, Default)]
pub(crate) struct Maps {
    pub(crate) blobs: BTreeMap<Digest, (BlobInfo, Bytes)>,
    pub(crate) drafts: BTreeMap<String, Arc<Mutex<Draft>>>,
}

impl Store {
    pub(crate) fn new(leases: Arc<dyn LeaseManager>, clock: Arc<dyn Clock>) -> Self {
        Self { leases, clock, maps: Arc::default() }
    }

    pub(crate) fn maps(&self) -> MutexGuard<'_, Maps> {
        self.maps.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Provider for Store {
    async fn open(&self, descriptor: &Descriptor) -> Result<Option<Box<dyn BlobReader>>> {
        let bytes = self.maps().blobs.get(&descriptor.digest).map(|(_, bytes)| bytes.clone());
        Ok(bytes.map(|bytes| Box::new(Reader(bytes)) as Box<dyn BlobReader>))
    }
}

#[derive(Debug)]
struct Reader(Bytes);
#[async_trait]
impl BlobReader for Reader {
    fn size(&self) -> u64 {
        self.0.len() as u64
    }
    async fn read(&self, range: Range<u64>) -> Result<ByteStream> {
        let [start, end] = [range.start, range.end].map(|at| at.min(self.size()) as usize);
        Ok(iter([Ok(self.0.slice(start..end.max(start)))]).boxed())
    }
    fn local_file(&self) -> Option<PathBuf> {
        None
    }
}

#[async_trait]
impl Manager for Store {
    async fn info(&self, digest: &Digest) -> Result<Option<BlobInfo>> {
        Ok(self.maps().blobs.get(digest).map(|(info, _)| info.clone()))
    }
    async fn change_labels(&self, digest: &Digest, changes: &[LabelChange]) -> Result<BlobInfo> {
        let mut maps = self.maps();
        let missing = || Error::new(ErrorKind::NotFound, "change labels of blob", digest);
        let (info, _) = maps.blobs.get_mut(digest).ok_or_else(missing)?;
        apply_label_changes(&mut info.labels, changes)?;
        info.updated_at = self.clock.now();
        Ok(info.clone())
    }
    fn list(&self) -> BoxStream<'_, Result<BlobInfo>> {
        iter(self.maps().blobs.values().map(|(info, _)| Ok(info.clone())).collect::<Vec<_>>()).boxed()
    }
}
