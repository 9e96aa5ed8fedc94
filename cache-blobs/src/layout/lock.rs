//! The lock under which `index.json` is rewritten.

use std::os::fd::OwnedFd;

use cache_core::Result;
use rustix::fs::{AtFlags, FlockOperation, Mode, OFlags};
use rustix::io::Errno;

use super::directory::Directory;

const NAME: &str = "index.json.lock";

/// The held lock. Its file is removed with it, as BuildKit's client does.
/// Mirrors: BuildKit `client/ociindex/ociindex.go`, which gives up when the lock is held; here the next one waits.
#[derive(Debug)]
pub(super) struct IndexLock<'a> {
    directory: &'a Directory,
    _file: OwnedFd,
}

impl<'a> IndexLock<'a> {
    /// Waits for the lock. Blocks.
    pub(super) fn acquire(directory: &'a Directory) -> Result<Self> {
        let io = |errno: Errno| directory.io("lock", NAME, errno.into());
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        loop {
            let file = rustix::fs::openat(directory.root(), NAME, flags, Mode::from_raw_mode(0o600)).map_err(io)?;
            rustix::fs::flock(&file, FlockOperation::LockExclusive).map_err(io)?;
            // The holder before us removed the file: whoever comes next locks another one, so ours means nothing.
            let ours = rustix::fs::fstat(&file).map_err(io)?;
            match rustix::fs::statat(directory.root(), NAME, AtFlags::SYMLINK_NOFOLLOW) {
                Ok(there) if (there.st_dev, there.st_ino) == (ours.st_dev, ours.st_ino) => {
                    return Ok(Self { directory, _file: file });
                }
                Ok(_) | Err(Errno::NOENT) => {}
                Err(errno) => return Err(io(errno)),
            }
        }
    }
}

impl Drop for IndexLock<'_> {
    fn drop(&mut self) {
        // A file that stays behind is only untidy.
        let _ = rustix::fs::unlinkat(self.directory.root(), NAME, AtFlags::empty());
    }
}
