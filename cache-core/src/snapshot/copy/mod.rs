//! Copies of whole trees.

mod contents;
mod metadata;

use std::collections::HashMap;
use std::ffi::CStr;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::fs::{
    AtFlags, FileType, Mode, OFlags, Stat, linkat, mkdirat, mknodat, openat, readlinkat, statat, symlinkat,
};

use crate::error::{Error, ErrorKind, Result};
use crate::snapshot::copy::contents::Contents;
use crate::snapshot::copy::metadata::{Node, copy_metadata};
use crate::snapshot::descend::{child, for_each_name, open_directory, without_access_time};
use crate::snapshot::native::Ownership;

/// The operation in errors.
const OPERATION: &str = "copy snapshot";

/// Fills the empty directory `target` with everything in `source`, and gives it `source`'s own metadata. Kept are types, contents,
/// holes, hard links within the tree, owners, modes, extended attributes, access and modification times to the nanosecond.
///
/// # Errors
/// `Cancelled` soon after `cancelled` is set; else the disk's failures.
pub(super) fn copy_tree(source: &Path, target: &Path, ownership: Ownership, cancelled: &AtomicBool) -> Result<()> {
    let open = |path: &Path| File::open(path).map_err(|error| Error::io(OPERATION, path.display(), error));
    let (source, target) = (open(source)?, open(target)?);
    TreeCopy {
        source: source.as_fd(),
        target: target.as_fd(),
        ownership,
        cancelled,
        contents: Contents::default(),
        links: HashMap::new(),
    }
    .run()
}

struct TreeCopy<'a> {
    source: BorrowedFd<'a>,
    target: BorrowedFd<'a>,
    ownership: Ownership,
    cancelled: &'a AtomicBool,
    contents: Contents,
    /// Where the first name of an inode with several names lies in the target.
    links: HashMap<(u64, u64), FirstName>,
}

struct FirstName {
    parent: Vec<u8>,
    name: Box<CStr>,
}

impl TreeCopy<'_> {
    fn run(mut self) -> Result<()> {
        let failed = |path: &[u8], error| Error::io(OPERATION, path.escape_ascii(), error);
        let mut pending = vec![Vec::new()];
        let mut directories = Vec::new();
        while let Some(path) = pending.pop() {
            // Before its entries are read, which changes its access time.
            let source = open_directory(self.source, &path).map_err(|error| failed(&path, error))?;
            let stat = rustix::fs::fstat(&source).map_err(|error| failed(&path, error.into()))?;
            let target = open_directory(self.target, &path).map_err(|error| failed(&path, error))?;
            for_each_name(source.as_fd(), |name| -> Result<(), Failure> {
                if self.cancelled.load(Ordering::Relaxed) {
                    return Err(Error::new(ErrorKind::Cancelled, OPERATION, child(&path, name).escape_ascii()).into());
                }
                let is_directory = self
                    .entry(source.as_fd(), target.as_fd(), &path, name)
                    .map_err(|error| failed(&child(&path, name), error))?;
                if is_directory {
                    pending.push(child(&path, name));
                }
                Ok(())
            })
            .map_err(|failure| failure.0.unwrap_or_else(|error| failed(&path, error)))?;
            directories.push((path, stat));
        }
        // Last, because what is made in a directory changes its times and needs its write permission; and children before
        // their parents, because a finished parent may forbid the way to them.
        for (path, stat) in directories.iter().rev() {
            self.finish_directory(path, stat).map_err(|error| failed(path, error))?;
        }
        Ok(())
    }

    /// Copies one entry, but not what is in a directory; whether it is one.
    fn entry(
        &mut self,
        source: BorrowedFd<'_>,
        target: BorrowedFd<'_>,
        parent: &[u8],
        name: &CStr,
    ) -> io::Result<bool> {
        let stat = statat(source, name, AtFlags::SYMLINK_NOFOLLOW)?;
        let kind = FileType::from_raw_mode(stat.st_mode);
        if kind == FileType::Directory {
            mkdirat(target, name, Mode::RWXU)?;
            return Ok(true);
        }
        if stat.st_nlink > 1 {
            let key = (stat.st_dev, stat.st_ino);
            if let Some(first) = self.links.get(&key) {
                let directory = open_directory(self.target, &first.parent)?;
                linkat(&directory, &*first.name, target, name, AtFlags::empty())?;
                return Ok(false);
            }
            self.links.insert(key, FirstName { parent: parent.to_vec(), name: name.into() });
        }
        match kind {
            FileType::RegularFile => {
                let flags = OFlags::NOFOLLOW | OFlags::CLOEXEC;
                // Non-blocking, should somebody put a FIFO there.
                let from = without_access_time(
                    |flags| openat(source, name, flags, Mode::empty()),
                    flags | OFlags::RDONLY | OFlags::NONBLOCK,
                )?;
                let flags = flags | OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL;
                let (from, to) = (File::from(from), openat(target, name, flags, Mode::RUSR | Mode::WUSR)?);
                let to = File::from(to);
                self.contents.copy(&from, &to, stat.st_size.unsigned_abs(), self.cancelled)?;
                copy_metadata(&Node::Open(from.as_fd()), &Node::Open(to.as_fd()), &stat, self.ownership)?;
            }
            FileType::Symlink => {
                let link = readlinkat(source, name, Vec::new())?;
                symlinkat(&*link, target, name)?;
                self.finish_closed(source, target, name, &stat)?;
            }
            kind => {
                mknodat(target, name, kind, Mode::RUSR | Mode::WUSR, stat.st_rdev)?;
                self.finish_closed(source, target, name, &stat)?;
            }
        }
        Ok(false)
    }

    /// The metadata of what cannot be opened without a side effect.
    fn finish_closed(
        &self,
        source: BorrowedFd<'_>,
        target: BorrowedFd<'_>,
        name: &CStr,
        stat: &Stat,
    ) -> io::Result<()> {
        copy_metadata(&Node::Named(source, name), &Node::Named(target, name), stat, self.ownership)
    }

    fn finish_directory(&self, path: &[u8], stat: &Stat) -> io::Result<()> {
        let source = open_directory(self.source, path)?;
        let target = open_directory(self.target, path)?;
        copy_metadata(&Node::Open(source.as_fd()), &Node::Open(target.as_fd()), stat, self.ownership)
    }
}

/// A failure that is an [`Error`] already, or is to become one of the directory that was being read.
struct Failure(Result<Error, io::Error>);

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self(Err(error))
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self(Ok(error))
    }
}
