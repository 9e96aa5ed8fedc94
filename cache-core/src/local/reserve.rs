//! Disk that is kept back for the day when there is no more.

use std::fs;
use std::path::PathBuf;

use rustix::fs::{FallocateFlags, fallocate};

use crate::error::{Error, Result};
use crate::local::durable::{Disk, Step};
use crate::local::names::Names;

/// What freeing something on a full disk may write to SQLite's log: about 250 pages.
const RESERVE_BYTES: u64 = 1024 * 1024;

/// Less is not worth a file: a transaction that deletes one lease writes about ten pages.
const LEAST_BYTES: u64 = 64 * 1024;

/// A file of no use but its size. Deleting rows is writing too, so without it a full store could not be pruned.
#[derive(Debug)]
pub(super) struct Reserve {
    path: PathBuf,
    disk: Disk,
}

impl Reserve {
    pub(super) fn new(path: PathBuf, disk: Disk) -> Self {
        Self { path, disk }
    }

    /// Gives the disk free; whether there was any.
    pub(super) fn release(&self, names: &Names) -> Result<bool> {
        if self.length() == 0 {
            return Ok(false);
        }
        self.disk.create(names, &self.path)?.truncate(0)?;
        tracing::debug!("the disk is full; its reserve is spent until something is freed");
        Ok(true)
    }

    /// Takes as much of the disk as there is, up to a mebibyte.
    pub(super) fn fill(&self, names: &Names) {
        let mut wanted = RESERVE_BYTES;
        while wanted >= LEAST_BYTES && self.length() < wanted {
            match self.allocate(names, wanted) {
                Ok(()) => return,
                Err(error) => tracing::debug!(%error, wanted, "the reserve for a full disk is smaller"),
            }
            wanted /= 2;
        }
    }

    fn allocate(&self, names: &Names, wanted: u64) -> Result<()> {
        let mut file = self.disk.create(names, &self.path)?;
        let length = self.length();
        let allocated = self
            .disk
            .before(Step::Write { path: &self.path, length })
            .and_then(|()| Ok(fallocate(file.file(), FallocateFlags::empty(), 0, wanted)?));
        if let Err(error) = allocated {
            file.truncate(length)?;
            return Err(Error::io("reserve disk", self.path.display(), error));
        }
        Ok(())
    }

    fn length(&self) -> u64 {
        fs::metadata(&self.path).map_or(0, |metadata| metadata.len())
    }
}
