//! Blobs from their providers into a target.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use cache_blobs::remote::RemoteLayer;
use cache_core::ports::{Begun, Expected, ExportTarget, Ingest, Phase, Progress, Provider};
use cache_core::{Descriptor, Digest, Error, ErrorKind, Labels};
use futures::{StreamExt, TryStreamExt};

use crate::error::CacheError;

/// How many layers are copied at a time by default, as BuildKit allows for each registry.
pub(crate) const PARALLEL_LAYERS: NonZeroUsize = NonZeroUsize::new(4).expect("four is not zero");

/// Tells apart the keys that one process uses when the usual one is taken.
static SERIAL: AtomicU64 = AtomicU64::new(0);

/// `layers`, each blob once, by digest.
pub(crate) fn distinct(layers: &[RemoteLayer]) -> BTreeMap<Digest, RemoteLayer> {
    layers.iter().rev().map(|layer| (layer.layer.descriptor.digest, layer.clone())).collect()
}

/// Copies every distinct blob of `layers`, each in a phase `verb` and its digest. After a failure nothing new is begun,
/// and what has begun ends before the failure is told.
pub(crate) async fn copy_layers(
    layers: &[RemoteLayer],
    target: &dyn ExportTarget,
    verb: &str,
    parallel: NonZeroUsize,
    progress: &Arc<dyn Progress>,
) -> Result<(), CacheError> {
    let stopped = AtomicBool::new(false);
    let copies = distinct(layers).into_values().map(|layer| {
        let stopped = &stopped;
        async move {
            if stopped.load(Ordering::Relaxed) {
                return Ok(());
            }
            let descriptor = &layer.layer.descriptor;
            let phase = Phase::start(progress, format!("{verb} {}", descriptor.digest));
            let key = format!("layer-{}", descriptor.digest);
            let copied = copy_blob(layer.provider.as_ref(), descriptor, &key, target, &phase, stopped).await;
            stopped.fetch_or(copied.is_err(), Ordering::Relaxed);
            phase.finish(copied.as_ref().err().map(CacheError::kind));
            copied
        }
    });
    let mut copies = futures::stream::iter(copies).buffer_unordered(parallel.get());
    let mut failure = None;
    while let Some(outcome) = copies.next().await {
        // The first one is the reason of the others.
        failure = failure.or(outcome.err());
    }
    failure.map_or(Ok(()), Err)
}

/// Copies the blob of `descriptor` from `source`, beginning where an earlier attempt ended. The target verifies it. The
/// source is not opened for what the target has.
///
/// Once `stopped` is set, the copy ends as `Cancelled`, and the target may keep what it has. While somebody else writes
/// the same blob, it is written under another key, so that neither has to wait for the other.
pub(crate) async fn copy_blob(
    source: &dyn Provider,
    descriptor: &Descriptor,
    key: &str,
    target: &dyn ExportTarget,
    phase: &Phase,
    stopped: &AtomicBool,
) -> Result<(), CacheError> {
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
    let filled = fill(ingest.as_mut(), source, descriptor, phase, stopped).await;
    match filled {
        Ok(()) => {}
        Err(Filling::Source(error)) => {
            let left = match error.kind() {
                ErrorKind::Corrupt | ErrorKind::NotFound => ingest.abort().await,
                _ => ingest.keep().await,
            };
            if let Err(left) = left {
                tracing::warn!(error = %left, key = &*key, "an ingest could not be left in order after its copy failed");
            }
            return Err(error);
        }
        Err(Filling::Target(error)) => return Err(error.into()),
    }
    let Err(error) = ingest.commit(Some(descriptor.digest), Labels::new()).await else { return Ok(()) };
    // Wrong bytes must not be what the next attempt goes on from.
    if error.kind() == ErrorKind::Corrupt
        && let Ok(Begun::Started(left)) = target.begin(&key, expected).await
    {
        left.abort().await?;
    }
    Err(error.into())
}

/// Which side failed. A target's failure has ended the ingest.
enum Filling {
    Source(CacheError),
    Target(Error),
}

impl From<Error> for Filling {
    fn from(error: Error) -> Self {
        Self::Source(error.into())
    }
}

/// Writes what the ingest lacks.
async fn fill(
    ingest: &mut dyn Ingest,
    source: &dyn Provider,
    descriptor: &Descriptor,
    phase: &Phase,
    stopped: &AtomicBool,
) -> Result<(), Filling> {
    let missing = || Filling::Source(CacheError::MissingBlob(descriptor.digest));
    let reader = source.open(descriptor).await?.ok_or_else(missing)?;
    if reader.size() != descriptor.size {
        return Err(Error::new(ErrorKind::Corrupt, "copy blob of another size than", descriptor.digest).into());
    }
    let mut stream = reader.read(ingest.offset()..descriptor.size).await?;
    while let Some(chunk) = stream.try_next().await? {
        if stopped.load(Ordering::Relaxed) {
            return Err(Error::new(ErrorKind::Cancelled, "copy blob", descriptor.digest).into());
        }
        ingest.write(chunk).await.map_err(Filling::Target)?;
        phase.advance(ingest.offset());
    }
    Ok(())
}
