//! Making the snapshots of refs that exist as blobs.

use std::sync::Arc;

use futures::future::try_join;

use crate::cache::core::Task;
use crate::cache::entry::Entry;
use crate::cache::id;
use crate::cache::immutable::ImmutableRef;
use crate::cache::lazy::make_all_present;
use crate::cache::missing::MissingBlobs;
use crate::cache::record::Record;
use crate::digest::Digest;
use crate::error::{Error, ErrorKind, Result};
use crate::labels::Labels;
use crate::ports::{ApplyOptions, ApplySource, Prepared, TemporaryLease};

/// The label by which a remote snapshotter is told which snapshot is going to be made. Mirrors: containerd
/// `core/snapshots`, `containerd.io/snapshot.ref`.
const TARGET_SNAPSHOT: &str = "containerd.io/snapshot.ref";

impl ImmutableRef {
    /// Makes sure that its snapshot is there and committed: unpacks the layers, from the topmost one that has a snapshot.
    /// Blobs that are elsewhere are pulled. A snapshot that has vanished is unpacked again if there is a blob.
    ///
    /// # Errors
    /// `NotFound` if a snapshot is missing and there is no blob for it, with [`MissingBlobs`] where blobs are missing; as
    /// [`make_present`](Self::make_present); `Unsupported` if an applier is needed and there is
    /// none; `Corrupt` and `LimitExceeded` as [`Applier::apply`](crate::ports::Applier::apply); the backends' own failures.
    ///
    /// # Cancel safety
    /// A dropped call leaves whole layers, each of which is used by the next one.
    pub async fn extract(&self) -> Result<()> {
        self.finalize().await?;
        let snapshotter = &self.backends().snapshotter;
        let mut missing = Vec::new();
        let mut next = Some(self.clone());
        while let Some(layer) = next {
            if snapshotter.stat(&layer.snapshot_key()).await?.is_some() {
                break;
            }
            next = layer.parent();
            missing.push(layer);
        }
        if missing.is_empty() {
            return Ok(());
        }
        missing.reverse();
        let unknown = self.missing_blobs().await?;
        let needed =
            |digest: &Digest| missing.iter().any(|of| of.layer().is_some_and(|it| it.descriptor.digest == *digest));
        let unknown = MissingBlobs::new(unknown.digests().iter().copied().filter(needed));
        if !unknown.is_empty() {
            return Err(unknown.into_error(self.id()));
        }
        // Layers are unpacked while those above are still pulled.
        try_join(make_all_present(&missing), unpack_all(&missing)).await.map(drop)
    }
}

/// Unpacks `layers`, bottom first.
async fn unpack_all(layers: &[ImmutableRef]) -> Result<()> {
    for layer in layers {
        let entry = layer.entry();
        entry.core().tasks.run(Task::Extract(layer.snapshot_key()), || unpack(Arc::clone(entry))).await?;
    }
    Ok(())
}

/// Unpacks the one layer of `entry`; what is under it must have its snapshot.
async fn unpack(entry: Arc<Entry>) -> Result<()> {
    let core = entry.core();
    let backends = &core.backends;
    let snapshotter = &backends.snapshotter;
    let (name, layer) = entry.read(|record| (record.snapshot.clone(), Record::layer(record)));
    if snapshotter.stat(&name).await?.is_some() {
        return Ok(());
    }
    let layer = layer.ok_or_else(|| Error::new(ErrorKind::NotFound, "find snapshot of ref without a blob", &name))?;
    let applier = backends.applier.as_ref();
    let applier =
        applier.ok_or_else(|| Error::new(ErrorKind::Unsupported, "unpack layer without an applier", &name))?;
    ImmutableRef::from_entry(Arc::clone(&entry)).make_present().await?;
    let lease = core.lease(entry.id()).await?;
    let temporary = TemporaryLease::create(backends.leases.as_ref()).await?;
    let key = format!("extract-{} {name}", id::fresh());
    let labels = Labels::from([(TARGET_SNAPSHOT.to_owned(), name.clone())]);
    let parent = entry.parent().map(ImmutableRef::snapshot_key);
    let mounts = match snapshotter.prepare(temporary.lease(), &key, parent.as_deref(), labels).await? {
        Prepared::Mounts(mounts) => mounts,
        Prepared::AlreadyCommitted => return temporary.release().await,
    };
    let mode = ImmutableRef::from_entry(Arc::clone(&entry)).layer_mode();
    let options = ApplyOptions::default().with_expected_diff_id(layer.diff_id).with_layer_mode(mode);
    let applied = applier.apply(&layer.descriptor, ApplySource::Committed, &mounts, &options).await?;
    if applied.diff_id != layer.diff_id {
        let found = Error::new(ErrorKind::Corrupt, "find another DiffID", applied.diff_id);
        return Err(Error::new(ErrorKind::Corrupt, "unpack layer", layer.descriptor.digest).with_source(found));
    }
    match snapshotter.commit(&lease, &name, &key, Labels::new()).await {
        Ok(()) => {}
        // Another process unpacked the same layers; ours goes with the temporary lease.
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
        Err(error) => return Err(error),
    }
    temporary.release().await
}
