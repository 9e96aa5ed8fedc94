//! One blob on its way into a layout.

use std::os::fd::AsFd;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use cache_core::ports::{BlobInfo, Committed, Expected, Ingest, IngestStatus, Pool, PoolExt};
use cache_core::{Digest, DigestHasher, Error, ErrorKind, Labels, Result, Timestamp};

use super::directory::Directory;
use super::temporary::Temporary;

/// The bytes so far.
#[derive(Debug)]
struct Partial {
    directory: Arc<Directory>,
    temporary: Temporary,
    hasher: DigestHasher,
}

impl Partial {
    fn create(directory: Arc<Directory>, expected: Expected) -> Result<Self> {
        let algorithm = expected.digest.map(|digest| digest.algorithm()).unwrap_or_default();
        let temporary = Temporary::create(&directory)?;
        Ok(Self { directory, temporary, hasher: DigestHasher::new(algorithm) })
    }

    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.temporary.write(bytes)?;
        self.hasher.update(bytes);
        Ok(())
    }

    /// Moves the file to its place, where it replaces one of another length.
    fn commit(self, size: u64, expected: Expected) -> Result<Committed> {
        let digest = self.hasher.finish();
        if expected.digest.is_some_and(|expected| expected != digest) || expected.size.is_some_and(|it| it != size) {
            let wanted = expected.digest.unwrap_or(digest);
            return Err(Error::new(ErrorKind::Corrupt, "commit blob", wanted).with_source(Mismatch { digest, size }));
        }
        if let Some((_, there)) = self.directory.open_blob(&digest)?
            && there == size
        {
            return Ok(Committed::AlreadyThere(blob_info(digest, size)));
        }
        let blobs = self.directory.make_blob_directory(digest.algorithm())?;
        self.temporary.persist(blobs.as_fd(), &digest.hex())?;
        Ok(Committed::New(blob_info(digest, size)))
    }
}

/// What arrived in the place of the expected blob.
#[derive(Debug)]
struct Mismatch {
    digest: Digest,
    size: u64,
}

impl std::fmt::Display for Mismatch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "the bytes have the digest {} and the length {}", self.digest, self.size)
    }
}

impl std::error::Error for Mismatch {}

pub(super) fn blob_info(digest: Digest, size: u64) -> BlobInfo {
    let now = Timestamp::now();
    BlobInfo { digest, size, created_at: now, updated_at: now, labels: Labels::new() }
}

/// A writer. A layout keeps no partial blobs: [`Ingest::keep`] drops the bytes, as [`Ingest::abort`] does, and so does
/// a failed commit; and it has no place for labels.
#[derive(Debug)]
pub(super) struct LayoutIngest {
    partial: Option<Partial>,
    status: IngestStatus,
    pool: Arc<dyn Pool>,
}

impl LayoutIngest {
    pub(super) async fn begin(
        directory: Arc<Directory>,
        pool: Arc<dyn Pool>,
        key: &str,
        expected: Expected,
    ) -> Result<Self> {
        let partial = pool.run(move || Partial::create(directory, expected)).await?;
        let now = Timestamp::now();
        let status = IngestStatus { key: key.to_owned(), offset: 0, expected, started_at: now, updated_at: now };
        Ok(Self { partial: Some(partial), status, pool })
    }

    fn take(&mut self) -> Result<Partial> {
        self.partial.take().ok_or_else(|| Error::new(ErrorKind::Invalid, "use an ended ingest", &self.status.key))
    }
}

#[async_trait]
impl Ingest for LayoutIngest {
    fn offset(&self) -> u64 {
        self.status.offset
    }

    fn status(&self) -> IngestStatus {
        self.status.clone()
    }

    async fn write(&mut self, bytes: Bytes) -> Result<()> {
        let mut partial = self.take()?;
        let offset = self.status.offset + bytes.len() as u64;
        if self.status.expected.size.is_some_and(|size| offset > size) {
            return Err(Error::new(ErrorKind::LimitExceeded, "write past the expected size of", &self.status.key));
        }
        let written = self.pool.run(move || partial.write(&bytes).map(|()| partial)).await?;
        self.partial = Some(written);
        self.status.offset = offset;
        self.status.updated_at = Timestamp::now();
        Ok(())
    }

    async fn keep(mut self: Box<Self>) -> Result<()> {
        self.discard().await
    }

    async fn commit(mut self: Box<Self>, expected: Option<Digest>, _labels: Labels) -> Result<Committed> {
        let partial = self.take()?;
        let begun = self.status.expected;
        if let (Some(first), Some(second)) = (begun.digest, expected)
            && first != second
        {
            return Err(Error::new(ErrorKind::Corrupt, "commit blob", second));
        }
        let expected = Expected { digest: expected.or(begun.digest), size: begun.size };
        let size = self.status.offset;
        self.pool.run(move || partial.commit(size, expected)).await
    }

    async fn abort(mut self: Box<Self>) -> Result<()> {
        self.discard().await
    }
}

impl LayoutIngest {
    async fn discard(&mut self) -> Result<()> {
        let partial = self.take()?;
        self.pool
            .run(move || {
                drop(partial);
                Ok(())
            })
            .await
    }
}
