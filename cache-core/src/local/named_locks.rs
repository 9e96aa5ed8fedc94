//! Locks by name: one file per name that is held.
//!
//! flock(2) cannot tell how a lock is held; one has to try it, and is a holder meanwhile. Who does that only to look holds
//! `look.lock` for so long. Whoever is refused by a named lock takes `look.lock` too and tries once more: nobody looks then, so
//! that the second answer is about holders. It is held for a few system calls, and only by who looks or was refused.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::FlockOperation;

use crate::error::{Error, ErrorKind, Result};
use crate::local::flock;
use crate::local::store::Store;
use crate::ports::{LockGuard, LockMode};

/// A held lock.
#[derive(Debug)]
pub struct NamedLock {
    file: File,
    path: PathBuf,
    mode: LockMode,
}

impl LockGuard for NamedLock {}

/// While it lives, nobody else holds a named lock only to look.
#[derive(Debug)]
struct Look {
    file: File,
}

impl Drop for Look {
    fn drop(&mut self) {
        flock::unlock(&self.file);
    }
}

impl Store {
    /// Waits for the lock `name`.
    ///
    /// # Errors
    /// `Invalid` for an empty name; the disk's failures.
    pub fn lock(&self, name: &str, mode: LockMode) -> Result<NamedLock> {
        let path = self.lock_path(name)?;
        let operation = match mode {
            LockMode::Shared => FlockOperation::LockShared,
            LockMode::Exclusive => FlockOperation::LockExclusive,
        };
        loop {
            let file = flock::open(&path)?;
            flock::lock(&file, operation, &path)?;
            // The holder before us removed the file when it let go.
            if is_at(&file, &path)? {
                return Ok(NamedLock { file, path, mode });
            }
        }
    }

    /// The lock `name`, if it can be had now.
    ///
    /// # Errors
    /// As [`lock`](Self::lock).
    pub fn try_lock(&self, name: &str, mode: LockMode) -> Result<Option<NamedLock>> {
        if let Some(lock) = self.try_lock_once(name, mode)? {
            return Ok(Some(lock));
        }
        let _nobody_looks = self.look()?;
        self.try_lock_once(name, mode)
    }

    /// As [`try_lock`](Self::try_lock), but also refused by who only looks.
    pub(super) fn try_lock_once(&self, name: &str, mode: LockMode) -> Result<Option<NamedLock>> {
        let path = self.lock_path(name)?;
        let operation = match mode {
            LockMode::Shared => FlockOperation::NonBlockingLockShared,
            LockMode::Exclusive => FlockOperation::NonBlockingLockExclusive,
        };
        loop {
            let file = flock::open(&path)?;
            if !flock::try_lock(&file, operation, &path)? {
                return Ok(None);
            }
            if is_at(&file, &path)? {
                return Ok(Some(NamedLock { file, path, mode }));
            }
        }
    }

    /// How somebody holds the lock `name`.
    ///
    /// # Errors
    /// As [`lock`](Self::lock).
    pub fn lock_holder(&self, name: &str) -> Result<Option<LockMode>> {
        let path = self.lock_path(name)?;
        let _looking = self.look()?;
        loop {
            let file = match OpenOptions::new().read(true).write(true).open(&path) {
                Ok(file) => file,
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
                Err(error) => return Err(Error::io("open lock file", path.display(), error)),
            };
            if !flock::try_lock(&file, FlockOperation::NonBlockingLockShared, &path)? {
                if is_at(&file, &path)? {
                    return Ok(Some(LockMode::Exclusive));
                }
                continue;
            }
            // Its drop removes the file if the last holder could not, because of us.
            let tried = NamedLock { file, path: path.clone(), mode: LockMode::Shared };
            let is_free = flock::try_lock(&tried.file, FlockOperation::NonBlockingLockExclusive, &path)?;
            if is_at(&tried.file, &path)? {
                return Ok((!is_free).then_some(LockMode::Shared));
            }
        }
    }

    /// Waits until nobody else looks.
    fn look(&self) -> Result<Look> {
        let path = self.layout.look_lock();
        let file = flock::open(&path)?;
        flock::lock(&file, FlockOperation::LockExclusive, &path)?;
        Ok(Look { file })
    }

    fn lock_path(&self, name: &str) -> Result<PathBuf> {
        if name.is_empty() {
            return Err(Error::new(ErrorKind::Invalid, "lock", "the empty name"));
        }
        Ok(self.layout.named_lock(name))
    }
}

impl Drop for NamedLock {
    /// Lets go, and leaves no file behind if it is the last holder.
    fn drop(&mut self) {
        let alone = self.mode == LockMode::Exclusive
            || flock::try_lock(&self.file, FlockOperation::NonBlockingLockExclusive, &self.path).unwrap_or(false);
        if alone && is_at(&self.file, &self.path).unwrap_or(false) {
            // Who waits for this file finds it gone when it gets the lock, and opens the next one.
            if let Err(error) = fs::remove_file(&self.path) {
                tracing::debug!(%error, "a lock file stays");
            }
        }
        flock::unlock(&self.file);
    }
}

/// Whether `path` still names `file`.
fn is_at(file: &File, path: &Path) -> Result<bool> {
    let compare = || -> io::Result<bool> {
        let held = file.metadata()?;
        match fs::metadata(path) {
            Ok(named) => Ok((named.dev(), named.ino()) == (held.dev(), held.ino())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    };
    compare().map_err(|error| Error::io("lock", path.display(), error))
}
