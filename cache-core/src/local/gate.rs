//! The gate through which every change goes.

use std::sync::MutexGuard;

use rusqlite::{Connection, TransactionBehavior};

use crate::error::{Error, ErrorKind, Result};
use crate::local::database::{Durability, Writer};
use crate::local::durable::{Disk, Step};
use crate::local::flock;
use crate::local::names::Names;
use crate::local::reserve::Reserve;
use crate::local::sql::SqlContext;

/// The right to change the store: at most one holder among all threads of all processes.
#[derive(Debug)]
pub(super) struct Gate<'a> {
    pub(super) writer: MutexGuard<'a, Writer>,
    pub(super) disk: &'a Disk,
    pub(super) reserve: &'a Reserve,
}

impl Gate<'_> {
    /// Makes all changes of `change`, or none.
    pub(super) fn write<T>(
        &mut self,
        durability: Durability,
        change: impl FnOnce(&Connection, &Names) -> Result<T>,
    ) -> Result<T> {
        let Self { writer, disk, .. } = self;
        writer.set_durability(durability)?;
        let Writer { connection, names, .. } = &mut **writer;
        // A change that panicked may have left some.
        names.keep();
        let transaction =
            connection.transaction_with_behavior(TransactionBehavior::Immediate).doing("begin transaction")?;
        let made = change(&transaction, names).and_then(|made| {
            names.sync(disk)?;
            disk.before(Step::Commit { synced: durability == Durability::Synced }).map_err(refused)?;
            Ok(made)
        });
        let made = made.inspect_err(|_| names.undo(disk, 0))?;
        transaction.commit().doing("commit transaction").inspect_err(|error| names.undo_commit(disk, error.kind()))?;
        names.keep();
        Ok(made)
    }

    /// The same for changes that free something. On a full disk they take the reserve and are tried again.
    pub(super) fn free<T>(
        &mut self,
        durability: Durability,
        mut change: impl FnMut(&Connection, &Names) -> Result<T>,
    ) -> Result<T> {
        match self.write(durability, &mut change) {
            Err(error) if error.kind() == ErrorKind::NoSpace && self.release_reserve()? => {
                self.write(durability, change)
            }
            outcome => outcome,
        }
    }

    /// Looks at the state that the gate keeps as it is.
    pub(super) fn read<T>(&mut self, look: impl FnOnce(&Connection) -> Result<T>) -> Result<T> {
        let transaction = self.writer.connection.transaction().doing("begin reading")?;
        look(&transaction)
    }

    /// Gives the reserve for a full disk free; whether there was one.
    pub(super) fn release_reserve(&self) -> Result<bool> {
        self.reserve.release(self.names())
    }

    /// Takes the reserve for a full disk, if there is room for it.
    pub(super) fn fill_reserve(&self) {
        self.reserve.fill(self.names());
    }

    pub(super) fn names(&self) -> &Names {
        &self.writer.names
    }
}

impl Drop for Gate<'_> {
    fn drop(&mut self) {
        flock::unlock(&self.writer.lock);
    }
}

/// What a test said instead of the disk.
pub(super) fn refused(error: std::io::Error) -> Error {
    Error::io("commit transaction", "cache.db", error)
}
