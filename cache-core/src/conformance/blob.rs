//! Whole blobs, written and read through the ports.

use std::ops::Range;

use bytes::Bytes;
use futures::TryStreamExt;

use crate::conformance::Unmet;
use crate::conformance::check::Violation;
use crate::descriptor::Descriptor;
use crate::digest::Digest;
use crate::error::Result;
use crate::labels::Labels;
use crate::media_type::MediaType;
use crate::ports::{Begun, BlobInfo, BlobReader, ByteStream, Expected, Ingest, Ingester, Lease, Provider, Start};

/// The whole of any blob.
pub(super) const ALL: Range<u64> = 0..u64::MAX;

/// A descriptor that says nothing but the digest.
pub(super) fn named(digest: Digest) -> Descriptor {
    Descriptor::new(MediaType::default(), digest, 0)
}

/// The ingest that must have been started.
#[track_caller]
pub(super) fn started(begun: Result<Begun>) -> Result<Box<dyn Ingest>, Unmet> {
    match begun? {
        Begun::Started(ingest) => Ok(ingest),
        Begun::AlreadyThere(info) => {
            Err(Violation::new(format!("an ingest must start, but {} is said to be there", info.digest)).into())
        }
    }
}

/// Commits `bytes` with `labels` through the ingest `key`.
pub(super) async fn put(
    store: &dyn Ingester,
    lease: &Lease,
    key: &str,
    bytes: &Bytes,
    labels: Labels,
) -> Result<BlobInfo, Unmet> {
    let mut ingest = started(store.begin(lease, key, Expected::UNKNOWN, Start::Fresh).await)?;
    ingest.write(bytes.clone()).await?;
    Ok(ingest.commit(None, labels).await?.into_info())
}

/// The bytes of `range`; `None` if there is no such blob.
pub(super) async fn read(store: &dyn Provider, digest: Digest, range: Range<u64>) -> Result<Option<Bytes>, Unmet> {
    match store.open(&named(digest)).await? {
        Some(reader) => Ok(Some(read_range(&*reader, range).await?)),
        None => Ok(None),
    }
}

/// The bytes of `range`.
pub(super) async fn read_range(reader: &dyn BlobReader, range: Range<u64>) -> Result<Bytes> {
    gather(reader.read(range).await?).await
}

/// The bytes of a stream in one piece.
pub(super) async fn gather(stream: ByteStream) -> Result<Bytes> {
    let chunks: Vec<Bytes> = stream.try_collect().await?;
    Ok(chunks.concat().into())
}

/// Labels from pairs.
pub(super) fn labels<const N: usize>(pairs: [(&str, &str); N]) -> Labels {
    pairs.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
}
