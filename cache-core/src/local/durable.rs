//! The one place from which the store changes files, so that a test can fail or cut the power at every step.

use std::fmt::Debug;
use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, FileExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::error::{Error, Result};
use crate::local::names::Names;
use crate::snapshot;

/// A step that the store is about to take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Step<'a> {
    /// Create a file, unless it is there.
    Create(&'a Path),
    /// Add bytes to a file that has `length` bytes.
    Write {
        /// The file.
        path: &'a Path,
        /// Its length before.
        length: u64,
    },
    /// Cut a file.
    Truncate(&'a Path),
    /// Make a file's bytes durable.
    Sync(&'a Path),
    /// Make a directory's names durable.
    SyncDirectory(&'a Path),
    /// Move a name, over another one if it is there.
    Rename {
        /// The name before.
        from: &'a Path,
        /// The name after.
        to: &'a Path,
    },
    /// Remove a file's name.
    Remove(&'a Path),
    /// Create a directory, unless it is there.
    MakeDirectory(&'a Path),
    /// Commit a transaction of the database.
    Commit {
        /// Whether it is on the disk afterwards. If not, it gets there with the next one that is.
        synced: bool,
    },
}

/// Sees every step before it is taken. For tests.
pub trait Faults: Send + Sync + Debug + 'static {
    /// Lets the step happen, or makes it fail with the returned error.
    ///
    /// # Errors
    /// Whatever the store is to believe that the operating system said.
    fn before(&self, step: Step<'_>) -> io::Result<()>;
}

/// Takes steps on the disk.
#[derive(Clone, Debug, Default)]
pub(super) struct Disk {
    faults: Option<Arc<dyn Faults>>,
}

impl Disk {
    pub(super) fn new(faults: Option<Arc<dyn Faults>>) -> Self {
        Self { faults }
    }

    pub(super) fn before(&self, step: Step<'_>) -> io::Result<()> {
        self.faults.as_ref().map_or(Ok(()), |faults| faults.before(step))
    }

    /// Opens `path` for reading and writing, and creates it if it is missing.
    pub(super) fn create(&self, _: &Names, path: &Path) -> Result<DurableFile> {
        let open = || OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path);
        let file = match self.before(Step::Create(path)).and_then(|()| open()) {
            // A commit that failed may have made it read-only before.
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                fs::set_permissions(path, Permissions::from_mode(0o600)).and_then(|()| open())
            }
            opened => opened,
        };
        let file = file.map_err(|error| Error::io("create file", path.display(), error))?;
        Ok(DurableFile { file, path: path.to_owned(), disk: self.clone() })
    }

    pub(super) fn rename(&self, _: &Names, from: &Path, to: &Path) -> Result<()> {
        self.before(Step::Rename { from, to })
            .and_then(|()| fs::rename(from, to))
            .map_err(|error| Error::io("rename", from.display(), error))
    }

    /// Removes a file; whether it was there.
    pub(super) fn remove(&self, _: &Names, path: &Path) -> Result<bool> {
        match self.before(Step::Remove(path)).and_then(|()| fs::remove_file(path)) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(Error::io("remove", path.display(), error)),
        }
    }

    /// Creates a directory for this user alone; whether it was missing.
    pub(super) fn make_directory(&self, path: &Path) -> Result<bool> {
        let made = self.before(Step::MakeDirectory(path)).and_then(|()| fs::DirBuilder::new().mode(0o700).create(path));
        match made {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => Ok(false),
            Err(error) => Err(Error::io("create directory", path.display(), error)),
        }
    }

    pub(super) fn sync_directory(&self, path: &Path) -> Result<()> {
        self.before(Step::SyncDirectory(path))
            .and_then(|()| File::open(path)?.sync_all())
            .map_err(|error| Error::io("sync directory", path.display(), error))
    }

    /// Removes a file or a whole tree that no other process looks at. It may stay in part if that fails.
    pub(super) fn remove_tree(&self, path: &Path) -> Result<()> {
        let failed = |error| Error::io("remove", path.display(), error);
        self.before(Step::Remove(path)).map_err(failed)?;
        match fs::symlink_metadata(path) {
            Ok(metadata) if metadata.is_dir() => snapshot::remove_tree(path),
            Ok(_) => fs::remove_file(path).map_err(failed),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(failed(error)),
        }
    }
}

/// A file of the store that is written through [`Disk`].
#[derive(Debug)]
pub(super) struct DurableFile {
    file: File,
    path: PathBuf,
    disk: Disk,
}

impl DurableFile {
    pub(super) fn file(&self) -> &File {
        &self.file
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The same file for another thread.
    pub(super) fn share(&self) -> Result<Self> {
        let file = self.file.try_clone().map_err(|error| Error::io("share file", self.path.display(), error))?;
        Ok(Self { file, path: self.path.clone(), disk: self.disk.clone() })
    }

    pub(super) fn length(&self) -> Result<u64> {
        let metadata = self.file.metadata().map_err(|error| Error::io("stat", self.path.display(), error))?;
        Ok(metadata.len())
    }

    /// Adds `bytes` after the first `length` ones.
    pub(super) fn append(&mut self, length: u64, bytes: &[u8]) -> Result<()> {
        self.disk
            .before(Step::Write { path: &self.path, length })
            .and_then(|()| self.file.write_all(bytes))
            .map_err(|error| Error::io("write", self.path.display(), error))
    }

    pub(super) fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<usize> {
        self.file.read_at(buffer, offset).map_err(|error| Error::io("read", self.path.display(), error))
    }

    /// Cuts the file to `length` bytes and continues there.
    pub(super) fn truncate(&mut self, length: u64) -> Result<()> {
        use std::io::Seek;
        self.disk
            .before(Step::Truncate(&self.path))
            .and_then(|()| self.file.set_len(length))
            .and_then(|()| self.file.seek(io::SeekFrom::Start(length)))
            .map(drop)
            .map_err(|error| Error::io("truncate", self.path.display(), error))
    }

    pub(super) fn sync(&self) -> Result<()> {
        self.disk
            .before(Step::Sync(&self.path))
            .and_then(|()| self.file.sync_all())
            .map_err(|error| Error::io("sync", self.path.display(), error))
    }

    /// Makes the file read-only for everybody; [`sync`](Self::sync) makes that durable.
    pub(super) fn protect(&self) -> Result<()> {
        self.file
            .set_permissions(Permissions::from_mode(0o444))
            .map_err(|error| Error::io("make read-only", self.path.display(), error))
    }
}
