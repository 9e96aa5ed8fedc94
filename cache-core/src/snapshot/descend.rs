//! Directories below a tree's root, opened without following a symbolic link.

use std::ffi::CStr;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{Dir, Mode, OFlags, ResolveFlags, openat, openat2};
use rustix::io::Errno;

/// Bytes of a path that one call resolves: PATH_MAX less its NUL and a margin. Deeper directories take several calls.
const PIECE_BYTES: usize = 4000;

/// How often a lookup is tried again that a concurrent rename elsewhere disturbed (openat2(2), EAGAIN).
const ATTEMPTS: usize = 64;

const DIRECTORY: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// Opens the directory `path` below `root`; the empty path is `root` itself, opened anew.
pub(super) fn open_directory(root: BorrowedFd<'_>, path: &[u8]) -> io::Result<OwnedFd> {
    let mut directory = without_access_time(|flags| openat(root, c".", flags, Mode::empty()), DIRECTORY)?;
    let mut rest = path;
    while !rest.is_empty() {
        let (piece, remainder) = split(rest);
        directory = open_piece(directory.as_fd(), piece)?;
        rest = remainder;
    }
    Ok(directory)
}

/// Calls `visit` with the name of everything in `directory`, in the file system's order.
pub(super) fn for_each_name<E: From<io::Error>>(
    directory: BorrowedFd<'_>,
    mut visit: impl FnMut(&CStr) -> Result<(), E>,
) -> Result<(), E> {
    for entry in Dir::read_from(directory).map_err(io::Error::from)? {
        let entry = entry.map_err(io::Error::from)?;
        let name = entry.file_name();
        if name != c"." && name != c".." {
            visit(name)?;
        }
    }
    Ok(())
}

/// The path of `name` in the directory `parent`.
pub(super) fn child(parent: &[u8], name: &CStr) -> Vec<u8> {
    let mut path = Vec::with_capacity(parent.len() + 1 + name.to_bytes().len());
    if !parent.is_empty() {
        path.extend_from_slice(parent);
        path.push(b'/');
    }
    path.extend_from_slice(name.to_bytes());
    path
}

/// Splits off as many whole components as one call may take. A component has at most 255 bytes, so at least one fits.
fn split(path: &[u8]) -> (&[u8], &[u8]) {
    let window = path.get(..PIECE_BYTES).filter(|_| path.len() > PIECE_BYTES);
    match window.and_then(|window| window.iter().rposition(|byte| *byte == b'/')) {
        Some(slash) => (&path[..slash], &path[slash + 1..]),
        None => (path, &[]),
    }
}

fn open_piece(directory: BorrowedFd<'_>, piece: &[u8]) -> io::Result<OwnedFd> {
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    for _ in 0..ATTEMPTS {
        match without_access_time(|flags| openat2(directory, piece, flags, Mode::empty(), resolve), DIRECTORY) {
            Ok(opened) => return Ok(opened),
            Err(Errno::AGAIN) => {}
            // Before Linux 5.6, and under seccomp filters that do not know the call.
            Err(Errno::NOSYS | Errno::PERM) => return open_components(directory, piece),
            Err(error) => return Err(error.into()),
        }
    }
    Err(Errno::AGAIN.into())
}

fn open_components(directory: BorrowedFd<'_>, piece: &[u8]) -> io::Result<OwnedFd> {
    let mut opened = openat(directory, c".", DIRECTORY, Mode::empty())?;
    for component in piece.split(|byte| *byte == b'/') {
        opened = without_access_time(|flags| openat(&opened, component, flags, Mode::empty()), DIRECTORY)?;
    }
    Ok(opened)
}

/// Opens with a flag that keeps reading from changing the access time, where that is allowed: to the owner and to root.
pub(super) fn without_access_time<T>(
    open: impl Fn(OFlags) -> rustix::io::Result<T>,
    flags: OFlags,
) -> rustix::io::Result<T> {
    match open(flags | OFlags::NOATIME) {
        Err(Errno::PERM) => open(flags),
        opened => opened,
    }
}
