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
/// where an earlier one of the same key stopped, and the target verifies digest and size. The source is not opened for a blob that
/// the target has, or that the descriptor carries inline.
///
/// Mirrors: containerd `core/content.Copy`, `core/remotes.FetchHandler`.
///
/// # Errors
/// `NotFound` if the source has no such blob; `Corrupt` if it gives another number of bytes or other bytes;
/// what the source and the target give. What was copied is kept, if it can still become the blob.
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
    let mut ingest = match target.begin(key, Expected::of(descriptor)).await? {
        Begun::AlreadyThere(info) => return Ok(Committed::AlreadyThere(info)),
        Begun::Started(ingest) => ingest,
    };
    match fill(source, descriptor, &mut *ingest).await {
        Ok(()) => ingest.commit(Some(descriptor.digest), labels).await,
        Err(error) => {
            let left = if error.kind() == ErrorKind::Corrupt { ingest.abort().await } else { ingest.keep().await };
            if let Err(left) = left {
                tracing::warn!(error = %left, key, "an ingest could not be left in order after its copy failed");
            }
            Err(error)
        }
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
        ingest.write(chunk?).await?;
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
