//! The process that has the store open, as the others see it.

use std::fs::{File, OpenOptions};
use std::io;

use rusqlite::{Connection, params};
use rustix::fs::FlockOperation;

use crate::error::{Error, Result};
use crate::local::database::Durability;
use crate::local::durable::Disk;
use crate::local::flock;
use crate::local::gate::Gate;
use crate::local::layout::Layout;
use crate::local::sql::SqlContext;

/// One opening of the store. It lives as long as its lock file is locked, which ends with the process at the latest.
#[derive(Debug)]
pub(super) struct Owner {
    id: String,
    lock: File,
}

impl Owner {
    /// Enters a new owner. The gate keeps others from taking the lock file for a dead owner's before it is locked.
    pub(super) fn enter(gate: &mut Gate<'_>, layout: &Layout, disk: &Disk, now: i64) -> Result<Self> {
        let id: String = gate.write(Durability::Ordered, |transaction, _| {
            transaction
                .query_row("INSERT INTO owners VALUES (lower(hex(randomblob(16))), ?1) RETURNING id", [now], |row| {
                    row.get(0)
                })
                .doing("enter owner")
        })?;
        let path = layout.owner_lock(&id);
        let lock = flock::open(&path)?;
        flock::lock(&lock, FlockOperation::LockExclusive, &path)?;
        disk.make_directory(&layout.owner_scratch(&id))?;
        Ok(Self { id, lock })
    }

    pub(super) fn id(&self) -> &str {
        &self.id
    }

    /// Whether the owner `id` lives.
    pub(super) fn is_alive(&self, layout: &Layout, id: &str) -> Result<bool> {
        Ok(id == self.id || is_locked(layout, id)?)
    }

    /// Forgets every dead owner, with its temporary leases and with the ingests that no other lease holds. Their files are
    /// garbage then. Gives the dead owners' names.
    pub(super) fn reap(&self, transaction: &Connection, layout: &Layout) -> Result<Vec<String>> {
        let mut dead = Vec::new();
        let mut statement = transaction.prepare("SELECT id FROM owners").doing("list owners")?;
        let owners = statement.query_map([], |row| row.get::<_, String>(0)).doing("list owners")?;
        for owner in owners {
            let owner = owner.doing("list owners")?;
            if !self.is_alive(layout, &owner)? {
                dead.push(owner);
            }
        }
        for owner in &dead {
            for (operation, sql) in [
                (
                    "forget leases",
                    "DELETE FROM labels WHERE kind = 'leases'
                    AND id IN (SELECT id FROM leases WHERE owner = ?1)",
                ),
                ("forget leases", "DELETE FROM leases WHERE owner = ?1"),
                (
                    "forget ingests",
                    "DELETE FROM ingests WHERE owner = ?1
                    AND key NOT IN (SELECT id FROM resources WHERE kind = 'ingests')",
                ),
                ("forget owner", "DELETE FROM owners WHERE id = ?1"),
            ] {
                transaction.execute(sql, params![owner]).doing(operation)?;
            }
        }
        Ok(dead)
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        flock::unlock(&self.lock);
    }
}

/// Whether somebody holds the lock file of the owner `id`.
pub(super) fn is_locked(layout: &Layout, id: &str) -> Result<bool> {
    let path = layout.owner_lock(id);
    let lock = match OpenOptions::new().read(true).write(true).open(&path) {
        Ok(lock) => lock,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(Error::io("open owner lock", path.display(), error)),
    };
    let free = flock::try_lock(&lock, FlockOperation::NonBlockingLockExclusive, &path)?;
    if free {
        flock::unlock(&lock);
    }
    Ok(!free)
}
