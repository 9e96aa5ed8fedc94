//! Blobs from their providers into a target.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use cache_blobs::remote::RemoteLayer;
use cache_blobs::{BlobSource, BusyKey, CopyOptions, copy_blob};
use cache_core::Digest;
use cache_core::ports::{ExportTarget, Phase, Progress};
use futures::StreamExt;

use crate::error::CacheError;

/// How many layers are copied at a time by default, as BuildKit allows for each registry.
pub(crate) const PARALLEL_LAYERS: NonZeroUsize = NonZeroUsize::new(4).expect("four is not zero");

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
            let options =
                CopyOptions::default().with_busy_key(BusyKey::UseAnother).with_phase(&phase).with_stop(stopped);
            let source = BlobSource::Provider(layer.provider.as_ref());
            let copied = copy_blob(source, target, descriptor, &key, &options).await.map_err(CacheError::from);
            stopped.fetch_or(copied.is_err(), Ordering::Relaxed);
            phase.finish(copied.as_ref().err().map(CacheError::kind));
            copied.map(drop)
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
