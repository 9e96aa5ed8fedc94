//! The database: one writer behind the gate, and any number of readers beside it.

use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rusqlite::Connection;
use rustix::fs::FlockOperation;

use crate::error::{Error, ErrorKind, Result};
use crate::local::batch::{self, Batch};
use crate::local::connection;
use crate::local::durable::{Disk, Step};
use crate::local::flock;
use crate::local::gate::{Gate, refused};
use crate::local::layout::Layout;
use crate::local::names::Names;
use crate::local::reserve::Reserve;
use crate::local::sql::SqlContext;

/// Idle connections for reading that are kept open.
const IDLE_READERS: usize = 4;

/// Whether a transaction is on the disk when it has been committed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Durability {
    /// It is.
    Synced,
    /// It gets there with the next synced one, and before it. A killed process loses nothing, a power cut may take it back.
    Ordered,
}

#[derive(Debug)]
pub(super) struct Database {
    path: PathBuf,
    gate_path: PathBuf,
    disk: Disk,
    reserve: Reserve,
    /// Threads that wait for the writer. Each of them ends or goes on with the batch that it finds.
    waiting: AtomicUsize,
    writer: Mutex<Writer>,
    readers: Mutex<Vec<Connection>>,
}

/// What only the holder of the gate uses.
#[derive(Debug)]
pub(super) struct Writer {
    pub(super) connection: Connection,
    pub(super) lock: File,
    pub(super) names: Names,
    durability: Durability,
    /// While there is one, the gate is held and its transaction open.
    batch: Option<Batch>,
}

impl Database {
    /// Opens the database, and creates it if it is missing.
    pub(super) fn open(layout: &Layout, disk: Disk) -> Result<Self> {
        connection::check_library(layout.root())?;
        let path = layout.database();
        let gate_path = layout.writer_lock();
        let lock = flock::open(&gate_path)?;
        flock::lock(&lock, FlockOperation::LockExclusive, &gate_path)?;
        let connection = connection::open_writer(&path, layout.root(), &disk);
        flock::unlock(&lock);
        let writer = Writer {
            connection: connection?,
            lock,
            names: Names::default(),
            durability: Durability::Synced,
            batch: None,
        };
        Ok(Self {
            path,
            gate_path,
            reserve: Reserve::new(layout.reserve(), disk.clone()),
            disk,
            waiting: AtomicUsize::new(0),
            writer: Mutex::new(writer),
            readers: Mutex::default(),
        })
    }

    /// Waits until nobody else changes the store.
    pub(super) fn gate(&self) -> Result<Gate<'_>> {
        let mut writer = self.wait_for_writer();
        if writer.batch.is_some() {
            // Its outcome is told to those whose changes are in it.
            let _ = self.end_batch(&mut writer, None);
        }
        self.enter(writer)
    }

    /// Makes all changes of `change`, or none. Threads that wait to do so share a transaction.
    pub(super) fn write<T>(
        &self,
        durability: Durability,
        change: impl FnOnce(&Connection, &Names) -> Result<T>,
    ) -> Result<T> {
        let mut writer = self.wait_for_writer();
        if writer.batch.is_none() {
            if durability == Durability::Ordered {
                // It costs no sync, so there is nothing to share.
                return self.enter(writer)?.write(durability, change);
            }
            self.begin_batch(&mut writer)?;
        }
        let made = catch_unwind(AssertUnwindSafe(|| writer.make(&self.disk, change)));
        let failure = match &made {
            Ok(made) => made.as_ref().err().cloned(),
            Err(_) => Some(Error::new(ErrorKind::Cancelled, "change store", "cache.db").with_source("a panic")),
        };
        if let (None, Some(batch)) = (&failure, &mut writer.batch) {
            batch.changes += 1;
            if batch.changes < batch::LONGEST && self.waiting.load(Ordering::SeqCst) > 0 {
                let outcome = batch.outcome();
                drop(writer);
                return outcome.wait().and_then(|()| settle(made));
            }
        }
        let ended = self.end_batch(&mut writer, failure);
        drop(writer);
        settle(made).and_then(|made| ended.map(|()| made))
    }

    /// The same for changes that free something. On a full disk they take the reserve and are tried again.
    pub(super) fn free<T>(
        &self,
        durability: Durability,
        mut change: impl FnMut(&Connection) -> Result<T>,
    ) -> Result<T> {
        match self.write(durability, |connection, _| change(connection)) {
            Err(error) if error.kind() == ErrorKind::NoSpace => {
                self.gate()?.free(durability, |connection, _| change(connection))
            }
            outcome => outcome,
        }
    }

    /// Looks at one state of the database, while others change it.
    pub(super) fn read<T>(&self, look: impl FnOnce(&Connection) -> Result<T>) -> Result<T> {
        let idle = self.readers().pop();
        let mut connection = match idle {
            Some(connection) => connection,
            None => connection::open_reader(&self.path)?,
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

    fn wait_for_writer(&self) -> MutexGuard<'_, Writer> {
        self.waiting.fetch_add(1, Ordering::SeqCst);
        // A panic between two statements was rolled back when it passed by.
        let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        self.waiting.fetch_sub(1, Ordering::SeqCst);
        writer
    }

    fn enter<'a>(&'a self, writer: MutexGuard<'a, Writer>) -> Result<Gate<'a>> {
        flock::lock(&writer.lock, FlockOperation::LockExclusive, &self.gate_path)?;
        Ok(Gate { writer, disk: &self.disk, reserve: &self.reserve })
    }

    fn begin_batch(&self, writer: &mut Writer) -> Result<()> {
        flock::lock(&writer.lock, FlockOperation::LockExclusive, &self.gate_path)?;
        let begun = writer
            .set_durability(Durability::Synced)
            .and_then(|()| writer.connection.execute_batch("BEGIN IMMEDIATE").doing("begin transaction"));
        match begun {
            Ok(()) => writer.batch = Some(Batch::default()),
            Err(_) => flock::unlock(&writer.lock),
        }
        begun
    }

    /// Commits what the batch holds, tells everybody who waits for it, and leaves the gate. `failure` is why the last change was not
    /// made.
    fn end_batch(&self, writer: &mut Writer, failure: Option<Error>) -> Result<()> {
        let Some(batch) = writer.batch.take() else { return Ok(()) };
        let outcome = match failure {
            // SQLite rolls a whole transaction back where it fails to write in the middle of it.
            Some(failure) if writer.connection.is_autocommit() => {
                writer.names.undo(&self.disk, 0);
                Err(failure)
            }
            _ if batch.changes == 0 => {
                writer.names.undo(&self.disk, 0);
                Ok(())
            }
            _ => writer.commit(&self.disk),
        };
        if !writer.connection.is_autocommit()
            && let Err(error) = writer.connection.execute_batch("ROLLBACK")
        {
            tracing::error!(%error, "a transaction could not be rolled back");
        }
        writer.names.keep();
        flock::unlock(&writer.lock);
        batch.end(outcome.clone());
        outcome
    }
}

/// What a change gave, or its panic.
fn settle<T>(made: std::thread::Result<Result<T>>) -> Result<T> {
    made.unwrap_or_else(|panic| resume_unwind(panic))
}

impl Writer {
    pub(super) fn set_durability(&mut self, durability: Durability) -> Result<()> {
        if self.durability != durability {
            let level = match durability {
                Durability::Synced => "PRAGMA synchronous = FULL",
                Durability::Ordered => "PRAGMA synchronous = NORMAL",
            };
            self.connection.execute_batch(level).doing("set durability")?;
            self.durability = durability;
        }
        Ok(())
    }

    /// Makes one change of a batch, or nothing of it.
    fn make<T>(&mut self, disk: &Disk, change: impl FnOnce(&Connection, &Names) -> Result<T>) -> Result<T> {
        let Self { connection, names, .. } = self;
        let mark = names.mark();
        let savepoint = connection.savepoint().doing("begin change")?;
        let made = change(&savepoint, names).and_then(|made| {
            savepoint.commit().doing("end change")?;
            Ok(made)
        });
        made.inspect_err(|_| names.undo(disk, mark))
    }

    fn commit(&mut self, disk: &Disk) -> Result<()> {
        let ready = self.names.sync(disk).and_then(|()| disk.before(Step::Commit { synced: true }).map_err(refused));
        ready.inspect_err(|_| self.names.undo(disk, 0))?;
        let committed = self.connection.execute_batch("COMMIT").doing("commit transaction");
        committed.inspect_err(|error| self.names.undo_commit(disk, error.kind()))?;
        self.names.keep();
        Ok(())
    }
}
