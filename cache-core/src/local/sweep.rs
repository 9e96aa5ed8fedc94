//! Names without a row: the second half of a collection.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, params};

use crate::digest::Algorithm;
use crate::error::{Error, Result};
use crate::local::owner;
use crate::local::sql::SqlContext;
use crate::local::store::Store;
use crate::local::usage;
use crate::ports::Collected;

/// Names that are moved away behind the gate at a time, so that a large collection does not keep writers waiting. 256 renames
/// take about 5 ms.
const BATCH: usize = 256;

/// A name that was found without a row, and what tells whether it still has none.
struct Candidate {
    path: PathBuf,
    kind: Kind,
    name: String,
}

#[derive(Clone, Copy)]
enum Kind {
    Blob(Algorithm),
    Ingest,
    Snapshot,
    Owner,
}

/// Where names without a row are looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Extent {
    /// Where a process that died leaves them. Enough when the store is opened, because the number of its blobs does not count.
    Processes,
    /// Everywhere.
    Everything,
}

impl Store {
    /// Removes every name that has no row, and counts the disk that it gave free.
    ///
    /// Whoever commits something gives it its name behind the gate, and leaves the gate with the row committed or not at all. So
    /// a name that has no row while the gate is held is nobody's. It is moved out of sight behind the gate and removed after it.
    pub(super) fn sweep(&self, extent: Extent, collected: &mut Collected) -> Result<()> {
        for batch in self.candidates(extent)?.chunks(BATCH) {
            let mut trash = Vec::new();
            let mut gate = self.gate()?;
            for candidate in batch {
                if gate.read(|transaction| self.is_garbage(transaction, candidate))? {
                    let path = self.scratch_path();
                    self.disk.rename(gate.names(), &candidate.path, &path)?;
                    trash.push(path);
                }
            }
            drop(gate);
            for path in trash {
                let freed = usage::of(&path)?;
                self.disk.remove_tree(&path)?;
                collected.bytes += freed.bytes;
            }
        }
        Ok(())
    }

    /// Names that have no row.
    pub(super) fn garbage(&self) -> Result<Vec<PathBuf>> {
        let candidates = self.candidates(Extent::Everything)?;
        let mut gate = self.gate()?;
        gate.read(|transaction| {
            let mut garbage = Vec::new();
            for candidate in candidates {
                if self.is_garbage(transaction, &candidate)? {
                    garbage.push(candidate.path);
                }
            }
            Ok(garbage)
        })
    }

    /// Names that had no row in a state just before; some of them are just being committed.
    fn candidates(&self, extent: Extent) -> Result<Vec<Candidate>> {
        let mut candidates = Vec::new();
        let mut add = |directory: PathBuf, kind: Kind, known: &dyn Fn(&str) -> bool| -> Result<()> {
            for name in names(&directory)? {
                if !known(&name) {
                    candidates.push(Candidate { path: directory.join(&name), kind, name });
                }
            }
            Ok(())
        };
        let ingests = self.read(|connection| known(connection, "SELECT file FROM ingests"))?;
        add(self.layout.ingests(), Kind::Ingest, &|name| ingests.contains(name))?;
        let owners = self.read(|connection| known(connection, "SELECT id FROM owners"))?;
        add(self.layout.owners(), Kind::Owner, &|name| owners.contains(name.trim_end_matches(".lock")))?;
        if extent == Extent::Everything {
            let blobs = self.read(|connection| known(connection, "SELECT digest FROM blobs"))?;
            for algorithm in Algorithm::ALL {
                add(self.layout.blobs_of(algorithm), Kind::Blob(algorithm), &|name| {
                    blobs.contains(&format!("{algorithm}:{name}"))
                })?;
            }
            let snapshots = self.read(|connection| known(connection, "SELECT CAST(id AS TEXT) FROM snapshots"))?;
            add(self.layout.snapshots(), Kind::Snapshot, &|name| snapshots.contains(name))?;
        }
        Ok(candidates)
    }

    fn is_garbage(&self, transaction: &Connection, candidate: &Candidate) -> Result<bool> {
        let name = &candidate.name;
        let has_row = |sql: &str, id: &dyn rusqlite::ToSql| -> Result<bool> {
            let mut statement = transaction.prepare(sql).doing("sweep")?;
            statement.exists(params![id]).doing("sweep")
        };
        if fs::symlink_metadata(&candidate.path).is_err() {
            return Ok(false);
        }
        Ok(match candidate.kind {
            Kind::Blob(algorithm) => !has_row("SELECT 1 FROM blobs WHERE digest = ?1", &format!("{algorithm}:{name}"))?,
            Kind::Ingest => {
                !has_row("SELECT 1 FROM ingests WHERE file = ?1", name)? && !self.is_being_written(&candidate.path)?
            }
            Kind::Snapshot => match name.parse::<i64>() {
                Ok(id) => !has_row("SELECT 1 FROM snapshots WHERE id = ?1", &id)?,
                Err(_) => true,
            },
            Kind::Owner => {
                let owner = name.trim_end_matches(".lock");
                !has_row("SELECT 1 FROM owners WHERE id = ?1", &owner)? && !owner::is_locked(&self.layout, owner)?
            }
        })
    }
}

/// The names that have rows.
fn known(connection: &Connection, sql: &str) -> Result<HashSet<String>> {
    let mut statement = connection.prepare(sql).doing("sweep")?;
    let rows = statement.query_map([], |row| row.get(0)).doing("sweep")?;
    rows.collect::<rusqlite::Result<_>>().doing("sweep")
}

/// The names in `directory`; none if it is not there. Names that are not UTF-8 are not ours.
pub(super) fn names(directory: &Path) -> Result<Vec<String>> {
    let read = || -> io::Result<Vec<String>> {
        let entries = match fs::read_dir(directory) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries?,
        };
        let mut names = Vec::new();
        for entry in entries {
            if let Ok(name) = entry?.file_name().into_string() {
                names.push(name);
            }
        }
        Ok(names)
    };
    read().map_err(|error| Error::io("list directory", directory.display(), error))
}
