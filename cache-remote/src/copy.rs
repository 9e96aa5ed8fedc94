//! One blob from its provider into a target.

use std::borrow::Cow;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use cache_core::ports::{Begun, BlobReader, ByteStream, Expected, ExportTarget, Ingest, Phase};
use cache_core::{Descriptor, Error, ErrorKind, Labels, Result};
use futures::{StreamExt, TryStreamExt, stream};

/// Tells apart the keys that one process uses when the usual one is taken.
static SERIAL: AtomicU64 = AtomicU64::new(0);

/// Copies the blob of `descriptor` from `reader`, beginning where an earlier attempt ended. The target verifies it. Once
/// `stopped` is set, the copy ends as `Cancelled`, and the target may keep what it has. While somebody else writes the
/// same blob, it is written under another key, so that neither has to wait for the other.
pub(crate) async fn copy_blob(
    reader: &dyn BlobReader,
    descriptor: &Descriptor,
    key: &str,
    target: &dyn ExportTarget,
    phase: &Phase,
    stopped: &AtomicBool,
) -> Result<()> {
    let expected = Expected::of(descriptor);
    let mut key = Cow::Borrowed(key);
    let begun = match target.begin(&key, expected).await {
        Err(error) if error.kind() == ErrorKind::Busy => {
            let serial = SERIAL.fetch_add(1, Ordering::Relaxed);
            key = Cow::Owned(format!("{key}-{}-{serial}", std::process::id()));
            target.begin(&key, expected).await?
        }
        begun => begun?,
    };
    let Begun::Started(mut ingest) = begun else { return Ok(()) };
    match fill(ingest.as_mut(), reader, descriptor, phase, stopped).await {
        Ok(()) => {}
        Err((error, true)) => {
            ingest.keep().await?;
            return Err(error);
        }
        Err((error, false)) => return Err(error),
    }
    match ingest.commit(Some(descriptor.digest), Labels::new()).await {
        Ok(_) => Ok(()),
        Err(error) => {
            // Wrong bytes must not be what the next attempt resumes from.
            if error.kind() == ErrorKind::Corrupt
                && let Ok(Begun::Started(left)) = target.begin(&key, expected).await
            {
                left.abort().await?;
            }
            Err(error)
        }
    }
}

/// Writes what the ingest lacks. An error says whether the ingest can still be kept.
async fn fill(
    ingest: &mut dyn Ingest,
    reader: &dyn BlobReader,
    descriptor: &Descriptor,
    phase: &Phase,
    stopped: &AtomicBool,
) -> Result<(), (Error, bool)> {
    let keep = |error| (error, true);
    let mut stream = reader.read(ingest.offset()..descriptor.size).await.map_err(keep)?;
    while let Some(chunk) = stream.try_next().await.map_err(keep)? {
        if stopped.load(Ordering::Relaxed) {
            return Err(keep(Error::new(ErrorKind::Cancelled, "copy blob", descriptor.digest)));
        }
        ingest.write(chunk).await.map_err(|error| (error, false))?;
        phase.advance(ingest.offset());
    }
    Ok(())
}

/// A document that is in memory.
#[derive(Debug)]
pub(crate) struct InMemory(pub(crate) Bytes);

#[async_trait]
impl BlobReader for InMemory {
    fn size(&self) -> u64 {
        self.0.len() as u64
    }

    async fn read(&self, range: Range<u64>) -> Result<ByteStream> {
        let length = self.0.len();
        let end = usize::try_from(range.end).unwrap_or(length).min(length);
        let start = usize::try_from(range.start).unwrap_or(length).min(end);
        let rest = self.0.slice(start..end);
        Ok(stream::iter((!rest.is_empty()).then_some(Ok(rest))).boxed())
    }

    fn local_file(&self) -> Option<PathBuf> {
        None
    }
}
