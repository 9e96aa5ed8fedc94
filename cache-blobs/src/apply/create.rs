//! Making what an entry describes.

use std::ffi::OsStr;
use std::fs::File;
use std::io::Read;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;

use rustix::fs::{AtFlags, FileType, Mode, OFlags, linkat, makedev, mkdirat, mknodat, openat, statat, symlinkat};
use rustix::io::Errno;

use super::budget::Budget;
use super::contents::write_contents;
use super::directories::working_mode;
use super::path::split_target;
use super::root::Root;
use super::walk::Missing;
use super::{Devices, Error, Operation, Problem};
use crate::changes::FileKind;
use crate::tar::{Entry, Header, Kind};

/// What was made.
pub(super) struct Made {
    /// What it is, which for a hard link is not what the archive says.
    pub(super) kind: FileKind,
    /// It is open where opening it is harmless and possible.
    pub(super) handle: Option<OwnedFd>,
}

impl From<FileKind> for Made {
    fn from(kind: FileKind) -> Self {
        Self { kind, handle: None }
    }
}

/// Makes the entry as `name` in `directory`, where nothing is in the way but a directory that becomes one. Gives
/// `None` for a device that was left out.
pub(super) fn create<R: Read>(
    root: &Root<'_>,
    directory: BorrowedFd<'_>,
    name: &[u8],
    entry: &mut Entry<'_, R>,
    devices: Devices,
    buffer: &mut Vec<u8>,
    budget: &mut Budget<'_>,
) -> Result<Option<Made>, Error> {
    let header = entry.header();
    let failed = |error: Errno| Error::io(Operation::Create, &header.path, error);
    let path = OsStr::from_bytes(name);
    match header.kind {
        Kind::Directory => {
            match mkdirat(directory, path, Mode::from_raw_mode(working_mode(header.mode) & 0o700)) {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(error) => return Err(failed(error)),
            }
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let handle = match openat(directory, path, flags, Mode::empty()) {
                Ok(handle) => Some(handle),
                // It was there before, and the current user may not read it.
                Err(Errno::ACCESS) => None,
                Err(error) => return Err(failed(error)),
            };
            Ok(Some(Made { kind: FileKind::Directory, handle }))
        }
        Kind::File => {
            let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let file = openat(directory, path, flags, Mode::from_raw_mode(0o600)).map_err(failed)?;
            let file = File::from(file);
            write_contents(entry, &file, buffer, budget)?;
            Ok(Some(Made { kind: FileKind::File, handle: Some(file.into()) }))
        }
        Kind::Symlink => {
            symlinkat(OsStr::from_bytes(&header.link), directory, path).map_err(failed)?;
            Ok(Some(FileKind::Symlink.into()))
        }
        Kind::HardLink => link(root, directory, name, header).map(|kind| Some(kind.into())),
        Kind::Fifo => {
            mknodat(directory, path, FileType::Fifo, Mode::from_raw_mode(0o600), 0).map_err(failed)?;
            Ok(Some(FileKind::Fifo.into()))
        }
        Kind::CharDevice | Kind::BlockDevice => {
            let (file_type, kind) = match header.kind {
                Kind::CharDevice => (FileType::CharacterDevice, FileKind::CharDevice),
                _ => (FileType::BlockDevice, FileKind::BlockDevice),
            };
            let device = makedev(header.device_major, header.device_minor);
            match mknodat(directory, path, file_type, Mode::from_raw_mode(0o600), device) {
                Ok(()) => Ok(Some(kind.into())),
                Err(Errno::PERM) if devices == Devices::SkipDenied => Ok(None),
                Err(error) => Err(failed(error)),
            }
        }
    }
}

/// Repeats an earlier name. The target's directory is found below the root, and its last component is not followed,
/// so a link to a symbolic link is another name of that link.
fn link(root: &Root<'_>, directory: BorrowedFd<'_>, name: &[u8], header: &Header) -> Result<FileKind, Error> {
    let failed = |error: Errno| Error::io(Operation::Link, &header.path, error);
    let (parents, target) =
        split_target(&header.link).ok_or_else(|| Error::invalid(&header.path, Problem::LinkTarget))?;
    let parent = root.directory(parents, Missing::Keep)?.ok_or_else(|| failed(Errno::NOENT))?;
    linkat(&parent, OsStr::from_bytes(target), directory, OsStr::from_bytes(name), AtFlags::empty()).map_err(failed)?;
    let stat = statat(directory, OsStr::from_bytes(name), AtFlags::SYMLINK_NOFOLLOW).map_err(failed)?;
    Ok(match FileType::from_raw_mode(stat.st_mode) {
        FileType::Symlink => FileKind::Symlink,
        FileType::RegularFile => FileKind::File,
        FileType::Fifo => FileKind::Fifo,
        FileType::BlockDevice => FileKind::BlockDevice,
        FileType::Socket => FileKind::Socket,
        FileType::Directory => FileKind::Directory,
        _ => FileKind::CharDevice,
    })
}
