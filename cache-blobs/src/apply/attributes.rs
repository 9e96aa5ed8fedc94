//! Owner, extended attributes, mode and times of what was unpacked, in this order.
//!
//! A change of owner takes capabilities and set-id bits away, so attributes and mode come after it.

use std::ffi::OsStr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;

use rustix::fs::{
    AtFlags, FileType, Gid, Mode, OFlags, Timespec, Timestamps, Uid, XattrFlags, chmod, chownat, fchmod, fchown,
    fsetxattr, fstat, futimens, lsetxattr, openat, utimensat,
};
use rustix::io::Errno;

use super::create::Made;
use super::{Applied, ApplyOptions, Error, Operation, Ownership, Problem};
use crate::changes::{FileKind, is_overlay_xattr};
use crate::tar::{Header, Timestamp, parse_time};

/// The last second of a 64-bit count of nanoseconds since 1970, in the year 2262, which is Go's limit.
const LAST_SECOND: i64 = i64::MAX / 1_000_000_000;

/// Something that was just unpacked.
pub(super) struct Object<'a> {
    pub(super) directory: BorrowedFd<'a>,
    pub(super) name: &'a [u8],
    pub(super) made: &'a Made,
}

impl Object<'_> {
    fn name(&self) -> &OsStr {
        OsStr::from_bytes(self.name)
    }
}

/// Sets everything but a directory's times, which later entries would change again.
pub(super) fn set_attributes(
    object: &Object<'_>,
    header: &Header,
    mode: u32,
    options: &ApplyOptions,
    applied: &mut Applied,
) -> Result<(), Error> {
    if options.ownership == Ownership::Preserve {
        let (uid, gid) = owner(header)?;
        let done = match &object.made.handle {
            Some(handle) => fchown(handle, Some(uid), Some(gid)),
            None => chownat(object.directory, object.name(), Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW),
        };
        done.map_err(|error| Error::io(Operation::SetOwner, &header.path, error))?;
    }
    for (key, value) in &header.xattrs {
        if !set_xattr(object, key, value, header, options)? {
            applied.xattrs.entry(key.clone()).or_default().add(&header.path);
        }
    }
    if object.made.kind != FileKind::Symlink {
        set_mode(object, mode).map_err(|error| Error::io(Operation::SetMode, &header.path, error))?;
    }
    if object.made.kind != FileKind::Directory {
        set_times(object, header)?;
    }
    Ok(())
}

/// Sets the times of the archive.
pub(super) fn set_times(object: &Object<'_>, header: &Header) -> Result<(), Error> {
    let times = timestamps(header);
    let done = match &object.made.handle {
        Some(handle) => futimens(handle, &times),
        None => utimensat(object.directory, object.name(), &times, AtFlags::SYMLINK_NOFOLLOW),
    };
    done.map_err(|error| Error::io(Operation::SetTimes, &header.path, error))
}

/// Changes the mode of anything but a link. What is not open is reached through a handle that only names it, so that
/// no device wakes up.
pub(super) fn set_mode(object: &Object<'_>, mode: u32) -> Result<(), Errno> {
    let mode = Mode::from_raw_mode(mode & 0o7777);
    if let Some(handle) = &object.made.handle {
        return fchmod(handle, mode);
    }
    let handle =
        openat(object.directory, object.name(), OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())?;
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
    let done = match &object.made.handle {
        Some(handle) => fsetxattr(handle, name, value, XattrFlags::empty()),
        // The kernel's own link to the directory, and a name in it that the call does not follow.
        None => {
            let directory = object.directory.as_raw_fd().to_string();
            let path = [b"/proc/self/fd/", directory.as_bytes(), b"/", object.name].concat();
            lsetxattr(OsStr::from_bytes(&path), name, value, XattrFlags::empty())
        }
    };
    match done {
        Ok(()) => Ok(true),
        Err(Errno::OPNOTSUPP) => Ok(false),
        // Only files and directories can have attributes of users.
        Err(Errno::PERM) if key.starts_with(b"user.") && !holds_user_xattrs(object.made.kind) => Ok(false),
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
