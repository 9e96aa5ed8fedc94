//! A file on its way to its place in a layout.

use std::fs::File;
use std::io::Write;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use cache_core::{ErrorKind, Result};
use rustix::fs::{AtFlags, FlockOperation, Mode, OFlags};

use super::directory::Directory;

/// The prefix of our files in `ingest/`, so that the sweep touches nobody else's.
const PREFIX: &str = "layercache-";

/// A file in `ingest/`, locked while its writer lives and unlinked with it, unless it has moved to its place.
#[derive(Debug)]
pub(super) struct Temporary {
    directory: Arc<Directory>,
    ingests: OwnedFd,
    name: Option<String>,
    file: File,
}

impl Temporary {
    /// A new empty file. Blocks.
    pub(super) fn create(directory: &Arc<Directory>) -> Result<Self> {
        loop {
            let ingests = directory.make_ingest_directory()?;
            let (name, file) = match directory.create_unique(ingests.as_fd(), PREFIX) {
                // Somebody removed the empty `ingest/` meanwhile.
                Err(error) if error.kind() == ErrorKind::NotFound => continue,
                created => created?,
            };
            let lock = rustix::fs::flock(&file, FlockOperation::LockExclusive);
            lock.map_err(|errno| directory.io("lock", &name, errno.into()))?;
            let stat = rustix::fs::fstat(&file).map_err(|errno| directory.io("stat", &name, errno.into()))?;
            // A sweep may have come between creation and lock.
            if stat.st_nlink > 0 {
                return Ok(Self { directory: Arc::clone(directory), ingests, name: Some(name), file });
            }
        }
    }

    /// Adds `bytes`. Blocks.
    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.file.write_all(bytes).map_err(|source| self.directory.io("write", "ingest", source))
    }

    /// Makes the file durable as `name` of `place`, in the stead of what is there. Blocks.
    pub(super) fn persist(mut self, place: BorrowedFd<'_>, name: &str) -> Result<()> {
        let io = |source| self.directory.io("write", name, source);
        self.file.sync_all().map_err(io)?;
        if let Some(temporary) = &self.name {
            rustix::fs::renameat(&self.ingests, temporary.as_str(), place, name).map_err(|errno| io(errno.into()))?;
        }
        // From now on somebody else may take the name.
        self.name = None;
        rustix::fs::fsync(place).map_err(|errno| self.directory.io("sync", name, errno.into()))
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if let Some(name) = &self.name {
            // What cannot be removed now, the next sweep removes.
            let _ = rustix::fs::unlinkat(&self.ingests, name.as_str(), AtFlags::empty());
        }
        // Fails, as it should, while other files are under way.
        let _ = rustix::fs::unlinkat(self.directory.root(), "ingest", AtFlags::REMOVEDIR);
    }
}

/// Removes what writers left that were killed. Blocks.
pub(super) fn sweep(directory: &Directory) -> Result<()> {
    let Some(ingests) = directory.open_ingest_directory()? else { return Ok(()) };
    let entries = rustix::fs::Dir::read_from(&ingests).map_err(|errno| directory.io("list", "ingest", errno.into()))?;
    for entry in entries {
        let entry = entry.map_err(|errno| directory.io("list", "ingest", errno.into()))?;
        let name = entry.file_name();
        if !name.to_bytes().starts_with(PREFIX.as_bytes()) {
            continue;
        }
        let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let Ok(file) = rustix::fs::openat(&ingests, name, flags, Mode::empty()) else { continue };
        if rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive).is_ok() {
            tracing::debug!(?name, "removes what a killed writer left in the layout");
            // Another sweep may have been faster.
            let _ = rustix::fs::unlinkat(&ingests, name, AtFlags::empty());
        }
    }
    // Fails, as it should, while files are under way.
    let _ = rustix::fs::unlinkat(directory.root(), "ingest", AtFlags::REMOVEDIR);
    Ok(())
}
