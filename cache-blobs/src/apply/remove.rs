//! Removing what a layer replaces or hides.

use std::ffi::OsStr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::vec::IntoIter;

use rustix::fs::{AtFlags, FileType, Mode, OFlags, fstat, openat, statat, unlinkat};
use rustix::io::Errno;

use super::{Error, Operation};
use crate::directory_names::directory_names;

/// A name in a certain directory: device and inode of the directory, and the name.
pub(super) type Location = (u64, u64, Vec<u8>);

/// Where `name` in `directory` is.
pub(super) fn location(directory: BorrowedFd<'_>, name: &[u8]) -> Result<Location, Errno> {
    let stat = fstat(directory)?;
    Ok((stat.st_dev, stat.st_ino, name.to_vec()))
}

/// What was removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Removed {
    /// There was nothing.
    Nothing,
    /// Something that a path cannot lead through.
    Leaf,
    /// A directory, with everything in it.
    Directory,
}

/// Removes `name`, with everything below it and without following links. `path` is for errors.
pub(super) fn remove_all(directory: BorrowedFd<'_>, name: &[u8], path: &[u8]) -> Result<Removed, Error> {
    let failed = |error: Errno| Error::io(Operation::Remove, path, error);
    match unlinkat(directory, OsStr::from_bytes(name), AtFlags::empty()) {
        Ok(()) => return Ok(Removed::Leaf),
        Err(Errno::NOENT) => return Ok(Removed::Nothing),
        Err(Errno::ISDIR) => {}
        Err(error) => return Err(failed(error)),
    }
    let opened = open_directory(directory, name).map_err(failed)?;
    clear(opened, path, &|_| false)?;
    match unlinkat(directory, OsStr::from_bytes(name), AtFlags::REMOVEDIR) {
        Ok(()) | Err(Errno::NOENT) => Ok(Removed::Directory),
        Err(error) => Err(failed(error)),
    }
}

/// Removes everything in a directory but what `keep` names, and but directories that hold something kept.
pub(super) fn clear(directory: OwnedFd, path: &[u8], keep: &dyn Fn(&Location) -> bool) -> Result<(), Error> {
    let failed = |error: std::io::Error| Error::io(Operation::Remove, path, error);
    let mut levels = vec![Level::new(directory, Vec::new(), true).map_err(failed)?];
    while let Some(level) = levels.last_mut() {
        let Some(name) = level.names.next() else {
            let done = levels.pop().expect("the loop has a level");
            if let Some(above) = levels.last_mut() {
                above.leave(&done).map_err(|error| failed(error.into()))?;
            }
            continue;
        };
        if let Some(below) = level.take(name, keep).map_err(failed)? {
            levels.push(below);
        }
    }
    Ok(())
}

/// A directory that is being emptied. One per level of depth is open.
struct Level {
    fd: OwnedFd,
    name: Vec<u8>,
    names: IntoIter<Vec<u8>>,
    kept: bool,
}

impl Level {
    fn new(fd: OwnedFd, name: Vec<u8>, kept: bool) -> std::io::Result<Self> {
        let names = directory_names(&fd)?.into_iter();
        Ok(Self { fd, name, names, kept })
    }

    /// Removes or keeps one name; a directory is given back to be emptied first.
    fn take(&mut self, name: Vec<u8>, keep: &dyn Fn(&Location) -> bool) -> std::io::Result<Option<Self>> {
        let place = location(self.fd.as_fd(), &name)?;
        let kept = keep(&place);
        if kept {
            self.kept = true;
            let stat = statat(&self.fd, OsStr::from_bytes(&name), AtFlags::SYMLINK_NOFOLLOW)?;
            if FileType::from_raw_mode(stat.st_mode) != FileType::Directory {
                return Ok(None);
            }
        } else {
            match unlinkat(&self.fd, OsStr::from_bytes(&name), AtFlags::empty()) {
                Ok(()) | Err(Errno::NOENT) => return Ok(None),
                Err(Errno::ISDIR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Self::new(open_directory(self.fd.as_fd(), &name)?, name, kept).map(Some)
    }

    fn leave(&mut self, below: &Self) -> Result<(), Errno> {
        if below.kept {
            self.kept = true;
            return Ok(());
        }
        match unlinkat(&self.fd, OsStr::from_bytes(&below.name), AtFlags::REMOVEDIR) {
            Err(Errno::NOENT) => Ok(()),
            other => other,
        }
    }
}

fn open_directory(directory: BorrowedFd<'_>, name: &[u8]) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    openat(directory, OsStr::from_bytes(name), flags, Mode::empty())
}
