//! Names in an open directory.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::AsFd;

use rustix::fs::{Mode, OFlags, RawDir, openat};

/// Bytes of directory entries asked for at once; the C library asks for 32 KiB.
const NAMES_BYTES: usize = 64 * 1024;

/// All names but `.` and `..`, in the order of the file system.
pub(crate) fn directory_names(directory: impl AsFd) -> io::Result<Vec<Vec<u8>>> {
    // A handle of its own, because a directory's position is shared between copies of a handle.
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let own = openat(directory, c".", flags, Mode::empty())?;
    let mut buffer = [const { MaybeUninit::<u8>::uninit() }; NAMES_BYTES];
    let mut entries = RawDir::new(own, &mut buffer);
    let mut names = Vec::new();
    while let Some(entry) = entries.next() {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        if name != b"." && name != b".." {
            names.push(name.to_vec());
        }
    }
    Ok(names)
}
