//! What the tests of this crate build caches from.
#![allow(dead_code)]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use cache_core::ports::{BlobReader, ByteStream, Provider};
use cache_core::{Descriptor, Digest, Layer, MediaType, Timestamp};
use cache_remote::{ExportResult, RecordKey, Remote, RemoteLayer, output_key};
use futures::StreamExt;

/// Blobs whose content is their name.
#[derive(Debug, Default)]
pub(crate) struct Named {
    pub(crate) missing: BTreeSet<Digest>,
    blobs: BTreeMap<Digest, Bytes>,
}

impl Named {
    pub(crate) fn of(names: &[&str]) -> Self {
        let blobs = names.iter().map(|name| (Digest::of(name), Bytes::copy_from_slice(name.as_bytes())));
        Self { blobs: blobs.collect(), missing: BTreeSet::new() }
    }
}

#[async_trait]
impl Provider for Named {
    async fn open(&self, descriptor: &Descriptor) -> cache_core::Result<Option<Box<dyn BlobReader>>> {
        let digest = descriptor.digest;
        if self.missing.contains(&digest) {
            return Ok(None);
        }
        Ok(self.blobs.get(&digest).map(|content| Box::new(Whole(content.clone())) as Box<dyn BlobReader>))
    }
}

/// A blob in memory.
#[derive(Debug)]
pub(crate) struct Whole(pub(crate) Bytes);

#[async_trait]
impl BlobReader for Whole {
    fn size(&self) -> u64 {
        self.0.len() as u64
    }

    async fn read(&self, range: std::ops::Range<u64>) -> cache_core::Result<ByteStream> {
        let length = self.0.len();
        let end = usize::try_from(range.end).unwrap_or(length).min(length);
        let start = usize::try_from(range.start).unwrap_or(length).min(end);
        Ok(futures::stream::iter([Ok(self.0.slice(start..end))]).boxed())
    }

    fn local_file(&self) -> Option<std::path::PathBuf> {
        None
    }
}

pub(crate) fn key(name: &str) -> RecordKey {
    output_key(&Digest::of(name), 0).into()
}

pub(crate) fn at(seconds: i64) -> Timestamp {
    Timestamp::from_unix(seconds, 0).unwrap()
}

/// A layer whose blob is its name, as an uncompressed tar.
pub(crate) fn layer(name: &str, provider: &Arc<dyn Provider>) -> RemoteLayer {
    let descriptor = Descriptor::of(MediaType::OCI_LAYER, name.as_bytes());
    let diff_id = descriptor.digest;
    RemoteLayer { layer: Layer::new(descriptor, diff_id), provider: Arc::clone(provider) }
}

pub(crate) fn remote(names: &[&str]) -> Remote {
    let provider: Arc<dyn Provider> = Arc::new(Named::of(names));
    Remote::new(names.iter().map(|name| layer(name, &provider)).collect())
}

pub(crate) fn result(seconds: i64, names: &[&str]) -> ExportResult {
    ExportResult { created_at: at(seconds), remote: remote(names) }
}
