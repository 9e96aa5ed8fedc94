//! Directories whose times, and sometimes modes, have to wait until everything in them is there.

use std::ffi::OsStr;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;

use rustix::fs::{AtFlags, FileType, statat};
use rustix::io::Errno;

use super::attributes::{Object, set_mode, set_times};
use super::path::clean;
use super::root::Root;
use super::walk::Missing;
use super::{Error, Operation};
use crate::changes::FileKind;
use crate::tar::Header;

/// What the current user needs to put something into a directory.
const OWNER_ACCESS: u32 = 0o700;

/// The mode that a directory has while the layer is unpacked.
pub(super) fn working_mode(mode: u32) -> u32 {
    mode | OWNER_ACCESS
}

/// A directory as it is unpacked.
pub(super) struct Directory {
    pub(super) header: Header,
    /// Device and inode, to notice when another one takes its place.
    pub(super) identity: (u64, u64),
}

/// Gives every directory that is still there its times and its final mode, the deepest first.
pub(super) fn finish(root: &Root<'_>, mut directories: Vec<Directory>) -> Result<(), Error> {
    directories.sort_by_key(|directory| std::cmp::Reverse(clean(&directory.header.path).len()));
    for directory in directories {
        finish_one(root, &directory)?;
    }
    Ok(())
}

fn finish_one(root: &Root<'_>, directory: &Directory) -> Result<(), Error> {
    let header = &directory.header;
    let parts = clean(&header.path);
    let Some((name, parents)) = parts.split_last() else {
        return Ok(());
    };
    // What the layer itself removed or replaced since is none of ours any more.
    let parent = match root.directory(&parents.join(&b'/'), Missing::Keep) {
        Ok(Some(parent)) => parent,
        Ok(None) | Err(Error::Invalid { .. }) => return Ok(()),
        Err(error) => return Err(error),
    };
    match statat(&parent, OsStr::from_bytes(name), AtFlags::SYMLINK_NOFOLLOW) {
        // A file system may give the inode of what was removed to the link that came after it.
        Ok(stat)
            if (stat.st_dev, stat.st_ino) == directory.identity
                && FileType::from_raw_mode(stat.st_mode) == FileType::Directory => {}
        Ok(_) | Err(Errno::NOENT) => return Ok(()),
        Err(error) => return Err(Error::io(Operation::Inspect, &header.path, error)),
    }
    let object = Object::Named(parent.as_fd(), OsStr::from_bytes(name), FileKind::Directory);
    if working_mode(header.mode) != header.mode {
        set_mode(&object, header.mode).map_err(|error| Error::io(Operation::SetMode, &header.path, error))?;
    }
    set_times(&object, header)
}
