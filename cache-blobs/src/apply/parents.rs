//! Attributes of directories that a layer needs but does not hold.
//!
//! Mirrors: containerd `pkg/archive` `mkparent`, `copyDirInfo`.

use std::ffi::OsStr;
use std::os::fd::BorrowedFd;
use std::os::unix::ffi::OsStrExt;

use rustix::fs::{Gid, Mode, Timespec, Timestamps, Uid, XattrFlags, fchmod, fchown, fsetxattr, futimens};
use rustix::io::Errno;

use super::{ApplyOptions, Error, Operation, Ownership};
use crate::changes::lookup;

/// Copies what the topmost tree that has the directory says of it. `names` lead to it from the root.
pub(super) fn inherit(directory: BorrowedFd<'_>, names: &[Vec<u8>], options: &ApplyOptions) -> Result<(), Error> {
    let path = names.join(&b'/');
    for tree in &options.parents {
        let Some(entry) = lookup(&**tree, &path)? else {
            continue;
        };
        if !entry.metadata.is_directory() {
            // It was replaced there, so what lies further down is another directory.
            return Ok(());
        }
        let metadata = &entry.metadata;
        if options.ownership == Ownership::Preserve {
            fchown(directory, Some(Uid::from_raw(metadata.uid)), Some(Gid::from_raw(metadata.gid)))
                .map_err(|error| Error::io(Operation::SetOwner, &path, error))?;
        }
        fchmod(directory, Mode::from_raw_mode(metadata.mode))
            .map_err(|error| Error::io(Operation::SetMode, &path, error))?;
        for key in entry.xattr_names()? {
            if key.starts_with(b"trusted.") {
                continue;
            }
            let Some(value) = entry.xattr(&key)? else {
                continue;
            };
            match fsetxattr(directory, OsStr::from_bytes(&key), &value, XattrFlags::empty()) {
                Ok(()) | Err(Errno::OPNOTSUPP) => {}
                Err(error) => return Err(Error::io(Operation::SetXattr, &path, error)),
            }
        }
        let time = Timespec { tv_sec: metadata.modified.seconds, tv_nsec: metadata.modified.nanos.into() };
        return futimens(directory, &Timestamps { last_access: time, last_modification: time })
            .map_err(|error| Error::io(Operation::SetTimes, &path, error));
    }
    Ok(())
}
