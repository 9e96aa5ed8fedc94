//! Snapshots as rows, each with a directory: what the snapshotters of this store are built on.

use std::fs;
use std::path::{Path, PathBuf};

use rusqlite::{OptionalExtension, Row, Transaction, params};

use crate::error::{Error, ErrorKind, Result};
use crate::labels::{LabelChange, Labels, validate_labels};
use crate::local::database::Durability;
use crate::local::labels::{self, Labelled};
use crate::local::leases;
use crate::local::resources;
use crate::local::sql::{SqlContext, corrupt_row};
use crate::local::store::{Store, timestamp};
use crate::ports::{Resource, SnapshotInfo, SnapshotKind, Usage};

/// A snapshot, as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnapshotRow {
    /// Its number, which names its directory. It keeps it when it is committed, and no other snapshot ever has it.
    pub id: i64,
    /// What its snapshotter tells.
    pub info: SnapshotInfo,
    /// Its parent's number.
    pub parent: Option<i64>,
    /// The disk that it took when it was committed.
    pub usage: Usage,
}

/// A snapshot to be created.
#[derive(Clone, Debug)]
pub struct NewSnapshot<'a> {
    /// Who creates it.
    pub snapshotter: &'a str,
    /// Its key.
    pub key: &'a str,
    /// What it is to be.
    pub kind: SnapshotKind,
    /// The committed snapshot under it, as it was read when its directory was made ready.
    pub parent: Option<&'a SnapshotRow>,
    /// Its labels.
    pub labels: &'a Labels,
    /// What becomes its directory: a tree that was made in [`Store::scratch_directory`]. Without one it has none.
    pub directory: Option<&'a Path>,
}

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

    /// Removes what was made in a [scratch directory](Self::scratch_directory) and is not wanted.
    ///
    /// # Errors
    /// The disk's failures.
    pub fn discard_scratch(&self, path: &Path) -> Result<()> {
        self.disk.remove_tree(path)
    }

    /// The directory of the snapshot `id`.
    pub fn snapshot_directory(&self, id: i64) -> PathBuf {
        self.layout.snapshot(id)
    }

    /// Creates a snapshot that `lease` holds. Row and directory appear at once.
    /// The names in the directory and in its immediate subdirectories are made durable here, their files are not.
    ///
    /// # Errors
    /// `AlreadyExists` if the key is taken; `NotFound` if the parent is gone; `Invalid` if it is not committed or the lease
    /// is dead.
    pub fn create_snapshot(&self, lease: &str, new: &NewSnapshot<'_>) -> Result<SnapshotRow> {
        const OPERATION: &str = "create snapshot";
        validate_labels(new.labels)?;
        if new.key.is_empty() || new.snapshotter.is_empty() || new.snapshotter.contains('/') {
            return Err(Error::new(ErrorKind::Invalid, OPERATION, new.key.escape_debug()));
        }
        if let Some(directory) = new.directory {
            self.sync_names(directory)?;
        }
        let now = self.now();
        let (mut moved, mut complete) = (None, false);
        let mut gate = self.gate()?;
        let created = gate.write(Durability::Synced, |transaction, names| {
            leases::alive(self, transaction, lease, OPERATION)?;
            if let Some(parent) = new.parent {
                match by_id(transaction, parent.id)? {
                    Some(parent) if parent.info.kind == SnapshotKind::Committed => {}
                    Some(parent) => return Err(Error::new(ErrorKind::Invalid, OPERATION, parent.info.key)),
                    None => return Err(Error::new(ErrorKind::NotFound, OPERATION, &parent.info.key)),
                }
            }
            refuse_taken(transaction, OPERATION, new.snapshotter, new.key)?;
            let id: i64 = transaction
                .query_row(
                    "INSERT INTO snapshots (snapshotter, key, kind, parent, created_at, updated_at, has_directory)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?5, ?6) RETURNING id",
                    params![
                        new.snapshotter,
                        new.key,
                        kind_column(new.kind),
                        new.parent.map(|row| row.id),
                        now,
                        new.directory.is_some()
                    ],
                    |row| row.get(0),
                )
                .doing(OPERATION)?;
            labels::replace(transaction, Labelled::Snapshot, &id.to_string(), new.labels)?;
            resources::attach(transaction, lease, &resource(new.snapshotter, new.key))?;
            if let Some(directory) = new.directory {
                let path = self.layout.snapshot(id);
                if fs::symlink_metadata(&path).is_ok() {
                    // A crash left it there, and its number was never used.
                    self.disk.rename(names, &path, &self.scratch_path())?;
                }
                self.disk.rename(names, directory, &path)?;
                moved = Some((path, directory));
                self.disk.sync_directory(&self.layout.snapshots())?;
            }
            let row = by_id(transaction, id)?.ok_or_else(|| Error::new(ErrorKind::NotFound, OPERATION, new.key))?;
            complete = true;
            Ok(row)
        });
        if let (Err(error), Some((path, directory))) = (&created, moved)
            // After another failure of the commit itself a power cut may yet bring the row back, so the directory stays with it.
            && (!complete || error.kind() == ErrorKind::NoSpace)
            && let Err(error) = self.disk.rename(gate.names(), &path, directory)
        {
            tracing::warn!(%error, "a snapshot's directory waits for the next collection");
        }
        created
    }

    /// Makes the active snapshot `key` the committed snapshot `name`. Its files must be durable before. What held the key holds
    /// the name, and `lease` does.
    ///
    /// # Errors
    /// `AlreadyExists` if the name is taken; `NotFound` if there is no such key; `Invalid` if it is not active or the lease is
    /// dead.
    pub fn commit_snapshot(
        &self,
        lease: &str,
        snapshotter: &str,
        name: &str,
        key: &str,
        labels: &Labels,
        usage: Usage,
    ) -> Result<SnapshotRow> {
        const OPERATION: &str = "commit snapshot";
        validate_labels(labels)?;
        if name.is_empty() {
            return Err(Error::new(ErrorKind::Invalid, OPERATION, "the empty name"));
        }
        let now = self.now();
        self.database.write(Durability::Synced, |transaction| {
            leases::alive(self, transaction, lease, OPERATION)?;
            let row = by_key(transaction, snapshotter, key)?
                .ok_or_else(|| Error::new(ErrorKind::NotFound, OPERATION, key))?;
            if row.info.kind != SnapshotKind::Active {
                return Err(Error::new(ErrorKind::Invalid, OPERATION, key));
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

    /// The numbers of the snapshots under `id`, the nearest first.
    pub fn snapshot_parents(&self, id: i64) -> Result<Vec<i64>> {
        self.read(|transaction| {
            let mut parents = Vec::new();
            let mut next = by_id(transaction, id)?.and_then(|row| row.parent);
            while let Some(parent) = next {
                parents.push(parent);
                next = by_id(transaction, parent)?.and_then(|row| row.parent);
            }
            Ok(parents)
        })
    }

    /// Every snapshot of `snapshotter`.
    pub fn snapshots(&self, snapshotter: &str) -> Result<Vec<SnapshotRow>> {
        self.read(|transaction| {
            let mut statement = transaction.prepare(&select("WHERE own.snapshotter = ?1")).doing("list snapshots")?;
            let rows = statement.query_map([snapshotter], Unlabelled::read).doing("list snapshots")?;
            rows.map(|row| row.doing("list snapshots")?.label(transaction)).collect()
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
        self.database.write(Durability::Synced, |transaction| {
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
        let id = gate.write(Durability::Synced, |transaction, _| {
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

fn refuse_taken(transaction: &Transaction<'_>, operation: &'static str, snapshotter: &str, key: &str) -> Result<()> {
    match by_key(transaction, snapshotter, key)? {
        Some(_) => Err(Error::new(ErrorKind::AlreadyExists, operation, key)),
        None => Ok(()),
    }
}

fn select(condition: &str) -> String {
    format!(
        "SELECT own.id, own.key, own.kind, own.parent, parent.key, own.created_at, own.updated_at, own.bytes, own.inodes
         FROM snapshots AS own LEFT JOIN snapshots AS parent ON parent.id = own.parent {condition}"
    )
}

fn by_id(transaction: &Transaction<'_>, id: i64) -> Result<Option<SnapshotRow>> {
    let row = transaction.query_row(&select("WHERE own.id = ?1"), [id], Unlabelled::read);
    row.optional().doing("read snapshot")?.map(|row| row.label(transaction)).transpose()
}

fn by_key(transaction: &Transaction<'_>, snapshotter: &str, key: &str) -> Result<Option<SnapshotRow>> {
    let condition = "WHERE own.snapshotter = ?1 AND own.key = ?2";
    let row = transaction.query_row(&select(condition), [snapshotter, key], Unlabelled::read);
    row.optional().doing("read snapshot")?.map(|row| row.label(transaction)).transpose()
}

/// A row before its labels are read.
struct Unlabelled {
    row: SnapshotRow,
    kind: String,
}

impl Unlabelled {
    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        let info = SnapshotInfo {
            key: row.get(1)?,
            kind: SnapshotKind::Active,
            parent: row.get(4)?,
            labels: Labels::new(),
            created_at: timestamp(row.get(5)?),
            updated_at: timestamp(row.get(6)?),
        };
        let usage = Usage { bytes: row.get::<_, i64>(7)?.unsigned_abs(), inodes: row.get::<_, i64>(8)?.unsigned_abs() };
        let row_ = SnapshotRow { id: row.get(0)?, info, parent: row.get(3)?, usage };
        Ok(Self { row: row_, kind: row.get(2)? })
    }

    fn label(self, transaction: &Transaction<'_>) -> Result<SnapshotRow> {
        let mut row = self.row;
        row.info.kind = match self.kind.as_str() {
            "active" => SnapshotKind::Active,
            "view" => SnapshotKind::View,
            "committed" => SnapshotKind::Committed,
            _ => return Err(corrupt_row("read snapshot", "snapshot kind")),
        };
        row.info.labels = labels::get(transaction, Labelled::Snapshot, &row.id.to_string())?;
        Ok(row)
    }
}

fn kind_column(kind: SnapshotKind) -> &'static str {
    match kind {
        SnapshotKind::Active => "active",
        SnapshotKind::View => "view",
        SnapshotKind::Committed => "committed",
    }
}
