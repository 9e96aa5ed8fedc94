//! Read-only views of refs.

use std::sync::Arc;

use crate::cache::core::Task;
use crate::cache::entry::Entry;
use crate::cache::id;
use crate::cache::immutable::ImmutableRef;
use crate::cache::mounted::MountedRef;
use crate::error::{Error, ErrorKind, Result};
use crate::labels::Labels;
use crate::ports::{Access, Mount, TemporaryLease};

/// A view of a ref's snapshot; it ends with the last handle of the ref in this process.
#[derive(Debug)]
pub(super) struct View {
    mounts: Vec<Mount>,
    _lease: TemporaryLease,
}

impl ImmutableRef {
    /// The mounts that show its file system, read-only, as long as a handle of it lives in this process. Makes the snapshot
    /// if it is missing.
    ///
    /// # Errors
    /// As [`extract`](Self::extract); the snapshotter's own failures.
    ///
    /// # Cancel safety
    /// A dropped call leaves at most a view that ends with the ref's handles.
    pub async fn mounts(&self) -> Result<Vec<Mount>> {
        let entry = self.entry();
        if let Some(view) = entry.view().clone() {
            return Ok(view.mounts.clone());
        }
        self.extract().await?;
        entry.core().tasks.run(Task::View(entry.id().to_owned()), || make(Arc::clone(entry))).await?;
        let view = entry.view().clone();
        let view = view.ok_or_else(|| Error::new(ErrorKind::NotFound, "find view of ref", entry.id()))?;
        Ok(view.mounts.clone())
    }

    /// Its file system, read-only.
    ///
    /// # Errors
    /// As [`mounts`](Self::mounts) and [`Mounter::mount`](crate::ports::Mounter::mount).
    ///
    /// # Cancel safety
    /// A dropped call leaves no mount.
    pub async fn mount(&self) -> Result<MountedRef> {
        let mounts = self.mounts().await?;
        let tree = self.backends().mounter.mount(&mounts, Access::ReadOnly).await?;
        Ok(MountedRef::new(tree, Arc::clone(self.entry())))
    }
}

async fn make(entry: Arc<Entry>) -> Result<()> {
    if entry.view().is_some() {
        return Ok(());
    }
    let backends = &entry.core().backends;
    let lease = TemporaryLease::create(backends.leases.as_ref()).await?;
    // Other processes have views of the same ref.
    let key = format!("{}-view-{}", entry.id(), id::fresh());
    let name = entry.read(|record| record.snapshot.clone());
    let mounts = backends.snapshotter.view(lease.lease(), &key, Some(&name), Labels::new()).await?;
    *entry.view() = Some(Arc::new(View { mounts, _lease: lease }));
    Ok(())
}
