//! Finding a directory below a root without the kernel's help.

use std::ffi::OsStr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;

use rustix::fs::{FileType, Mode, OFlags, fchmod, fstat, mkdirat, openat, readlinkat};
use rustix::io::Errno;

use super::{ApplyLimit, Error, Operation, Problem};

/// Symbolic links followed for one path, as in containerd; the kernel itself stops at 40.
const MAX_LINKS: usize = 255;

/// Components of the path that links lead to. A few links can multiply a path, and each missing component would be
/// made; the kernel's own limit is 4096 bytes.
const MAX_DEPTH: usize = 4096;

/// Called for every directory that was made.
pub(super) type Created<'a> = dyn FnMut(BorrowedFd<'_>, BorrowedFd<'_>, &[Vec<u8>]) -> Result<(), Error> + 'a;

/// What happens to directories that are not there.
pub(super) enum Missing<'a> {
    /// Then there is no such directory.
    Keep,
    /// They are made with mode 0755. Each is handed over: itself, the directory that it is in, its path from the root.
    Create(&'a mut Created<'a>),
}

/// Walks from `root` along `path`. Absolute links and `..` end at the root. No component is ever opened by way of a
/// link, so a tree that changes meanwhile can make the walk fail but cannot lead it out.
pub(super) fn walk(root: BorrowedFd<'_>, path: &[u8], missing: Missing<'_>) -> Result<Option<OwnedFd>, Error> {
    let mut walk = Walk { root, path, current: reopen(root, &[], path)?, names: Vec::new(), missing: 0 };
    let mut links = 0;
    let mut pending: Vec<Vec<u8>> = components(path);
    while let Some(name) = pending.pop() {
        if name == b".." {
            walk.leave()?;
        } else if let Some(target) = walk.enter(name)? {
            links += 1;
            if links > MAX_LINKS {
                return Err(Error::invalid(path, Problem::TooManyLinks));
            }
            if target.starts_with(b"/") {
                walk.restart()?;
            }
            pending.extend(components(&target));
        }
        if walk.names.len().max(pending.len()) > MAX_DEPTH {
            let maximum = MAX_DEPTH as u64;
            return Err(Error::LimitExceeded { path: path.to_vec(), limit: ApplyLimit::Depth, maximum });
        }
    }
    match missing {
        _ if walk.missing == 0 => Ok(Some(walk.current)),
        Missing::Keep => Ok(None),
        Missing::Create(created) => walk.create(created).map(Some),
    }
}

/// Last component first, so that the next one is popped off the end.
fn components(path: &[u8]) -> Vec<Vec<u8>> {
    path.split(|byte| *byte == b'/').filter(|name| !matches!(*name, b"" | b".")).rev().map(<[u8]>::to_vec).collect()
}

struct Walk<'a> {
    root: BorrowedFd<'a>,
    path: &'a [u8],
    /// The deepest directory that exists.
    current: OwnedFd,
    /// Names from the root on, none of them a link; the last `missing` do not exist.
    names: Vec<Vec<u8>>,
    missing: usize,
}

impl Walk<'_> {
    /// Steps into `name`; gives the target instead when that is a link.
    fn enter(&mut self, name: Vec<u8>) -> Result<Option<Vec<u8>>, Error> {
        if self.missing == 0 {
            match open_path(self.current.as_fd(), &name) {
                Ok(found) => {
                    let stat = fstat(&found).map_err(|error| self.failed(error))?;
                    match FileType::from_raw_mode(stat.st_mode) {
                        FileType::Directory => self.current = found,
                        FileType::Symlink => {
                            let target = readlinkat(&found, c"", Vec::new()).map_err(|error| self.failed(error))?;
                            return Ok(Some(target.into_bytes()));
                        }
                        _ => return Err(Error::invalid(self.path, Problem::ParentNotDirectory)),
                    }
                }
                Err(Errno::NOENT) => self.missing = 1,
                Err(error) => return Err(self.failed(error)),
            }
        } else {
            self.missing += 1;
        }
        self.names.push(name);
        Ok(None)
    }

    /// Steps up, not by asking for `..`, which somebody may have moved, but by walking down again.
    fn leave(&mut self) -> Result<(), Error> {
        if self.names.pop().is_some() {
            match self.missing.checked_sub(1) {
                Some(missing) => self.missing = missing,
                None => self.current = reopen(self.root, &self.names, self.path)?,
            }
        }
        Ok(())
    }

    fn restart(&mut self) -> Result<(), Error> {
        self.names.clear();
        self.missing = 0;
        self.current = reopen(self.root, &[], self.path)?;
        Ok(())
    }

    fn create(mut self, created: &mut Created<'_>) -> Result<OwnedFd, Error> {
        for end in self.names.len() - self.missing..self.names.len() {
            let failed = |error: Errno| Error::io(Operation::Create, self.path, error);
            let name = OsStr::from_bytes(&self.names[end]);
            let mode = Mode::from_raw_mode(0o755);
            match mkdirat(&self.current, name, mode) {
                Ok(()) => {}
                // Somebody else made it; what they made is checked by opening it.
                Err(Errno::EXIST) => {}
                Err(error) => return Err(failed(error)),
            }
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let made = openat(&self.current, name, flags, Mode::empty()).map_err(failed)?;
            // Past the umask.
            fchmod(&made, mode).map_err(failed)?;
            created(made.as_fd(), self.current.as_fd(), &self.names[..=end])?;
            self.current = made;
        }
        Ok(self.current)
    }

    fn failed(&self, error: Errno) -> Error {
        Error::io(Operation::Resolve, self.path, error)
    }
}

fn open_path(directory: BorrowedFd<'_>, name: &[u8]) -> Result<OwnedFd, Errno> {
    openat(directory, OsStr::from_bytes(name), OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())
}

fn reopen(root: BorrowedFd<'_>, names: &[Vec<u8>], path: &[u8]) -> Result<OwnedFd, Error> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let failed = |error: Errno| Error::io(Operation::Resolve, path, error);
    let mut current = openat(root, c".", flags, Mode::empty()).map_err(failed)?;
    for name in names {
        current = openat(&current, OsStr::from_bytes(name), flags, Mode::empty()).map_err(failed)?;
    }
    Ok(current)
}
