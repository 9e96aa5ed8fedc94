//! A content store that keeps nothing of what is written to it.

use async_trait::async_trait;
use bytes::Bytes;
use cache_core::ports::{
    Begun, BlobInfo, BlobReader, Committed, Expected, Ingest, IngestStatus, Ingester, Lease, Manager, Provider, Start,
};
use cache_core::{
    Algorithm, Descriptor, Digest, DigestHasher, Error, ErrorKind, LabelChange, Labels, Result, Timestamp,
};
use futures::StreamExt;
use futures::stream::{self, BoxStream};

/// A store that counts and hashes what is written to it, and keeps none of it: for those who want to know which blob a packer
/// or a differ would make. Its times are all zero. Variants of one diff cannot be linked in it, which is `NotFound`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Unkept;

impl Unkept {
    /// An ingest of a blob of which nobody knows anything.
    pub(super) fn ingest(key: &str, expected: Expected) -> Box<dyn Ingest> {
        let algorithm = expected.digest.map_or(Algorithm::default(), |digest| digest.algorithm());
        Box::new(UnkeptIngest { key: key.to_owned(), expected, hasher: DigestHasher::new(algorithm), bytes: 0 })
    }
}

#[async_trait]
impl Provider for Unkept {
    async fn open(&self, _descriptor: &Descriptor) -> Result<Option<Box<dyn BlobReader>>> {
        Ok(None)
    }
}

#[async_trait]
impl Ingester for Unkept {
    async fn begin(&self, _lease: &Lease, key: &str, expected: Expected, _start: Start) -> Result<Begun> {
        if key.is_empty() {
            return Err(Error::new(ErrorKind::Invalid, "begin ingest", "without a key"));
        }
        Ok(Begun::Started(Self::ingest(key, expected)))
    }

    async fn abort(&self, _key: &str) -> Result<bool> {
        Ok(false)
    }

    async fn ingests(&self) -> Result<Vec<IngestStatus>> {
        Ok(Vec::new())
    }
}

#[async_trait]
impl Manager for Unkept {
    async fn info(&self, _digest: &Digest) -> Result<Option<BlobInfo>> {
        Ok(None)
    }

    async fn change_labels(&self, digest: &Digest, _changes: &[LabelChange]) -> Result<BlobInfo> {
        Err(Error::new(ErrorKind::NotFound, "change the labels of", digest))
    }

    fn list(&self) -> BoxStream<'_, Result<BlobInfo>> {
        stream::empty().boxed()
    }
}

#[derive(Debug)]
struct UnkeptIngest {
    key: String,
    expected: Expected,
    hasher: DigestHasher,
    bytes: u64,
}

#[async_trait]
impl Ingest for UnkeptIngest {
    fn offset(&self) -> u64 {
        self.bytes
    }

    fn status(&self) -> IngestStatus {
        IngestStatus {
            key: self.key.clone(),
            offset: self.bytes,
            expected: self.expected,
            started_at: Timestamp::UNIX_EPOCH,
            updated_at: Timestamp::UNIX_EPOCH,
        }
    }

    async fn write(&mut self, bytes: Bytes) -> Result<()> {
        self.hasher.update(&bytes);
        self.bytes += bytes.len() as u64;
        Ok(())
    }

    async fn keep(self: Box<Self>) -> Result<()> {
        Ok(())
    }

    async fn commit(self: Box<Self>, expected: Option<Digest>, labels: Labels) -> Result<Committed> {
        let digest = self.hasher.finish();
        let wrong = [expected, self.expected.digest].into_iter().flatten().any(|expected| expected != digest);
        if wrong || self.expected.size.is_some_and(|size| size != self.bytes) {
            return Err(Error::new(ErrorKind::Corrupt, "commit", digest));
        }
        let (created_at, updated_at) = (Timestamp::UNIX_EPOCH, Timestamp::UNIX_EPOCH);
        Ok(Committed::New(BlobInfo { digest, size: self.bytes, created_at, updated_at, labels }))
    }

    async fn abort(self: Box<Self>) -> Result<()> {
        Ok(())
    }
}
