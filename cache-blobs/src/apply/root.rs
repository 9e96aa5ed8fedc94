//! The directory that nothing may leave.

use std::cell::Cell;
use std::ffi::OsStr;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;

use rustix::fs::{Mode, OFlags, ResolveFlags, openat2};
use rustix::io::Errno;

use super::walk::{Missing, walk};
use super::{Error, Operation, Problem, Resolution};

/// The kernel gives up with `EAGAIN` when something is renamed while it handles a `..`; so often it is asked again.
const TRIES: usize = 16;

/// A root directory, and how paths are resolved below it.
pub(super) struct Root<'a> {
    fd: BorrowedFd<'a>,
    ask_kernel: Cell<bool>,
}

impl<'a> Root<'a> {
    pub(super) fn new(fd: BorrowedFd<'a>, resolution: Resolution) -> Self {
        Self { fd, ask_kernel: Cell::new(resolution == Resolution::Automatic) }
    }

    /// The directory at `path`, its links evaluated as in a chroot, made if `missing` says so.
    pub(super) fn directory(&self, path: &[u8], missing: Missing<'_>) -> Result<Option<OwnedFd>, Error> {
        if self.ask_kernel.get() {
            match self.kernel(path) {
                Ok(found) => return Ok(Some(found)),
                Err(Errno::NOTDIR) => {
                    return Err(Error::invalid(path, Problem::ParentNotDirectory));
                }
                Err(Errno::NOSYS | Errno::PERM) => self.ask_kernel.set(false),
                // The walk makes what is missing and can step back out of it, follows more links than the kernel, takes
                // longer paths, and does not care about renames.
                Err(Errno::NOENT | Errno::LOOP | Errno::NAMETOOLONG | Errno::AGAIN) => {}
                Err(error) => return Err(Error::io(Operation::Resolve, path, error)),
            }
        }
        walk(self.fd, path, missing)
    }

    fn kernel(&self, path: &[u8]) -> Result<OwnedFd, Errno> {
        let path = if path.is_empty() { b"." } else { path };
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
        let mut result = Err(Errno::AGAIN);
        for _ in 0..TRIES {
            result = openat2(self.fd, OsStr::from_bytes(path), flags, Mode::empty(), resolve);
            if !matches!(result, Err(Errno::AGAIN)) {
                break;
            }
        }
        result
    }
}
