//! What an inode carries besides its contents.

use std::ffi::CStr;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::path::PathBuf;

use rustix::fs::{
    AtFlags, FileType, Gid, Mode, Stat, Timespec, Timestamps, Uid, XattrFlags, chmodat, chownat, fchmod, fchown,
    fgetxattr, flistxattr, fsetxattr, futimens, lgetxattr, llistxattr, lsetxattr, utimensat,
};
use rustix::io::Errno;
use rustix::process::{getegid, geteuid};

use crate::snapshot::native::Ownership;

/// An inode: by a descriptor that may be read or written, or by its name in a directory.
pub(super) enum Node<'a> {
    Open(BorrowedFd<'a>),
    Named(BorrowedFd<'a>, &'a CStr),
}

/// The largest value and the largest list of names that Linux allows (xattr(7): XATTR_SIZE_MAX, XATTR_LIST_MAX).
const XATTR_BYTES: usize = 64 * 1024;

/// Gives `target` the owner, the extended attributes, the mode and the times of `source`, of which `stat` was read before.
///
/// The order matters: a new owner clears set-user-id bits and `security.capability`, and a read-only mode keeps an unprivileged
/// owner from setting `user.*` attributes.
pub(super) fn copy_metadata(source: &Node<'_>, target: &Node<'_>, stat: &Stat, ownership: Ownership) -> io::Result<()> {
    let tolerance = Tolerance { forgiving: ownership == Ownership::AsPermitted && !geteuid().is_root() };
    tolerance.check(change_owner(target, stat))?;
    copy_xattrs(source, target, &tolerance)?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::Symlink {
        let mode = Mode::from_raw_mode(stat.st_mode);
        match target {
            Node::Open(file) => fchmod(file, mode)?,
            // It was made just now in a directory of our own, and is no symbolic link.
            Node::Named(directory, name) => chmodat(directory, *name, mode, AtFlags::empty())?,
        }
    }
    let times = Timestamps {
        last_access: Timespec { tv_sec: stat.st_atime, tv_nsec: stat.st_atime_nsec as i64 },
        last_modification: Timespec { tv_sec: stat.st_mtime, tv_nsec: stat.st_mtime_nsec as i64 },
    };
    match target {
        Node::Open(file) => futimens(file, &times)?,
        Node::Named(directory, name) => utimensat(directory, *name, &times, AtFlags::SYMLINK_NOFOLLOW)?,
    }
    Ok(())
}

/// What an unprivileged copy may leave out.
struct Tolerance {
    forgiving: bool,
}

impl Tolerance {
    fn check(&self, outcome: rustix::io::Result<()>) -> rustix::io::Result<()> {
        match outcome {
            // EINVAL is an owner that the user namespace does not map.
            Err(Errno::PERM | Errno::INVAL) if self.forgiving => Ok(()),
            outcome => outcome,
        }
    }
}

fn change_owner(target: &Node<'_>, stat: &Stat) -> rustix::io::Result<()> {
    if stat.st_uid == geteuid().as_raw() && stat.st_gid == getegid().as_raw() && !geteuid().is_root() {
        return Ok(());
    }
    let (user, group) = (Some(Uid::from_raw(stat.st_uid)), Some(Gid::from_raw(stat.st_gid)));
    match target {
        Node::Open(file) => fchown(file, user, group),
        Node::Named(directory, name) => chownat(directory, *name, user, group, AtFlags::SYMLINK_NOFOLLOW),
    }
}

fn copy_xattrs(source: &Node<'_>, target: &Node<'_>, tolerance: &Tolerance) -> io::Result<()> {
    let names = match source.xattr_names() {
        // Symbolic links and special files have few; some file systems have none at all.
        Err(Errno::OPNOTSUPP | Errno::PERM) => return Ok(()),
        names => names?,
    };
    for name in names.split_inclusive(|byte| *byte == 0).filter_map(|name| CStr::from_bytes_with_nul(name).ok()) {
        let value = match source.xattr(name) {
            Err(Errno::NODATA) => continue,
            value => value?,
        };
        match target.set_xattr(name, &value) {
            // Labels of security modules: the target has its own, or there is no such module.
            Err(Errno::PERM | Errno::OPNOTSUPP | Errno::ACCESS | Errno::INVAL) if is_label(name) => {
                tracing::debug!(?name, "a security label was not copied");
            }
            Err(Errno::PERM | Errno::OPNOTSUPP) if tolerance.forgiving && is_privileged(name) => {
                tracing::debug!(?name, "an attribute that needs privileges was not copied");
            }
            outcome => outcome?,
        }
    }
    Ok(())
}

fn is_label(name: &CStr) -> bool {
    name.to_bytes().starts_with(b"security.") && name != c"security.capability"
}

fn is_privileged(name: &CStr) -> bool {
    name.to_bytes().starts_with(b"security.") || name.to_bytes().starts_with(b"trusted.")
}

impl Node<'_> {
    fn xattr_names(&self) -> rustix::io::Result<Vec<u8>> {
        read_growing(|buffer| match self {
            Self::Open(file) => flistxattr(file, buffer),
            Self::Named(..) => llistxattr(self.path(), buffer),
        })
    }

    fn xattr(&self, name: &CStr) -> rustix::io::Result<Vec<u8>> {
        read_growing(|buffer| match self {
            Self::Open(file) => fgetxattr(file, name, buffer),
            Self::Named(..) => lgetxattr(self.path(), name, buffer),
        })
    }

    fn set_xattr(&self, name: &CStr, value: &[u8]) -> rustix::io::Result<()> {
        match self {
            Self::Open(file) => fsetxattr(file, name, value, XattrFlags::empty()),
            Self::Named(..) => lsetxattr(self.path(), name, value, XattrFlags::empty()),
        }
    }

    /// The calls for attributes take no directory descriptor, so the way leads through procfs.
    fn path(&self) -> PathBuf {
        use std::os::unix::ffi::OsStrExt;
        match self {
            Self::Open(file) => PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd())),
            Self::Named(directory, name) => PathBuf::from(format!("/proc/self/fd/{}", directory.as_raw_fd()))
                .join(std::ffi::OsStr::from_bytes(name.to_bytes())),
        }
    }
}

/// Reads with a small buffer, then with the largest that can be needed.
fn read_growing(read: impl Fn(&mut [u8]) -> rustix::io::Result<usize>) -> rustix::io::Result<Vec<u8>> {
    let mut buffer = vec![0; 256];
    let length = match read(&mut buffer) {
        Err(Errno::RANGE) => {
            buffer.resize(XATTR_BYTES, 0);
            read(&mut buffer)?
        }
        length => length?,
    };
    buffer.truncate(length);
    Ok(buffer)
}
