//! A tree on a Linux file system.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;

use rustix::fs::{AtFlags, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;

use super::file_content::FileContent;
use super::own_directory::Number;
use super::tree::join;
use super::{Directory, Error, FileKind, Identity, Metadata, OpenFile, Operation, Tree, own_directory, xattr_calls};
use crate::directory_names::directory_names;
use crate::tar::Timestamp;

/// A directory of a file system as a [`Tree`].
///
/// Everything is opened relative to the directory above it and without following links, so nothing outside the root
/// can be reached, even while somebody moves directories about.
#[derive(Debug)]
pub struct DirectoryTree {
    root: OwnedFd,
}

impl DirectoryTree {
    /// Opens a directory by its path; links in that path are followed.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn open(path: impl AsRef<Path>) -> Result<Self, Error> {
        let path = path.as_ref();
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = rustix::fs::open(path, flags, Mode::empty())
            .map_err(|error| Error::io(Operation::Open, path.as_os_str().as_bytes(), error))?;
        Ok(Self { root })
    }

    /// Uses a directory that is already open for reading.
    #[must_use]
    pub fn from_fd(root: OwnedFd) -> Self {
        Self { root }
    }
}

impl From<DirectoryTree> for OwnedFd {
    fn from(tree: DirectoryTree) -> Self {
        tree.root
    }
}

impl Tree for DirectoryTree {
    fn root(&self) -> Result<Arc<dyn Directory>, Error> {
        let fd = self.root.try_clone().map_err(|error| Error::io(Operation::Open, b"", error))?;
        Ok(Arc::new(OpenDirectory::root(fd)))
    }
}

#[derive(Debug)]
pub(super) struct OpenDirectory {
    fd: OwnedFd,
    number: Number,
    path: Vec<u8>,
}

impl OpenDirectory {
    /// The topmost directory of a tree.
    pub(super) fn root(fd: OwnedFd) -> Self {
        Self { fd, number: Number::next(), path: Vec::new() }
    }

    fn failed(&self, operation: Operation, name: &[u8], error: impl Into<io::Error>) -> Error {
        Error::io(operation, &join(&self.path, name), error)
    }

    fn open(&self, name: &[u8], flags: OFlags) -> Result<OwnedFd, Error> {
        rustix::fs::openat(&self.fd, OsStr::from_bytes(name), flags | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())
            .map_err(|error| self.failed(Operation::Open, name, error))
    }

    /// Calls `ask` with a path of `name` for the attribute calls, which take no directory and do not follow what the path ends
    /// in: the name in the thread's own directory, or in the kernel's own link to the open one. Opening the file instead would
    /// fail without read permission, and would wake up devices.
    fn with_path<T>(&self, name: &[u8], ask: impl FnOnce(&OsStr) -> T) -> T {
        if own_directory::enter(&self.fd, self.number) {
            return ask(OsStr::from_bytes(name));
        }
        let descriptor = self.fd.as_fd().as_raw_fd().to_string();
        ask(OsStr::from_bytes(&[b"/proc/self/fd/", descriptor.as_bytes(), b"/", name].concat()))
    }
}

impl Directory for OpenDirectory {
    fn names(&self) -> Result<Vec<Vec<u8>>, Error> {
        directory_names(&self.fd).map_err(|error| self.failed(Operation::Read, b"", error))
    }

    fn metadata(&self, name: &[u8]) -> Result<Option<Metadata>, Error> {
        let directory = if own_directory::enter(&self.fd, self.number) { rustix::fs::CWD } else { self.fd.as_fd() };
        match rustix::fs::statat(directory, OsStr::from_bytes(name), AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok(Some(metadata_of(&stat))),
            Err(Errno::NOENT) => Ok(None),
            Err(error) => Err(self.failed(Operation::Inspect, name, error)),
        }
    }

    fn directory(&self, name: &[u8]) -> Result<Arc<dyn Directory>, Error> {
        let fd = self.open(name, OFlags::RDONLY | OFlags::DIRECTORY)?;
        Ok(Arc::new(Self { fd, number: Number::next(), path: join(&self.path, name) }))
    }

    fn link_target(&self, name: &[u8]) -> Result<Vec<u8>, Error> {
        match rustix::fs::readlinkat(&self.fd, OsStr::from_bytes(name), Vec::new()) {
            Ok(target) => Ok(target.into_bytes()),
            Err(error) => Err(self.failed(Operation::ReadLink, name, error)),
        }
    }

    fn file(&self, name: &[u8]) -> Result<OpenFile, Error> {
        // Not to hang, should a pipe have taken the file's place.
        let fd = self.open(name, OFlags::RDONLY | OFlags::NONBLOCK)?;
        let stat = rustix::fs::fstat(&fd).map_err(|error| self.failed(Operation::Inspect, name, error))?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return Err(Error::Changed { path: join(&self.path, name) });
        }
        let xattr_names = xattr_calls::names(|room| rustix::fs::flistxattr(&fd, room))
            .map_err(|error| self.failed(Operation::ReadXattrs, name, error))?;
        let size = u64::try_from(stat.st_size).unwrap_or_default();
        let allocated = u64::try_from(stat.st_blocks).unwrap_or_default().saturating_mul(512);
        let content = Box::new(FileContent::new(File::from(fd), size, allocated < size));
        Ok(OpenFile { content, xattr_names })
    }

    fn xattr(&self, name: &[u8], key: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        let key = OsStr::from_bytes(key);
        self.with_path(name, |path| xattr_calls::value(|room| rustix::fs::lgetxattr(path, key, room)))
            .map_err(|error| self.failed(Operation::ReadXattrs, name, error))
    }

    fn xattr_names(&self, name: &[u8]) -> Result<Vec<Vec<u8>>, Error> {
        self.with_path(name, |path| xattr_calls::names(|room| rustix::fs::llistxattr(path, room)))
            .map_err(|error| self.failed(Operation::ReadXattrs, name, error))
    }
}

fn metadata_of(stat: &Stat) -> Metadata {
    let kind = match FileType::from_raw_mode(stat.st_mode) {
        FileType::Directory => FileKind::Directory,
        FileType::Symlink => FileKind::Symlink,
        FileType::CharacterDevice => FileKind::CharDevice,
        FileType::BlockDevice => FileKind::BlockDevice,
        FileType::Fifo => FileKind::Fifo,
        FileType::Socket => FileKind::Socket,
        _ => FileKind::File,
    };
    let identity = Identity { device: stat.st_dev, inode: stat.st_ino };
    let mut metadata = Metadata::new(kind, stat.st_mode & 0o7777, identity);
    metadata.uid = stat.st_uid;
    metadata.gid = stat.st_gid;
    if matches!(kind, FileKind::CharDevice | FileKind::BlockDevice) {
        metadata.device_major = rustix::fs::major(stat.st_rdev);
        metadata.device_minor = rustix::fs::minor(stat.st_rdev);
    }
    metadata.size = u64::try_from(stat.st_size).unwrap_or_default();
    let nanos = u32::try_from(stat.st_mtime_nsec).unwrap_or_default();
    metadata.modified = Timestamp { seconds: stat.st_mtime, nanos };
    #[allow(clippy::useless_conversion, reason = "32 bits wide on some processors")]
    let links = u64::from(stat.st_nlink);
    metadata.links = links;
    metadata
}
