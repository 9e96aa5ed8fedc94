//! Locks on files that the operating system releases with their holder.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::Path;

use rustix::fs::{FlockOperation, flock};

use crate::error::{Error, Result};

/// Opens the lock file at `path`, creating it if it is missing. Two openings of one file are two holders, also in one process.
pub(super) fn open(path: &Path) -> Result<File> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(path)
        .map_err(|error| Error::io("open lock file", path.display(), error))
}

/// Waits for the lock.
pub(super) fn lock(file: &File, operation: FlockOperation, path: &Path) -> Result<()> {
    rustix::io::retry_on_intr(|| flock(file, operation))
        .map_err(|error| Error::io("lock", path.display(), io::Error::from(error)))
}

/// Takes the lock if nobody else's stands against it; whether it did. `operation` is a non-blocking one.
pub(super) fn try_lock(file: &File, operation: FlockOperation, path: &Path) -> Result<bool> {
    match rustix::io::retry_on_intr(|| flock(file, operation)) {
        Ok(()) => Ok(true),
        Err(rustix::io::Errno::WOULDBLOCK) => Ok(false),
        Err(error) => Err(Error::io("lock", path.display(), io::Error::from(error))),
    }
}

/// Lets go. Closing the file is not enough: a child that another thread of this process is just starting holds a copy of the
/// descriptor until it executes its program.
pub(super) fn unlock(file: &File) {
    if let Err(error) = rustix::io::retry_on_intr(|| flock(file, FlockOperation::Unlock)) {
        tracing::warn!(%error, "a lock is released only when its file is closed");
    }
}
