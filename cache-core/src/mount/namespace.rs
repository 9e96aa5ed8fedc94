//! Mount namespaces of single threads.

use std::io;

use rustix::mount::{MountPropagationFlags, mount_change};
use rustix::thread::UnshareFlags;

use crate::error::{Error, ErrorKind, Result};

/// Runs `work` on a thread of its own in a mount namespace of its own. What it mounts is seen by nobody else, apart from the
/// processes that it starts, and is unmounted when the last of them and the thread have ended; a directory in it that is open
/// elsewhere stays usable there.
///
/// The thread also has a working directory of its own (CLONE_NEWNS implies CLONE_FS, unshare(2)).
///
/// # Errors
/// What `work` gives; `PermissionDenied` without the right to mount; `Unsupported` in a chroot.
pub(super) fn in_own_namespace<T: Send>(work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new()
            .name("layercache-mount".to_owned())
            .spawn_scoped(scope, || {
                enter()?;
                work()
            })
            .map_err(|source| Error::new(ErrorKind::Unavailable, "start", "a mount thread").with_source(source))?;
        thread.join().unwrap_or_else(|_| Err(Error::new(ErrorKind::Cancelled, "run", "a mount thread")))
    })
}

/// Moves the calling thread into a new mount namespace, from which nothing propagates to the old one.
fn enter() -> Result<()> {
    leave_shared_namespace().map_err(|error| Error::io("enter", "a mount namespace", error))?;
    match mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC) {
        Ok(()) => Ok(()),
        // The root directory is no mount point. Mounts could then propagate to everybody.
        Err(error) => Err(Error::new(ErrorKind::Unsupported, "enter", "a mount namespace").with_source(error)),
    }
}

#[allow(unsafe_code, reason = "rustix has marked the whole call unsafe because of one flag that is not used here")]
fn leave_shared_namespace() -> io::Result<()> {
    // SAFETY: the call is unsafe only because with `UnshareFlags::FILES` the descriptors of one thread would mean something else
    // on another. Only `NEWNS` is given: the descriptor table stays shared, memory is not touched.
    unsafe { rustix::thread::unshare_unsafe(UnshareFlags::NEWNS) }.map_err(Into::into)
}
