//! Committing the snapshot of a ref.

use std::sync::Arc;

use crate::cache::core::Task;
use crate::cache::entry::Entry;
use crate::cache::immutable::ImmutableRef;
use crate::cache::record::{Phase, Record};
use crate::error::{ErrorKind, Result};
use crate::labels::Labels;

impl ImmutableRef {
    /// Commits its snapshot, unless that is done. From then on it cannot be taken back as a mutable ref.
    ///
    /// # Errors
    /// The snapshotter's and the metadata store's own failures; it can be repeated.
    ///
    /// # Cancel safety
    /// A dropped call either committed or not; the next one finds out.
    pub async fn finalize(&self) -> Result<()> {
        if self.is_finalized() {
            return Ok(());
        }
        let entry = self.entry();
        entry.core().tasks.run(Task::Finalize(entry.id().to_owned()), || commit_snapshot(Arc::clone(entry))).await
    }
}

async fn commit_snapshot(entry: Arc<Entry>) -> Result<()> {
    if entry.phase() == Phase::Finalized {
        return Ok(());
    }
    let core = entry.core();
    let lease = core.lease(entry.id()).await?;
    let (name, key) = entry.read(|record| (record.snapshot.clone(), record.active_key()));
    let snapshotter = &core.backends.snapshotter;
    match snapshotter.commit(&lease, &name, &key, Labels::new()).await {
        Ok(()) => {}
        // Another process came first, or one died between this commit and the record's change.
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
        Err(error) if error.kind() == ErrorKind::NotFound && snapshotter.stat(&name).await?.is_some() => {}
        Err(error) => return Err(error),
    }
    entry.update(finalize).await
}

/// Notes in a record that its snapshot is committed.
pub(super) fn finalize(record: &mut Record) -> Result<()> {
    record.phase = Phase::Finalized;
    Ok(())
}
