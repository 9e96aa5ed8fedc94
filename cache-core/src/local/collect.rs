//! Collection: rows that nothing reaches, then names without a row.

use std::collections::HashSet;

use rusqlite::{Connection, params};
use rustix::fs::FlockOperation;

use crate::error::{ErrorKind, Result};
use crate::local::database::Durability;
use crate::local::labels::{self, Labelled};
use crate::local::leases;
use crate::local::mark::{Node, mark};
use crate::local::resources::{CONTENT, IMAGES, INGESTS, SNAPSHOTS};
use crate::local::sql::SqlContext;
use crate::local::store::Store;
use crate::local::sweep::Extent;
use crate::local::{begin, flock};
use crate::ports::Collected;

/// Rows of a kind that are forgotten at a time on a full disk: their pages, about four each, fit into the reserve.
const FEW: usize = 32;

impl Store {
    /// Frees what nothing reaches, and what crashes left behind.
    ///
    /// Rows go in one transaction, which is on the disk before the first file goes. A crash after it leaves files without
    /// rows; they are garbage, which the next collection finds by looking for them.
    ///
    /// # Errors
    /// The disk's and the database's failures; what was freed before stays freed.
    pub fn collect(&self) -> Result<Collected> {
        let mut collected = Collected::default();
        match self.forget(usize::MAX, &mut collected) {
            Ok(_) => {}
            // Rows that are forgotten take room in SQLite's log first, more than there is. A few at a time make room for more.
            Err(error) if error.kind() == ErrorKind::NoSpace => {
                while self.forget(FEW, &mut collected)? > 0 {
                    self.sweep(Extent::Everything, &mut collected)?;
                }
            }
            Err(error) => return Err(error),
        }
        self.sweep(Extent::Everything, &mut collected)?;
        self.gate()?.fill_reserve();
        Ok(collected)
    }

    /// Forgets what nothing reaches, but at most `limit` of each kind, and adds it to `collected`. Gives how many rows that were.
    fn forget(&self, limit: usize, collected: &mut Collected) -> Result<u64> {
        let (now, clock) = (self.clock_now(), self.now());
        let (images, forgotten) = self.database.free(Durability::Synced, |transaction| {
            self.owner.reap(transaction, &self.layout)?;
            leases::expire(transaction, clock)?;
            let reached = mark(transaction, now)?;
            let images = forget_images(transaction, &reached, limit)?;
            let forgotten = Collected {
                ingests: self.forget_ingests(transaction, &reached, limit)?,
                blobs: forget_blobs(transaction, &reached, limit)?,
                snapshots: forget_snapshots(transaction, &reached, limit)?,
                bytes: 0,
            };
            Ok((images, forgotten))
        })?;
        collected.ingests += forgotten.ingests;
        collected.blobs += forgotten.blobs;
        collected.snapshots += forgotten.snapshots;
        Ok(images + forgotten.ingests + forgotten.blobs + forgotten.snapshots)
    }

    /// An ingest that is being written is spared, also when its lease has ended.
    fn forget_ingests(&self, transaction: &Connection, reached: &HashSet<Node>, limit: usize) -> Result<u64> {
        let mut forgotten = 0;
        for key in unreached(transaction, "SELECT key FROM ingests", INGESTS, reached, usize::MAX)? {
            if forgotten == limit as u64 {
                break;
            }
            if !self.is_being_written(&self.layout.ingest(&key))? {
                begin::forget(transaction, &key)?;
                forgotten += 1;
            }
        }
        Ok(forgotten)
    }

    /// Whether a writer holds the ingest's file. Asked behind the gate, where no writer can come.
    pub(super) fn is_being_written(&self, path: &std::path::Path) -> Result<bool> {
        let Ok(file) = std::fs::File::open(path) else { return Ok(false) };
        let free = flock::try_lock(&file, FlockOperation::NonBlockingLockExclusive, path)?;
        if free {
            flock::unlock(&file);
        }
        Ok(!free)
    }
}

fn forget_images(transaction: &Connection, reached: &HashSet<Node>, limit: usize) -> Result<u64> {
    let names = unreached(transaction, "SELECT name FROM images", IMAGES, reached, limit)?;
    for name in &names {
        transaction.execute("DELETE FROM images WHERE name = ?1", [name]).doing("collect images")?;
        labels::remove_all(transaction, Labelled::Image, name)?;
    }
    Ok(names.len() as u64)
}

fn forget_blobs(transaction: &Connection, reached: &HashSet<Node>, limit: usize) -> Result<u64> {
    let digests = unreached(transaction, "SELECT digest FROM blobs ORDER BY size DESC", CONTENT, reached, limit)?;
    for digest in &digests {
        transaction.execute("DELETE FROM blobs WHERE digest = ?1", [digest]).doing("collect blobs")?;
        labels::remove_all(transaction, Labelled::Blob, digest)?;
    }
    Ok(digests.len() as u64)
}

fn forget_snapshots(transaction: &Connection, reached: &HashSet<Node>, limit: usize) -> Result<u64> {
    let mut ids = Vec::new();
    {
        // Children have higher ids than their parents, so that no row loses its parent while it is there.
        let mut statement = transaction
            .prepare("SELECT id, snapshotter, key FROM snapshots ORDER BY id DESC")
            .doing("collect snapshots")?;
        let mut rows = statement.query([]).doing("collect snapshots")?;
        while let Some(row) = rows.next().doing("collect snapshots")? {
            let snapshotter: String = row.get(1).doing("collect snapshots")?;
            let node = (format!("{SNAPSHOTS}{snapshotter}"), row.get(2).doing("collect snapshots")?);
            if !reached.contains(&node) && ids.len() < limit {
                ids.push(row.get::<_, i64>(0).doing("collect snapshots")?);
            }
        }
    }
    for id in &ids {
        transaction.execute("DELETE FROM snapshots WHERE id = ?1", params![id]).doing("collect snapshots")?;
        labels::remove_all(transaction, Labelled::Snapshot, &id.to_string())?;
    }
    Ok(ids.len() as u64)
}

fn unreached(
    transaction: &Connection,
    sql: &str,
    kind: &str,
    reached: &HashSet<Node>,
    limit: usize,
) -> Result<Vec<String>> {
    let mut statement = transaction.prepare(sql).doing("collect")?;
    let rows = statement.query_map([], |row| row.get::<_, String>(0)).doing("collect")?;
    let mut unreached = Vec::new();
    for id in rows {
        let node = (kind.to_owned(), id.doing("collect")?);
        if !reached.contains(&node) && unreached.len() < limit {
            unreached.push(node.1);
        }
    }
    Ok(unreached)
}
