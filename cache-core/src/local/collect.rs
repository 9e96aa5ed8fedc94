//! Collection: rows that nothing reaches, then names without a row.

use std::collections::HashSet;

use rusqlite::{Transaction, params};
use rustix::fs::FlockOperation;

use crate::error::Result;
use crate::local::database::Durability;
use crate::local::labels::{self, Labelled};
use crate::local::leases;
use crate::local::mark::{Node, mark};
use crate::local::resources::{CONTENT, IMAGES, INGESTS, SNAPSHOTS};
use crate::local::sql::SqlContext;
use crate::local::store::Store;
use crate::local::{begin, flock};
use crate::ports::Collected;

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
        let now = self.clock_now();
        self.database.write(Durability::Synced, |transaction| {
            self.owner.reap(transaction, &self.layout)?;
            leases::expire(transaction, self.now())?;
            let reached = mark(transaction, now)?;
            self.forget_images(transaction, &reached)?;
            collected.ingests = self.forget_ingests(transaction, &reached)?;
            collected.blobs = forget_blobs(transaction, &reached)?;
            collected.snapshots = forget_snapshots(transaction, &reached)?;
            Ok(())
        })?;
        self.sweep(&mut collected)?;
        Ok(collected)
    }

    fn forget_images(&self, transaction: &Transaction<'_>, reached: &HashSet<Node>) -> Result<()> {
        for name in unreached(transaction, "SELECT name FROM images", IMAGES, reached)? {
            transaction.execute("DELETE FROM images WHERE name = ?1", [&name]).doing("collect images")?;
            labels::remove_all(transaction, Labelled::Image, &name)?;
        }
        Ok(())
    }

    /// An ingest that is being written is spared, also when its lease has ended.
    fn forget_ingests(&self, transaction: &Transaction<'_>, reached: &HashSet<Node>) -> Result<u64> {
        let mut forgotten = 0;
        for key in unreached(transaction, "SELECT key FROM ingests", INGESTS, reached)? {
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

fn forget_blobs(transaction: &Transaction<'_>, reached: &HashSet<Node>) -> Result<u64> {
    let digests = unreached(transaction, "SELECT digest FROM blobs", CONTENT, reached)?;
    for digest in &digests {
        transaction.execute("DELETE FROM blobs WHERE digest = ?1", [digest]).doing("collect blobs")?;
        labels::remove_all(transaction, Labelled::Blob, digest)?;
    }
    Ok(digests.len() as u64)
}

fn forget_snapshots(transaction: &Transaction<'_>, reached: &HashSet<Node>) -> Result<u64> {
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
            if !reached.contains(&node) {
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

fn unreached(transaction: &Transaction<'_>, sql: &str, kind: &str, reached: &HashSet<Node>) -> Result<Vec<String>> {
    let mut statement = transaction.prepare(sql).doing("collect")?;
    let rows = statement.query_map([], |row| row.get::<_, String>(0)).doing("collect")?;
    let mut unreached = Vec::new();
    for id in rows {
        let node = (kind.to_owned(), id.doing("collect")?);
        if !reached.contains(&node) {
            unreached.push(node.1);
        }
    }
    Ok(unreached)
}
