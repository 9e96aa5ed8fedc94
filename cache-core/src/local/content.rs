//! The content store.

use std::sync::Arc;

use async_trait::async_trait;
use futures::StreamExt;
use futures::stream::{self, BoxStream};

use crate::descriptor::Descriptor;
use crate::digest::Digest;
use crate::error::Result;
use crate::labels::LabelChange;
use crate::local::begin::BegunIngest;
use crate::local::engine::Engine;
use crate::local::lease_manager::LocalLeases;
use crate::local::reader::LocalReader;
use crate::local::writer::LocalIngest;
use crate::ports::{Begun, BlobInfo, BlobReader, Expected, IngestStatus, Ingester, Lease, Manager, Provider, Start};

/// Blobs that [`Store::blobs_after`](crate::local::Store::blobs_after) gives [`Manager::list`] at a time.
const PAGE: usize = 1000;

/// The blobs of a [`Local`](crate::local::Local) store. An ingest that is dropped keeps its bytes as long as its lease lives.
#[derive(Debug)]
pub struct LocalContent {
    engine: Arc<Engine>,
    leases: Arc<LocalLeases>,
}

impl LocalContent {
    pub(super) fn new(engine: Arc<Engine>, leases: Arc<LocalLeases>) -> Self {
        Self { engine, leases }
    }
}

#[async_trait]
impl Provider for LocalContent {
    async fn open(&self, descriptor: &Descriptor) -> Result<Option<Box<dyn BlobReader>>> {
        let digest = descriptor.digest;
        let blob = self.engine.run(move |store| store.open_blob(&digest)).await?;
        Ok(blob.map(|blob| LocalReader::boxed(blob, Arc::clone(self.engine.pool()))))
    }
}

#[async_trait]
impl Manager for LocalContent {
    async fn info(&self, digest: &Digest) -> Result<Option<BlobInfo>> {
        let digest = *digest;
        self.engine.run(move |store| store.blob(&digest)).await
    }

    async fn disk_bytes(&self, digest: &Digest) -> Result<u64> {
        let digest = *digest;
        self.engine.run(move |store| store.blob_disk_bytes(&digest)).await
    }

    async fn change_labels(&self, digest: &Digest, changes: &[LabelChange]) -> Result<BlobInfo> {
        let (digest, changes) = (*digest, changes.to_vec());
        self.engine.run(move |store| store.change_blob_labels(&digest, &changes)).await
    }

    fn list(&self) -> BoxStream<'_, Result<BlobInfo>> {
        let pages = stream::unfold(Some(None), move |after: Option<Option<Digest>>| async move {
            let after = after?;
            match self.engine.run(move |store| store.blobs_after(after.as_ref(), PAGE)).await {
                Ok(page) => {
                    let next = page.last().map(|info| Some(info.digest));
                    Some((page.into_iter().map(Ok).collect(), next))
                }
                Err(error) => Some((vec![Err(error)], None)),
            }
        });
        pages.map(stream::iter).flatten().boxed()
    }
}

#[async_trait]
impl Ingester for LocalContent {
    async fn begin(&self, lease: &Lease, key: &str, expected: Expected, start: Start) -> Result<Begun> {
        self.leases.own("begin ingest", lease)?;
        let (lease, owned_key) = (lease.id().to_owned(), key.to_owned());
        let begun = self.engine.run_on_ingest(key, move |store, call| {
            call.wait_for_abandoned();
            store.begin(&lease, &owned_key, expected, start)
        });
        let begun = begun.await?;
        Ok(match begun {
            BegunIngest::AlreadyThere(info) => Begun::AlreadyThere(info),
            BegunIngest::Started(ingest) => {
                Begun::Started(Box::new(LocalIngest::new(ingest, Arc::clone(&self.engine))))
            }
        })
    }

    async fn abort(&self, key: &str) -> Result<bool> {
        let owned_key = key.to_owned();
        let aborted = self.engine.run_on_ingest(key, move |store, call| {
            call.wait_for_abandoned();
            store.abort_ingest(&owned_key)
        });
        aborted.await
    }

    async fn ingests(&self) -> Result<Vec<IngestStatus>> {
        self.engine.run(|store| store.ingests()).await
    }
}
