//! Owner, extended attributes, mode and times of what was unpacked, in this order.
//!
//! A change of owner takes capabilities and set-id bits away, so attributes and mode come after it.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;

use rustix::fs::{
    AtFlags, FileType, Gid, Mode, OFlags, Stat, Timespec, Timestamps, Uid, XattrFlags, chmod, chownat, fchmod, fchown,
    fsetxattr, fstat, futimens, lsetxattr, openat, utimensat,
};
use rustix::io::Errno;

use super::{ApplyOptions, Error, Operation, Ownership, Problem};
use crate::changes::{FileKind, is_overlay_xattr};
use crate::layer::LeftOut;
use crate::tar::{Header, Timestamp, parse_time};

/// The last second of a 64-bit count of nanoseconds since 1970, in the year 2262, which is Go's limit.
const LAST_SECOND: i64 = i64::MAX / 1_000_000_000;

/// Something that was just unpacked.
pub(super) enum Object<'a> {
    /// It is open.
    Open(BorrowedFd<'a>, FileKind),
    /// A name in a directory, which nobody follows.
    Named(BorrowedFd<'a>, &'a OsStr, FileKind),
}

impl Object<'_> {
    fn kind(&self) -> FileKind {
        match self {
            Self::Open(_, kind) | Self::Named(_, _, kind) => *kind,
        }
    }
}

/// Extended attributes that were not set, by name.
#[derive(Default)]
pub(super) struct LeftOutXattrs(BTreeMap<Vec<u8>, LeftOut>);

impl LeftOutXattrs {
    pub(super) fn append(&mut self, other: Self) {
        for (key, left_out) in other.0 {
            self.0.entry(key).or_default().append(left_out);
        }
    }

    pub(super) fn into_map(self) -> BTreeMap<Vec<u8>, LeftOut> {
        self.0
    }
}

/// Sets everything but a directory's times, which later entries would change again. Of a file, which was made a moment ago, nothing
/// is set that it has.
pub(super) fn set_attributes(
    object: &Object<'_>,
    header: &Header,
    mode: u32,
    options: &ApplyOptions,
    left_out: &mut LeftOutXattrs,
) -> Result<(), Error> {
    let found = match *object {
        Object::Open(handle, FileKind::File) => {
            Some(fstat(handle).map_err(|error| Error::io(Operation::Inspect, &header.path, error))?)
        }
        Object::Open(..) | Object::Named(..) => None,
    };
    // An access list among the attributes changes the mode, too.
    let is_mode = |found: &Stat| header.xattrs.is_empty() && found.st_mode & 0o7777 == mode & 0o7777;
    let mut has_mode = found.as_ref().is_some_and(is_mode);
    if options.ownership == Ownership::Preserve
        && let (uid, gid) = owner(header)?
        && found.is_none_or(|found| (found.st_uid, found.st_gid) != (uid.as_raw(), gid.as_raw()))
    {
        has_mode = false;
        let done = match *object {
            Object::Open(handle, _) => fchown(handle, Some(uid), Some(gid)),
            Object::Named(directory, name, _) => {
                chownat(directory, name, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)
            }
        };
        done.map_err(|error| Error::io(Operation::SetOwner, &header.path, error))?;
    }
    // Who is not privileged needs the right to write, which the process's umask may have taken.
    if !header.xattrs.is_empty() && found.is_some_and(|found| found.st_mode & 0o200 == 0) {
        set_mode(object, 0o600).map_err(|error| Error::io(Operation::SetMode, &header.path, error))?;
    }
    for (key, value) in &header.xattrs {
        if !set_xattr(object, key, value, header, options)? {
            left_out.0.entry(key.clone()).or_default().add(&header.path);
        }
    }
    if object.kind() != FileKind::Symlink && !has_mode {
        set_mode(object, mode).map_err(|error| Error::io(Operation::SetMode, &header.path, error))?;
    }
    if object.kind() != FileKind::Directory {
        set_times(object, header)?;
    }
    Ok(())
}

/// Sets the times of the archive.
pub(super) fn set_times(object: &Object<'_>, header: &Header) -> Result<(), Error> {
    let times = timestamps(header);
    let done = match *object {
        Object::Open(handle, _) => futimens(handle, &times),
        Object::Named(directory, name, _) => utimensat(directory, name, &times, AtFlags::SYMLINK_NOFOLLOW),
    };
    done.map_err(|error| Error::io(Operation::SetTimes, &header.path, error))
}

/// Changes the mode of anything but a link. What is not open is reached through a handle that only names it, so that
/// no device wakes up.
pub(super) fn set_mode(object: &Object<'_>, mode: u32) -> Result<(), Errno> {
    let mode = Mode::from_raw_mode(mode & 0o7777);
    let (directory, name) = match *object {
        Object::Open(handle, _) => return fchmod(handle, mode),
        Object::Named(directory, name, _) => (directory, name),
    };
    let handle = openat(directory, name, OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())?;
    if FileType::from_raw_mode(fstat(&handle)?.st_mode) == FileType::Symlink {
        return Err(Errno::LOOP);
    }
    let path = format!("/proc/self/fd/{}", handle.as_fd().as_raw_fd());
    chmod(path, mode)
}

/// The owner, if it is one: the highest number means "leave as it is" to the kernel, and larger ones would wrap.
pub(super) fn owner(header: &Header) -> Result<(Uid, Gid), Error> {
    let number = |value: u64| u32::try_from(value).ok().filter(|value| *value != u32::MAX);
    match (number(header.uid), number(header.gid)) {
        (Some(uid), Some(gid)) => Ok((Uid::from_raw(uid), Gid::from_raw(gid))),
        _ => Err(Error::invalid(&header.path, Problem::Owner)),
    }
}

/// `false` when the attribute must not or cannot be set.
fn set_xattr(
    object: &Object<'_>,
    key: &[u8],
    value: &[u8],
    header: &Header,
    options: &ApplyOptions,
) -> Result<bool, Error> {
    // Trusted attributes and overlayfs's own steer the host; an image has no say in them.
    if key.starts_with(b"trusted.") || is_overlay_xattr(key) {
        return Ok(false);
    }
    let name = OsStr::from_bytes(key);
    let done = match *object {
        Object::Open(handle, _) => fsetxattr(handle, name, value, XattrFlags::empty()),
        // The kernel's own link to the directory, and a name in it that the call does not follow.
        Object::Named(directory, file, _) => {
            let directory = directory.as_raw_fd().to_string();
            let path = [b"/proc/self/fd/", directory.as_bytes(), b"/", file.as_bytes()].concat();
            lsetxattr(OsStr::from_bytes(&path), name, value, XattrFlags::empty())
        }
    };
    match done {
        Ok(()) => Ok(true),
        Err(Errno::OPNOTSUPP) => Ok(false),
        // Only files and directories can have attributes of users.
        Err(Errno::PERM) if key.starts_with(b"user.") && !holds_user_xattrs(object.kind()) => Ok(false),
        Err(Errno::PERM) if options.ownership == Ownership::Current => Ok(false),
        Err(error) => Err(Error::io(Operation::SetXattr, &header.path, error)),
    }
}

fn holds_user_xattrs(kind: FileKind) -> bool {
    matches!(kind, FileKind::File | FileKind::Directory)
}

/// Time of access is never before that of modification, and what a 64-bit count of nanoseconds cannot hold is 1970.
fn timestamps(header: &Header) -> Timestamps {
    let accessed = header.records.get(&b"atime"[..]).and_then(|text| parse_time(text));
    let accessed = accessed.map_or(header.modified, |accessed| accessed.max(header.modified));
    Timestamps { last_access: bounded(accessed), last_modification: bounded(header.modified) }
}

fn bounded(time: Timestamp) -> Timespec {
    let Timestamp { seconds, nanos } = time;
    if !(0..LAST_SECOND).contains(&seconds) {
        return Timespec { tv_sec: 0, tv_nsec: 0 };
    }
    Timespec { tv_sec: seconds, tv_nsec: nanos.into() }
}
