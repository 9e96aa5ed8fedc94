//! Removing a whole tree.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::path::Path;

use rustix::fs::{AtFlags, FileType, Mode, chmodat, statat, unlinkat};
use rustix::io::Errno;
use rustix::process::geteuid;

use crate::error::{Error, Result};
use crate::snapshot::descend::{child, for_each_name, open_directory};

/// Removes the tree at `root`, however deep it is and whatever its directories' modes are. No other process may change it
/// meanwhile. A tree that is not there is fine; one that could not be removed may be gone in part.
pub(crate) fn remove_tree(root: &Path) -> Result<()> {
    match remove(root) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Error::io("remove tree", root.display(), error)),
        _ => Ok(()),
    }
}

fn remove(root: &Path) -> io::Result<()> {
    let is_root = geteuid().is_root();
    let directory = File::open(root)?;
    let mut pending = vec![Vec::new()];
    let mut directories = Vec::new();
    while let Some(path) = pending.pop() {
        let parent = open_directory(directory.as_fd(), &path)?;
        for_each_name(parent.as_fd(), |name| -> io::Result<()> {
            match unlinkat(&parent, name, AtFlags::empty()) {
                Ok(()) => return Ok(()),
                // Directories answer with one of these.
                Err(Errno::ISDIR | Errno::PERM) => {}
                Err(error) => return Err(error.into()),
            }
            let stat = statat(&parent, name, AtFlags::SYMLINK_NOFOLLOW)?;
            if FileType::from_raw_mode(stat.st_mode) != FileType::Directory {
                return Err(Errno::PERM.into());
            }
            if !is_root {
                // Layers hold directories that their owner may not write to.
                chmodat(&parent, name, Mode::RWXU, AtFlags::empty())?;
            }
            pending.push(child(&path, name));
            Ok(())
        })?;
        directories.push(path);
    }
    // A directory was pushed before those in it.
    for path in directories.into_iter().rev().filter(|path| !path.is_empty()) {
        let split = path.iter().rposition(|byte| *byte == b'/');
        let (parent, name) = match split {
            Some(slash) => (&path[..slash], &path[slash + 1..]),
            None => (&[][..], path.as_slice()),
        };
        unlinkat(open_directory(directory.as_fd(), parent)?, name, AtFlags::REMOVEDIR)?;
    }
    drop(directory);
    std::fs::remove_dir(root)
}
