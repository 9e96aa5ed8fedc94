//! A working directory of a thread's own, for calls that take a path but no directory.
//!
//! Such a call on `/proc/self/fd/7/name` costs the kernel twice as much as the look-up of the name, and locks that threads of
//! one process share. In a thread that shares its working directory with no other thread, the directory can be entered
//! instead, and the path is the name alone. As there, nothing but the name is looked up, in the directory that is open.

use std::cell::Cell;
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::process::{chdir, fchdir};
use rustix::thread::UnshareFlags;

/// An open directory, for as long as this process lives; handles are used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Number(u64);

impl Number {
    /// One that no other directory has.
    pub(super) fn next() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Self(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}

#[derive(Clone, Copy)]
enum Place {
    /// The whole process is there.
    Shared,
    Elsewhere,
    In(Number),
}

thread_local! {
    static PLACE: Cell<Place> = const { Cell::new(Place::Shared) };
}

/// Runs `work` with a working directory of the calling thread's own, where the system allows it. The thread must be made for
/// this: it never gets the directory of the process back.
pub(super) fn with_own_directory(work: impl FnOnce()) {
    if unshare_directory().is_ok() {
        PLACE.set(Place::Elsewhere);
    }
    work();
    // What was entered last must not look busy until the thread has ended, too. It is the thread's own directory only.
    if !matches!(PLACE.get(), Place::Shared) {
        PLACE.set(Place::Elsewhere);
        if let Err(error) = chdir("/") {
            tracing::debug!(%error, "a thread leaves its directory only when it ends");
        }
    }
}

/// Makes `directory` the calling thread's own working directory; whether it is.
pub(super) fn enter(directory: impl AsFd, number: Number) -> bool {
    match PLACE.get() {
        Place::Shared => false,
        Place::In(entered) if entered == number => true,
        Place::In(_) | Place::Elsewhere => {
            let entered = fchdir(directory).is_ok();
            PLACE.set(if entered { Place::In(number) } else { Place::Elsewhere });
            entered
        }
    }
}

#[allow(unsafe_code, reason = "rustix has marked the whole call unsafe because of one flag that is not used here")]
fn unshare_directory() -> rustix::io::Result<()> {
    // SAFETY: the call is unsafe only because with `UnshareFlags::FILES` the descriptors of one thread would mean something else
    // on another. Only `FS` is given: the descriptor table stays shared, memory is not touched.
    unsafe { rustix::thread::unshare_unsafe(UnshareFlags::FS) }
}
