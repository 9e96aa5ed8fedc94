//! Snapshots as rows, each with a directory: what the snapshotters of this store are built on.

use std::fs;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::error::{Error, ErrorKind, Result};
use crate::labels::{LabelChange, Labels, validate_labels};
use crate::local::database::Durability;
use crate::local::labels::{self, Labelled};
use crate::local::leases;
use crate::local::resources;
use crate::local::sql::{SqlContext, corrupt_row};
use crate::local::store::{Store, timestamp};
use crate::ports::{Resource, SnapshotInfo, SnapshotKind, Usage};
use crate::snapshot::{NewSnapshot, SnapshotRow};

impl Store {
    /// A new directory of this process's own, on the store's file system. It is removed after the process's death.
    ///
    /// # Errors
    /// The disk's failures.
    pub fn scratch_directory(&self) -> Result<PathBuf> {
        let path = self.scratch_path();
        self.disk.make_directory(&path)?;
        Ok(path)
    }

    /// The directory in which the snapshots' directories lie, under their numbers.
    pub fn snapshots_directory(&self) -> PathBuf {
        self.layout.snapshots()
    }

    /// Creates a snapshot that `lease` holds. `tree`, which was made in a [scratch directory](Self::scratch_directory), becomes its
    /// directory in the same step; without one it has none. The names in it and in its immediate subdirectories are made
    /// durable here, its files are not.
    ///
    /// # Errors
    /// `AlreadyExists` if the key is taken; `NotFound` if the parent is gone; `Invalid` if it is not committed or the lease
    /// is dead.
    pub fn create_snapshot(
        &self,
        lease: &str,
        snapshotter: &str,
        new: &NewSnapshot,
        tree: Option<&Path>,
    ) -> Result<SnapshotRow> {
        const OPERATION: &str = "create snapshot";
        validate_labels(&new.labels)?;
        if new.key.is_empty() || snapshotter.is_empty() || snapshotter.contains('/') {
            return Err(Error::new(ErrorKind::Invalid, OPERATION, new.key.escape_debug()));
        }
        if let Some(tree) = tree {
            self.sync_names(tree)?;
        }
        let now = self.now();
        self.database.write(Durability::Synced, |transaction, names| {
            leases::alive(self, transaction, lease, OPERATION)?;
            if let Some(parent) = &new.parent {
                match by_id(transaction, parent.id)? {
                    Some(parent) if parent.info.kind == SnapshotKind::Committed => {}
                    Some(parent) => return Err(Error::new(ErrorKind::Invalid, OPERATION, parent.info.key)),
                    None => return Err(Error::new(ErrorKind::NotFound, OPERATION, &parent.info.key)),
                }
            }
            refuse_taken(transaction, OPERATION, snapshotter, &new.key)?;
            let id: i64 = transaction
                .query_row(
                    "INSERT INTO snapshots (snapshotter, key, kind, parent, created_at, updated_at, has_directory)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?5, ?6) RETURNING id",
                    params![
                        snapshotter,
                        new.key,
                        kind_column(new.kind),
                        new.parent.as_ref().map(|row| row.id),
                        now,
                        tree.is_some()
                    ],
                    |row| row.get(0),
                )
                .doing(OPERATION)?;
            labels::replace(transaction, Labelled::Snapshot, &id.to_string(), &new.labels)?;
            resources::attach(transaction, lease, &resource(snapshotter, &new.key))?;
            if let Some(tree) = tree {
                let path = self.layout.snapshot(id);
                if fs::symlink_metadata(&path).is_ok() {
                    // A crash left it there, and its number was never used.
                    self.disk.rename(names, &path, &self.scratch_path())?;
                }
                names.rename(&self.disk, tree, &path)?;
            }
            by_id(transaction, id)?.ok_or_else(|| Error::new(ErrorKind::NotFound, OPERATION, &new.key))
        })
    }

    /// Makes `active` the committed snapshot `name`. Its files must be durable before. What held its key holds the name, and
    /// `lease` does.
    ///
    /// # Errors
    /// `AlreadyExists` if the name is taken; `NotFound` if the snapshot is gone; `Invalid` if it is not active, the name is empty
    /// or the lease is dead.
    pub fn commit_snapshot(
        &self,
        lease: &str,
        snapshotter: &str,
        name: &str,
        active: &SnapshotRow,
        labels: &Labels,
        usage: Usage,
    ) -> Result<SnapshotRow> {
        const OPERATION: &str = "commit snapshot";
        validate_labels(labels)?;
        if name.is_empty() {
            return Err(Error::new(ErrorKind::Invalid, OPERATION, "the empty name"));
        }
        let now = self.now();
        self.database.write(Durability::Synced, |transaction, _| {
            leases::alive(self, transaction, lease, OPERATION)?;
            let row = by_id(transaction, active.id)?
                .ok_or_else(|| Error::new(ErrorKind::NotFound, OPERATION, active.info.key.escape_debug()))?;
            let key = &row.info.key;
            if row.info.kind != SnapshotKind::Active {
                return Err(Error::new(ErrorKind::Invalid, OPERATION, key.escape_debug()));
            }
            if name != key {
                refuse_taken(transaction, OPERATION, snapshotter, name)?;
            }
            transaction
                .execute(
                    "UPDATE snapshots SET key = ?2, kind = ?3, updated_at = ?4, bytes = ?5, inodes = ?6 WHERE id = ?1",
                    params![
                        row.id,
                        name,
                        kind_column(SnapshotKind::Committed),
                        now,
                        usage.bytes as i64,
                        usage.inodes as i64
                    ],
                )
                .doing(OPERATION)?;
            labels::replace(transaction, Labelled::Snapshot, &row.id.to_string(), labels)?;
            if name != key {
                resources::replace(transaction, &resource(snapshotter, key), &resource(snapshotter, name))?;
            }
            resources::attach(transaction, lease, &resource(snapshotter, name))?;
            by_id(transaction, row.id)?.ok_or_else(|| Error::new(ErrorKind::NotFound, OPERATION, name))
        })
    }

    /// The snapshot `key`; `None` if there is none.
    pub fn snapshot(&self, snapshotter: &str, key: &str) -> Result<Option<SnapshotRow>> {
        self.read(|transaction| by_key(transaction, snapshotter, key))
    }

    /// Every snapshot of `snapshotter`.
    pub fn snapshots(&self, snapshotter: &str) -> Result<Vec<SnapshotInfo>> {
        self.read(|transaction| {
            let mut statement = transaction.prepare(&select("WHERE own.snapshotter = ?1")).doing("list snapshots")?;
            let rows = statement.query_map([snapshotter], Unfinished::read).doing("list snapshots")?;
            rows.map(|row| Ok(row.doing("list snapshots")?.info(transaction)?.0)).collect()
        })
    }

    /// Changes labels key by key and gives the outcome.
    ///
    /// # Errors
    /// `NotFound` if there is no such snapshot; `Invalid` and `LimitExceeded` for labels that are not valid.
    pub fn change_snapshot_labels(
        &self,
        snapshotter: &str,
        key: &str,
        changes: &[LabelChange],
    ) -> Result<SnapshotInfo> {
        let now = self.now();
        self.database.write(Durability::Synced, |transaction, _| {
            let missing = || Error::new(ErrorKind::NotFound, "change labels", key);
            let row = by_key(transaction, snapshotter, key)?.ok_or_else(missing)?;
            transaction
                .execute("UPDATE snapshots SET updated_at = ?2 WHERE id = ?1", params![row.id, now])
                .doing("change labels")?;
            labels::change(transaction, Labelled::Snapshot, &row.id.to_string(), changes)?;
            Ok(by_id(transaction, row.id)?.ok_or_else(missing)?.info)
        })
    }

    /// Removes a snapshot, gives its key free and removes its directory.
    ///
    /// # Errors
    /// `NotFound` if there is no such snapshot; `Busy` if another one has it as parent.
    pub fn remove_snapshot(&self, snapshotter: &str, key: &str) -> Result<()> {
        const OPERATION: &str = "remove snapshot";
        let mut gate = self.gate()?;
        let id = gate.free(Durability::Synced, |transaction, _| {
            let row = by_key(transaction, snapshotter, key)?
                .ok_or_else(|| Error::new(ErrorKind::NotFound, OPERATION, key))?;
            let mut children = transaction.prepare("SELECT 1 FROM snapshots WHERE parent = ?1").doing(OPERATION)?;
            if children.exists([row.id]).doing(OPERATION)? {
                return Err(Error::new(ErrorKind::Busy, OPERATION, key).with_source("it has children"));
            }
            transaction.execute("DELETE FROM snapshots WHERE id = ?1", [row.id]).doing(OPERATION)?;
            labels::remove_all(transaction, Labelled::Snapshot, &row.id.to_string())?;
            Ok(row.id)
        })?;
        let (directory, trash) = (self.layout.snapshot(id), self.scratch_path());
        if fs::symlink_metadata(&directory).is_ok() {
            self.disk.rename(gate.names(), &directory, &trash)?;
            drop(gate);
            self.disk.remove_tree(&trash)?;
        }
        Ok(())
    }

    fn sync_names(&self, directory: &Path) -> Result<()> {
        for entry in fs::read_dir(directory).map_err(|error| Error::io("list", directory.display(), error))? {
            let path = entry.map_err(|error| Error::io("list", directory.display(), error))?.path();
            if fs::symlink_metadata(&path).is_ok_and(|metadata| metadata.is_dir()) {
                self.disk.sync_directory(&path)?;
            }
        }
        self.disk.sync_directory(directory)
    }
}

fn resource(snapshotter: &str, key: &str) -> Resource {
    Resource::Snapshot { snapshotter: snapshotter.to_owned(), key: key.to_owned() }
}

fn refuse_taken(transaction: &Connection, operation: &'static str, snapshotter: &str, key: &str) -> Result<()> {
    match by_key(transaction, snapshotter, key)? {
        Some(_) => Err(Error::new(ErrorKind::AlreadyExists, operation, key)),
        None => Ok(()),
    }
}

fn select(condition: &str) -> String {
    format!(
        "SELECT own.id, own.key, own.kind, parent.key, own.created_at, own.updated_at, own.bytes, own.inodes
         FROM snapshots AS own LEFT JOIN snapshots AS parent ON parent.id = own.parent {condition}"
    )
}

fn by_id(transaction: &Connection, id: i64) -> Result<Option<SnapshotRow>> {
    let row = transaction.query_row(&select("WHERE own.id = ?1"), [id], Unfinished::read);
    row.optional().doing("read snapshot")?.map(|row| row.finish(transaction)).transpose()
}

fn by_key(transaction: &Connection, snapshotter: &str, key: &str) -> Result<Option<SnapshotRow>> {
    let condition = "WHERE own.snapshotter = ?1 AND own.key = ?2";
    let row = transaction.query_row(&select(condition), [snapshotter, key], Unfinished::read);
    row.optional().doing("read snapshot")?.map(|row| row.finish(transaction)).transpose()
}

/// The numbers of the snapshots under `id`, the nearest first.
fn parents(transaction: &Connection, id: i64) -> Result<Vec<i64>> {
    let mut statement = transaction
        .prepare(
            "WITH RECURSIVE chain (id, depth) AS (
                 SELECT parent, 1 FROM snapshots WHERE id = ?1
                 UNION ALL
                 SELECT parent, depth + 1 FROM snapshots JOIN chain USING (id)
             )
             SELECT id FROM chain WHERE id IS NOT NULL ORDER BY depth",
        )
        .doing("read snapshot")?;
    statement.query_map([id], |row| row.get(0)).and_then(Iterator::collect).doing("read snapshot")
}

/// A row before its labels and parents are read.
struct Unfinished {
    id: i64,
    info: SnapshotInfo,
    kind: String,
    usage: Usage,
}

impl Unfinished {
    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        let info = SnapshotInfo {
            key: row.get(1)?,
            kind: SnapshotKind::Active,
            parent: row.get(3)?,
            labels: Labels::new(),
            created_at: timestamp(row.get(4)?),
            updated_at: timestamp(row.get(5)?),
        };
        let usage = Usage { bytes: row.get::<_, i64>(6)?.unsigned_abs(), inodes: row.get::<_, i64>(7)?.unsigned_abs() };
        Ok(Self { id: row.get(0)?, info, kind: row.get(2)?, usage })
    }

    fn info(mut self, transaction: &Connection) -> Result<(SnapshotInfo, Usage)> {
        self.info.kind = match self.kind.as_str() {
            "active" => SnapshotKind::Active,
            "view" => SnapshotKind::View,
            "committed" => SnapshotKind::Committed,
            _ => return Err(corrupt_row("read snapshot", "snapshot kind")),
        };
        self.info.labels = labels::get(transaction, Labelled::Snapshot, &self.id.to_string())?;
        Ok((self.info, self.usage))
    }

    fn finish(self, transaction: &Connection) -> Result<SnapshotRow> {
        let id = self.id;
        let parents = parents(transaction, id)?;
        let (info, usage) = self.info(transaction)?;
        Ok(SnapshotRow { id, info, parents, usage })
    }
}

fn kind_column(kind: SnapshotKind) -> &'static str {
    match kind {
        SnapshotKind::Active => "active",
        SnapshotKind::View => "view",
        SnapshotKind::Committed => "committed",
    }
}
