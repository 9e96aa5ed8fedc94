//! Taking a ref back to write to it.

use crate::cache::core::{use_lock, writer_lock};
use crate::cache::id;
use crate::cache::manager::CacheManager;
use crate::cache::mutable::MutableRef;
use crate::cache::record::{Phase, Record};
use crate::error::{Error, ErrorKind, Result};
use crate::ports::LockMode;

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
        let busy = || Error::new(ErrorKind::Busy, "get mutable ref", id);
        refuse_finalized(&self.core.records.require(id).await?.record)?;
        if self.core.is_live(id) {
            return Err(busy());
        }
        let locks = &self.core.backends.locks;
        let alone = locks.try_acquire(&use_lock(id), LockMode::Exclusive).await?.ok_or_else(busy)?;
        let writer = locks.try_acquire(&writer_lock(id), LockMode::Exclusive).await?.ok_or_else(busy)?;
        let name = id::fresh();
        let reopened = self.core.records.update(id, |record| reopen(record, &name)).await?.record;
        // The writer's lock keeps others out while the lock is exchanged.
        drop(alone);
        let in_use = locks.acquire(&use_lock(id), LockMode::Shared).await?;
        let parent = match reopened.lineage.parent() {
            Some(parent) => Some(self.core.open(parent).await?),
            None => None,
        };
        let loaded = self.core.records.require(id).await?;
        let entry = self.core.admit(loaded, in_use, parent);
        entry.give_out();
        Ok(MutableRef::new(entry, writer))
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
