//! Committing the snapshot of a ref.

use std::sync::{Arc, Weak};

use crate::backends::Backends;
use crate::cache::core::{Core, Task, lease_of};
use crate::cache::entry::Entry;
use crate::cache::immutable::ImmutableRef;
use crate::cache::record::{Phase, Record};
use crate::cache::records::Records;
use crate::error::{ErrorKind, Result};
use crate::labels::Labels;

impl ImmutableRef {
    /// Commits its snapshot, unless that is done. From then on it cannot be taken back as a mutable ref.
    ///
    /// # Errors
    /// The snapshotter's and the metadata store's own failures; it can be repeated.
    ///
    /// # Cancel safety
    /// A dropped call either committed or not. Once it has begun to, the manager's next operation goes on with it.
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
    let (name, key) = entry.read(|record| (record.snapshot.clone(), record.active_key()));
    let finalization = Finalization {
        backends: core.backends.clone(),
        records: core.records.clone(),
        core: Arc::downgrade(core),
        id: entry.id().to_owned(),
        name,
        key,
    };
    core.complete(entry.in_use(), finalization.run()).await
}

/// The two steps of a finalization: the snapshot is committed, then the record says so. Somebody who takes the ref back in
/// between would have nothing to write to.
struct Finalization {
    backends: Backends,
    records: Records,
    core: Weak<Core>,
    id: String,
    name: String,
    key: String,
}

impl Finalization {
    async fn run(self) -> Result<()> {
        let lease = lease_of(self.backends.leases.as_ref(), &self.id).await?;
        let snapshotter = &self.backends.snapshotter;
        match snapshotter.commit(&lease, &self.name, &self.key, Labels::new()).await {
            Ok(()) => {}
            // Another process came first, or one died between this commit and the record's change.
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) if error.kind() == ErrorKind::NotFound && snapshotter.stat(&self.name).await?.is_some() => {}
            Err(error) => return Err(error),
        }
        let loaded = self.records.update(&self.id, finalize).await?;
        if let Some(entry) = self.core.upgrade().and_then(|core| core.live(&self.id)) {
            entry.learn(loaded);
        }
        Ok(())
    }
}

/// Notes in a record that its snapshot is committed.
pub(super) fn finalize(record: &mut Record) -> Result<()> {
    record.phase = Phase::Finalized;
    Ok(())
}
