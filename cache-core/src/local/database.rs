//! The connections to `cache.db`, and the gate through which every change goes.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, Transaction, TransactionBehavior};
use rustix::fs::FlockOperation;

use crate::error::{Error, ErrorKind, Result};
use crate::local::durable::{Disk, Step};
use crate::local::flock;
use crate::local::layout::Layout;
use crate::local::reserve::Reserve;
use crate::local::schema;
use crate::local::sql::SqlContext;

/// The first SQLite whose WAL several processes can write without the danger of corrupting it: the WAL-reset bug was fixed in
/// 3.51.3 (sqlite.org/wal.html, "The WAL-Reset Bug").
const OLDEST_SQLITE: i32 = 3_051_003;

/// How long a connection waits for a lock of SQLite's own. Writers queue before [`Gate`], so only recovery after a crash and
/// the checkpoint of a process that closes the store are ever waited for.
const BUSY_TIMEOUT: Duration = Duration::from_secs(60);

/// Idle connections for reading that are kept open.
const IDLE_READERS: usize = 4;

/// Bytes to which the WAL file is cut after a checkpoint.
const WAL_BYTES: i64 = 16 * 1024 * 1024;

/// Whether a transaction is on the disk when it has been committed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Durability {
    /// It is.
    Synced,
    /// It gets there with the next synced one, and before it. A killed process loses nothing, a power cut may take it back.
    Ordered,
}

/// Proof that the gate is held. Whoever creates, renames or removes a name that other processes look at asks for it.
#[derive(Debug)]
pub(super) struct Names(());

#[derive(Debug)]
pub(super) struct Database {
    path: PathBuf,
    gate_path: PathBuf,
    disk: Disk,
    reserve: Reserve,
    writer: Mutex<Writer>,
    readers: Mutex<Vec<Connection>>,
}

#[derive(Debug)]
struct Writer {
    connection: Connection,
    lock: File,
    durability: Durability,
}

/// The right to change the store: at most one holder among all threads of all processes.
#[derive(Debug)]
pub(super) struct Gate<'a> {
    writer: MutexGuard<'a, Writer>,
    names: Names,
    disk: &'a Disk,
    reserve: &'a Reserve,
}

impl Database {
    /// Opens the database, and creates it if it is missing.
    pub(super) fn open(layout: &Layout, disk: Disk) -> Result<Self> {
        if rusqlite::version_number() < OLDEST_SQLITE {
            return Err(Error::new(ErrorKind::Unsupported, "open store", layout.root().display()).with_source(
                format!(
                    "SQLite {} can corrupt a database that several processes write; 3.51.3 is needed",
                    rusqlite::version()
                ),
            ));
        }
        let path = layout.database();
        let gate_path = layout.writer_lock();
        let lock = flock::open(&gate_path)?;
        flock::lock(&lock, FlockOperation::LockExclusive, &gate_path)?;
        let connection = open_writer(&path, layout.root(), &disk);
        flock::unlock(&lock);
        let writer = Writer { connection: connection?, lock, durability: Durability::Synced };
        let reserve = Reserve::new(layout.reserve(), disk.clone());
        Ok(Self { path, gate_path, disk, reserve, writer: Mutex::new(writer), readers: Mutex::default() })
    }

    /// Waits until nobody else changes the store.
    pub(super) fn gate(&self) -> Result<Gate<'_>> {
        // A panic between two statements was rolled back when the transaction was dropped.
        let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        flock::lock(&writer.lock, FlockOperation::LockExclusive, &self.gate_path)?;
        Ok(Gate { writer, names: Names(()), disk: &self.disk, reserve: &self.reserve })
    }

    /// Changes the database alone.
    pub(super) fn write<T>(
        &self,
        durability: Durability,
        change: impl FnOnce(&Transaction<'_>) -> Result<T>,
    ) -> Result<T> {
        self.gate()?.write(durability, |transaction, _| change(transaction))
    }

    /// Changes the database alone, also on a full disk, to free something.
    pub(super) fn free<T>(
        &self,
        durability: Durability,
        mut change: impl FnMut(&Transaction<'_>) -> Result<T>,
    ) -> Result<T> {
        self.gate()?.free(durability, |transaction, _| change(transaction))
    }

    /// Looks at one state of the database, while others change it.
    pub(super) fn read<T>(&self, look: impl FnOnce(&Transaction<'_>) -> Result<T>) -> Result<T> {
        let idle = self.readers().pop();
        let mut connection = match idle {
            Some(connection) => connection,
            None => open_reader(&self.path)?,
        };
        let transaction = connection.transaction().doing("begin reading")?;
        let outcome = look(&transaction)?;
        drop(transaction);
        let mut readers = self.readers();
        if readers.len() < IDLE_READERS {
            readers.push(connection);
        }
        Ok(outcome)
    }

    fn readers(&self) -> MutexGuard<'_, Vec<Connection>> {
        self.readers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Gate<'_> {
    /// Makes all changes of `change`, or none.
    pub(super) fn write<T>(
        &mut self,
        durability: Durability,
        change: impl FnOnce(&Transaction<'_>, &Names) -> Result<T>,
    ) -> Result<T> {
        let writer = &mut *self.writer;
        if writer.durability != durability {
            let level = match durability {
                Durability::Synced => "PRAGMA synchronous = FULL",
                Durability::Ordered => "PRAGMA synchronous = NORMAL",
            };
            writer.connection.execute_batch(level).doing("set durability")?;
            writer.durability = durability;
        }
        let transaction =
            writer.connection.transaction_with_behavior(TransactionBehavior::Immediate).doing("begin transaction")?;
        let outcome = change(&transaction, &self.names)?;
        let synced = durability == Durability::Synced;
        self.disk
            .before(Step::Commit { synced })
            .map_err(|error| Error::io("commit transaction", "cache.db", error))?;
        transaction.commit().doing("commit transaction")?;
        Ok(outcome)
    }

    /// The same for changes that free something. On a full disk they take the reserve and are tried again.
    pub(super) fn free<T>(
        &mut self,
        durability: Durability,
        mut change: impl FnMut(&Transaction<'_>, &Names) -> Result<T>,
    ) -> Result<T> {
        match self.write(durability, &mut change) {
            Err(error) if error.kind() == ErrorKind::NoSpace && self.release_reserve()? => {
                self.write(durability, change)
            }
            outcome => outcome,
        }
    }

    /// Gives the reserve for a full disk free; whether there was one.
    pub(super) fn release_reserve(&self) -> Result<bool> {
        self.reserve.release(&self.names)
    }

    /// Takes the reserve for a full disk, if there is room for it.
    pub(super) fn fill_reserve(&self) {
        self.reserve.fill(&self.names);
    }

    /// Looks at the state that the gate keeps as it is.
    pub(super) fn read<T>(&mut self, look: impl FnOnce(&Transaction<'_>) -> Result<T>) -> Result<T> {
        let transaction = self.writer.connection.transaction().doing("begin reading")?;
        look(&transaction)
    }

    pub(super) fn names(&self) -> &Names {
        &self.names
    }
}

impl Drop for Gate<'_> {
    fn drop(&mut self) {
        flock::unlock(&self.writer.lock);
    }
}

fn open_writer(path: &Path, root: &Path, disk: &Disk) -> Result<Connection> {
    if path.exists() {
        // Read-only, so that a store of a newer release stays as it is.
        let connection = open_reader(path)?;
        check_version(&connection, root)?;
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(path, flags).doing("open database")?;
    connection.busy_timeout(BUSY_TIMEOUT).doing("open database")?;
    let mode: String =
        connection.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0)).doing("open database")?;
    if mode != "wal" {
        return Err(Error::new(ErrorKind::Unsupported, "open store", root.display())
            .with_source(format!("the file system has no shared memory: journal mode {mode}")));
    }
    connection
        .execute_batch(&format!(
            "PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; PRAGMA journal_size_limit = {WAL_BYTES};"
        ))
        .doing("open database")?;
    if check_version(&connection, root)? == 0 {
        let transaction =
            connection.transaction_with_behavior(TransactionBehavior::Immediate).doing("create tables")?;
        transaction.execute_batch(schema::TABLES).doing("create tables")?;
        transaction
            .execute_batch(&format!(
                "PRAGMA application_id = {}; PRAGMA user_version = {};",
                schema::APPLICATION_ID,
                schema::VERSION
            ))
            .doing("create tables")?;
        disk.before(Step::Commit { synced: true }).map_err(|error| Error::io("create tables", "cache.db", error))?;
        transaction.commit().doing("create tables")?;
        disk.sync_directory(root)?;
    }
    Ok(connection)
}

fn open_reader(path: &Path) -> Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).doing("open database")?;
    connection.busy_timeout(BUSY_TIMEOUT).doing("open database")?;
    Ok(connection)
}

/// The schema's version; zero for an empty database.
fn check_version(connection: &Connection, root: &Path) -> Result<i64> {
    let pragma = |sql| connection.query_row(sql, [], |row| row.get::<_, i64>(0)).doing("read schema version");
    let (application, version) = (pragma("PRAGMA application_id")?, pragma("PRAGMA user_version")?);
    let refuse = |why: String| Err(Error::new(ErrorKind::Unsupported, "open store", root.display()).with_source(why));
    match (application, version) {
        (schema::APPLICATION_ID, schema::VERSION) => Ok(version),
        (0, 0) => Ok(0),
        (schema::APPLICATION_ID, newer) => {
            refuse(format!("the store has schema version {newer}; this release knows up to {}", schema::VERSION))
        }
        _ => refuse("cache.db is not a database of layercache".to_owned()),
    }
}
