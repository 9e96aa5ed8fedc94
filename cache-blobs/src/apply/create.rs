//! Making what an entry describes.

use std::ffi::OsStr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;

use rustix::fs::{AtFlags, FileType, Mode, OFlags, linkat, makedev, mkdirat, mknodat, openat, statat, symlinkat};
use rustix::io::Errno;

use super::attributes::Object;
use super::directories::working_mode;
use super::path::split_target;
use super::root::Root;
use super::walk::Missing;
use super::{Devices, Error, Operation, Problem};
use crate::changes::FileKind;
use crate::tar::{Header, Kind};

/// What was made.
pub(super) struct Made {
    /// What it is, which for a hard link is not what the archive says.
    pub(super) kind: FileKind,
    /// It is open where opening it is harmless and possible.
    pub(super) handle: Option<OwnedFd>,
}

impl Made {
    /// It, which is `name` in `directory`.
    pub(super) fn object<'a>(&'a self, directory: BorrowedFd<'a>, name: &'a [u8]) -> Object<'a> {
        match &self.handle {
            Some(handle) => Object::Open(handle.as_fd(), self.kind),
            None => Object::Named(directory, OsStr::from_bytes(name), self.kind),
        }
    }
}

impl From<FileKind> for Made {
    fn from(kind: FileKind) -> Self {
        Self { kind, handle: None }
    }
}

/// Outcome of [`create`].
pub(super) enum Created {
    Made(Made),
    /// Something is there already.
    InTheWay,
    /// A device that the system refuses.
    LeftOut,
}

/// Makes the entry as `name` in `directory`, a file without its contents and of the mode `file_mode`, less the umask. A directory that is there becomes one that comes.
pub(super) fn create(
    root: &Root<'_>,
    directory: BorrowedFd<'_>,
    name: &[u8],
    header: &Header,
    file_mode: u32,
    devices: Devices,
) -> Result<Created, Error> {
    let path = OsStr::from_bytes(name);
    let made = match header.kind {
        Kind::Directory => match mkdirat(directory, path, Mode::from_raw_mode(working_mode(header.mode) & 0o700)) {
            Ok(()) | Err(Errno::EXIST) => open_directory(directory, path),
            Err(error) => Err(error),
        },
        Kind::File => {
            let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let file = openat(directory, path, flags, Mode::from_raw_mode(file_mode));
            file.map(|file| Made { kind: FileKind::File, handle: Some(file) })
        }
        Kind::Symlink => symlinkat(OsStr::from_bytes(&header.link), directory, path).map(|()| FileKind::Symlink.into()),
        Kind::HardLink => return link(root, directory, name, header),
        Kind::Fifo => {
            mknodat(directory, path, FileType::Fifo, Mode::from_raw_mode(0o600), 0).map(|()| FileKind::Fifo.into())
        }
        Kind::CharDevice | Kind::BlockDevice => {
            let (file_type, kind) = match header.kind {
                Kind::CharDevice => (FileType::CharacterDevice, FileKind::CharDevice),
                _ => (FileType::BlockDevice, FileKind::BlockDevice),
            };
            let device = makedev(header.device_major, header.device_minor);
            match mknodat(directory, path, file_type, Mode::from_raw_mode(0o600), device) {
                Err(Errno::PERM) if devices == Devices::SkipDenied => return Ok(Created::LeftOut),
                outcome => outcome.map(|()| kind.into()),
            }
        }
    };
    match made {
        Ok(made) => Ok(Created::Made(made)),
        Err(Errno::EXIST) => Ok(Created::InTheWay),
        Err(error) => Err(Error::io(Operation::Create, &header.path, error)),
    }
}

/// The directory `name` in `directory`; `EXIST` for anything else.
fn open_directory(directory: BorrowedFd<'_>, name: &OsStr) -> Result<Made, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let handle = match openat(directory, name, flags, Mode::empty()) {
        Ok(handle) => Some(handle),
        // It was there before, and the current user may not read it.
        Err(Errno::ACCESS) => None,
        Err(Errno::NOTDIR | Errno::LOOP) => return Err(Errno::EXIST),
        Err(error) => return Err(error),
    };
    Ok(Made { kind: FileKind::Directory, handle })
}

/// Repeats an earlier name. The target's directory is found below the root, and its last component is not followed,
/// so a link to a symbolic link is another name of that link.
fn link(root: &Root<'_>, directory: BorrowedFd<'_>, name: &[u8], header: &Header) -> Result<Created, Error> {
    let failed = |error: Errno| Error::io(Operation::Link, &header.path, error);
    let (parents, target) =
        split_target(&header.link).ok_or_else(|| Error::invalid(&header.path, Problem::LinkTarget))?;
    let parent = root.directory(parents, Missing::Keep)?.ok_or_else(|| failed(Errno::NOENT))?;
    match linkat(&parent, OsStr::from_bytes(target), directory, OsStr::from_bytes(name), AtFlags::empty()) {
        Ok(()) => {}
        Err(Errno::EXIST) => return Ok(Created::InTheWay),
        Err(error) => return Err(failed(error)),
    }
    let stat = statat(directory, OsStr::from_bytes(name), AtFlags::SYMLINK_NOFOLLOW).map_err(failed)?;
    let kind = match FileType::from_raw_mode(stat.st_mode) {
        FileType::Symlink => FileKind::Symlink,
        FileType::RegularFile => FileKind::File,
        FileType::Fifo => FileKind::Fifo,
        FileType::BlockDevice => FileKind::BlockDevice,
        FileType::Socket => FileKind::Socket,
        FileType::Directory => FileKind::Directory,
        _ => FileKind::CharDevice,
    };
    Ok(Created::Made(kind.into()))
}
