//! Removal of one record.

use crate::cache::core::{Core, use_lock, writer_lock};
use crate::cache::record::Record;
use crate::error::Result;
use crate::ports::{LockGuard, LockMode};

/// How a removal ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Removal {
    /// The record and its lease are gone.
    Removed,
    /// A handle in some process or a child record keeps it.
    Kept,
}

/// A record that nobody can use while this lives.
#[derive(Debug)]
pub(super) struct Alone<'a> {
    core: &'a Core,
    id: &'a str,
    _locks: [Box<dyn LockGuard>; 2],
}

impl Core {
    /// The record `id`, there or not, unless somebody uses it.
    pub(super) async fn alone<'a>(&'a self, id: &'a str) -> Result<Option<Alone<'a>>> {
        if self.is_live(id) {
            return Ok(None);
        }
        let locks = &self.backends.locks;
        let Some(in_use) = locks.try_acquire(&use_lock(id), LockMode::Exclusive).await? else { return Ok(None) };
        let Some(writer) = locks.try_acquire(&writer_lock(id), LockMode::Exclusive).await? else { return Ok(None) };
        Ok(Some(Alone { core: self, id, _locks: [in_use, writer] }))
    }
}

impl Alone<'_> {
    pub(super) fn core(&self) -> &Core {
        self.core
    }

    /// What is stored now.
    pub(super) async fn record(&self) -> Result<Option<Record>> {
        Ok(self.core.records.load(self.id).await?.map(|loaded| loaded.record))
    }

    /// Notes in the record what happened to it.
    pub(super) async fn update(&self, change: fn(&mut Record) -> Result<()>) -> Result<()> {
        self.core.records.update(self.id, change).await.map(drop)
    }

    /// Removes the record and its lease, unless a child keeps it. Its snapshot, its blob and the blob's variants can be
    /// collected then.
    ///
    /// The record is marked first and goes last: whoever finds the mark goes on. A lease without a record is removed too.
    pub(super) async fn remove(self) -> Result<Removal> {
        let records = &self.core.records;
        if let Some(record) = self.record().await? {
            if records.has_children(self.id).await? {
                return Ok(Removal::Kept);
            }
            if !record.deleted {
                self.update(mark).await?;
            }
        }
        let leases = &self.core.backends.leases;
        leases.delete(self.id).await?;
        records.delete(self.id).await?;
        Ok(Removal::Removed)
    }
}

fn mark(record: &mut Record) -> Result<()> {
    record.deleted = true;
    Ok(())
}
