//! Names in the store's directory, as far as a transaction is about them.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::error::{ErrorKind, Result};
use crate::local::durable::Disk;

/// Proof that the gate is held. Whoever creates, renames or removes a name that other processes look at asks for it.
#[derive(Debug, Default)]
pub(super) struct Names {
    /// Directories to be synced before the transaction is committed.
    unsynced: RefCell<BTreeSet<PathBuf>>,
    /// What was renamed in the transaction, from and to.
    renamed: RefCell<Vec<(PathBuf, PathBuf)>>,
}

impl Names {
    /// Renames in the transaction: back again if it fails, durably if it is committed.
    pub(super) fn rename(&self, disk: &Disk, from: &Path, to: &Path) -> Result<()> {
        disk.rename(self, from, to)?;
        self.renamed.borrow_mut().push((from.to_owned(), to.to_owned()));
        self.sync_later(to);
        Ok(())
    }

    /// Has the name `path` synced before the transaction is committed.
    pub(super) fn sync_later(&self, path: &Path) {
        self.unsynced.borrow_mut().extend(path.parent().map(Path::to_owned));
    }

    /// How much was renamed so far.
    pub(super) fn mark(&self) -> usize {
        self.renamed.borrow().len()
    }

    /// Makes the names durable.
    pub(super) fn sync(&self, disk: &Disk) -> Result<()> {
        std::mem::take(&mut *self.unsynced.borrow_mut()).iter().try_for_each(|directory| disk.sync_directory(directory))
    }

    /// Forgets what was renamed: it was committed, or is left as garbage.
    pub(super) fn keep(&self) {
        self.unsynced.borrow_mut().clear();
        self.renamed.borrow_mut().clear();
    }

    /// Renames back what was renamed since `mark`, because it will not be committed.
    pub(super) fn undo(&self, disk: &Disk, mark: usize) {
        for (from, to) in self.renamed.borrow_mut().drain(mark..).rev() {
            if let Err(error) = disk.rename(self, &to, &from) {
                tracing::warn!(%error, "what was to be committed waits for the next collection");
            }
        }
    }

    /// After the commit itself failed. A full disk keeps it off the disk; after another failure a power cut may yet bring the
    /// rows back, and the names stay with them.
    pub(super) fn undo_commit(&self, disk: &Disk, kind: ErrorKind) {
        if kind == ErrorKind::NoSpace {
            self.undo(disk, 0);
        }
        self.keep();
    }
}
