//! Threads that walk trees.

use std::io;

/// Runs `work` on a thread of its own. It is none of a pool, because it takes a working directory of its own where that makes
/// walking faster, which it could not give back.
///
/// # Errors
/// That of the system when no thread can be had; `work` is dropped then.
pub(crate) fn spawn_walker(work: impl FnOnce() + Send + 'static) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    let work = move || super::own_directory::with_own_directory(work);
    std::thread::Builder::new().name("layercache-walk".to_owned()).spawn(work).map(drop)
}
