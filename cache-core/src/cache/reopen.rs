//! Taking a ref back to write to it.

use crate::cache::core::{Core, use_lock, writer_lock};
use crate::cache::finalize::finalize;
use crate::cache::id;
use crate::cache::manager::CacheManager;
use crate::cache::mutable::MutableRef;
use crate::cache::record::{Phase, Record};
use crate::error::{Error, ErrorKind, Result};
use crate::ports::{LockGuard, LockMode};

impl CacheManager {
    /// The mutable ref `id` that was retained, or a committed one that was not finalized yet, to be written to again.
    ///
    /// # Errors
    /// `NotFound` if there is none; `Busy` while another handle of it lives in any process; `Invalid` if it is finalized.
    ///
    /// # Cancel safety
    /// A dropped call may leave a committed ref mutable; it can be taken back again.
    ///
    /// Mirrors: BuildKit `cache/manager.go`, `GetMutable`.
    pub async fn get_mutable(&self, id: &str) -> Result<MutableRef> {
        self.core.settle().await;
        refuse_finalized(&self.core.records.require(id).await?.record)?;
        let (alone, writer) = self.core.take_back(id).await?;
        if self.core.is_without_active_snapshot(id).await? {
            // A process died between the commit of the snapshot and the record's change.
            self.core.records.update(id, finalize).await?;
        }
        let name = id::fresh();
        let reopened = self.core.records.update(id, |record| reopen(record, &name)).await?.record;
        // The writer's lock keeps others out while the lock is exchanged.
        drop(alone);
        let in_use = self.core.backends.locks.acquire(&use_lock(id), LockMode::Shared).await?;
        let parent = match reopened.lineage.parent() {
            Some(parent) => Some(self.core.open(parent).await?),
            None => None,
        };
        let loaded = self.core.records.require(id).await?;
        let entry = self.core.admit(loaded, in_use.into(), parent);
        entry.give_out();
        Ok(MutableRef::new(entry, writer))
    }
}

/// How often it is waited for others that have the record for themselves without a handle of it: those that remove, recover
/// or take back. More than a few in a row mean that they are broken.
const MAX_WAITS: u32 = 100;

type Locked = (Box<dyn LockGuard>, Box<dyn LockGuard>);

impl Core {
    /// The locks of the record and of its writer, unless a handle of it lives.
    async fn take_back(&self, id: &str) -> Result<Locked> {
        let busy = || Error::new(ErrorKind::Busy, "get mutable ref", id);
        let (locks, name) = (&self.backends.locks, use_lock(id));
        for _ in 0..MAX_WAITS {
            if self.is_live(id) {
                return Err(busy());
            }
            if let Some(alone) = locks.try_acquire(&name, LockMode::Exclusive).await? {
                let writer = locks.try_acquire(&writer_lock(id), LockMode::Exclusive).await?;
                return Ok((alone, writer.ok_or_else(busy)?));
            }
            if locks.holder(&name).await? == Some(LockMode::Shared) {
                return Err(busy());
            }
            drop(locks.acquire(&name, LockMode::Shared).await?);
        }
        Err(busy())
    }

    async fn is_without_active_snapshot(&self, id: &str) -> Result<bool> {
        let record = self.records.require(id).await?.record;
        let snapshotter = &self.backends.snapshotter;
        let is_active = snapshotter.stat(&record.active_key()).await?.is_some();
        Ok(!is_active && snapshotter.stat(&record.snapshot).await?.is_some())
    }
}

fn refuse_finalized(record: &Record) -> Result<()> {
    if record.phase == Phase::Finalized {
        return Err(Error::new(ErrorKind::Invalid, "get mutable ref that is finalized", &record.id));
    }
    Ok(())
}

fn reopen(record: &mut Record, writer: &str) -> Result<()> {
    refuse_finalized(record)?;
    writer.clone_into(&mut record.writer);
    record.phase = Phase::Mutable;
    Ok(())
}
