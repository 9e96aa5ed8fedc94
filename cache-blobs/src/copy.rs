//! Copying a blob from where it can be read to where it is wanted.

use cache_core::ports::{Begun, BlobReader, Committed, Expected, ExportTarget, Fetcher, Ingest, Provider};
use cache_core::{Descriptor, Error, ErrorKind, Labels, Result};
use futures::StreamExt;

/// Where a blob is read.
#[derive(Clone, Copy, Debug)]
pub enum BlobSource<'a> {
    /// A content store.
    Provider(&'a dyn Provider),
    /// A remote.
    Fetcher(&'a dyn Fetcher),
}

impl BlobSource<'_> {
    /// Opens the blob of `descriptor`; `None` if the source has none.
    ///
    /// # Errors
    /// What the source gives.
    pub async fn open(&self, descriptor: &Descriptor) -> Result<Option<Box<dyn BlobReader>>> {
        match self {
            Self::Provider(provider) => provider.open(descriptor).await,
            Self::Fetcher(fetcher) => fetcher.fetch(descriptor).await,
        }
    }
}

/// Copies the blob of `descriptor` from `source` to `target` as the ingest `key`, and gives it `labels`. The copy goes on
/// where an earlier one of the same key stopped, and the target verifies digest and size. Bytes of an earlier copy that turn out
/// to be wrong are dropped, and the copy begins anew. The source is not opened for a blob that the target has, or that
/// the descriptor carries inline.
///
/// Mirrors: containerd `core/content.Copy`, `core/remotes.FetchHandler`.
///
/// # Errors
/// `NotFound` if the source has no such blob; `Corrupt` if it gives another number of bytes or other bytes, of which nothing is
/// kept; what the source and the target give, where the bytes so far are kept for the next call.
///
/// # Cancel safety
/// A dropped call leaves nothing visible; whether its bytes are kept for the next call is the target's choice.
pub async fn copy_blob(
    source: BlobSource<'_>,
    target: &dyn ExportTarget,
    descriptor: &Descriptor,
    key: &str,
    labels: Labels,
) -> Result<Committed> {
    loop {
        let mut ingest = match target.begin(key, Expected::of(descriptor)).await? {
            Begun::AlreadyThere(info) => return Ok(Committed::AlreadyThere(info)),
            Begun::Started(ingest) => ingest,
        };
        let resumed = ingest.offset() > 0;
        if let Err(error) = fill(source, descriptor, &mut *ingest).await {
            let left = if error.kind() == ErrorKind::Corrupt { ingest.abort().await } else { ingest.keep().await };
            in_order(left, key);
            return Err(error);
        }
        match ingest.commit(Some(descriptor.digest), labels.clone()).await {
            Err(error) if error.kind() == ErrorKind::Corrupt => {
                in_order(drop_kept(target, descriptor, key).await, key);
                if !resumed {
                    return Err(error);
                }
                tracing::warn!(key, digest = %descriptor.digest, "a resumed copy was corrupt and begins anew");
            }
            committed => return committed,
        }
    }
}

/// Drops what a refused commit leaves behind, from which every later copy would resume in vain.
async fn drop_kept(target: &dyn ExportTarget, descriptor: &Descriptor, key: &str) -> Result<()> {
    match target.begin(key, Expected::of(descriptor)).await? {
        Begun::AlreadyThere(_) => Ok(()),
        Begun::Started(kept) => kept.abort().await,
    }
}

fn in_order(left: Result<()>, key: &str) {
    if let Err(error) = left {
        tracing::warn!(%error, key, "an ingest could not be left in order after its copy failed");
    }
}

/// Writes what `ingest` lacks of the blob.
async fn fill(source: BlobSource<'_>, descriptor: &Descriptor, ingest: &mut dyn Ingest) -> Result<()> {
    let offset = ingest.offset();
    if offset > descriptor.size {
        return Err(corrupt(descriptor, "an ingest with more bytes than the blob has"));
    }
    if offset == descriptor.size {
        return Ok(());
    }
    if let Some(data) = descriptor.verified_data() {
        let rest = usize::try_from(offset).ok().and_then(|offset| data.get(offset..)).unwrap_or_default();
        return ingest.write(bytes::Bytes::copy_from_slice(rest)).await;
    }
    let Some(reader) = source.open(descriptor).await? else {
        return Err(Error::new(ErrorKind::NotFound, "copy blob", descriptor.digest));
    };
    if reader.size() != descriptor.size {
        return Err(corrupt(descriptor, format_args!("a source with {} bytes", reader.size())));
    }
    let mut stream = reader.read(offset..descriptor.size).await?;
    while let Some(chunk) = stream.next().await {
        let chunk = chunk?;
        if ingest.offset() + chunk.len() as u64 > descriptor.size {
            return Err(corrupt(descriptor, "a source that gives more"));
        }
        ingest.write(chunk).await?;
    }
    if ingest.offset() != descriptor.size {
        return Err(corrupt(descriptor, format_args!("a source that ended after {} bytes", ingest.offset())));
    }
    Ok(())
}

fn corrupt(descriptor: &Descriptor, what: impl std::fmt::Display) -> Error {
    let target = format_args!("{} of {} bytes from {what}", descriptor.digest, descriptor.size);
    Error::new(ErrorKind::Corrupt, "copy blob", target)
}
