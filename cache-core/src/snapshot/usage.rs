//! The disk that a tree takes.

use std::collections::HashSet;
use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::path::Path;

use rustix::fs::{AtFlags, FileType, Stat, fstat, statat};

use crate::error::{Error, Result};
use crate::ports::Usage;
use crate::snapshot::descend::{child, for_each_name, open_directory};

/// Bytes of a block in `st_blocks`, whatever the file system's own block is (stat(2)).
const BLOCK_BYTES: u64 = 512;

/// What du(1) counts of the tree at `root`: blocks of every inode once, the root's included.
pub(crate) fn of_tree(root: &Path) -> Result<Usage> {
    walk(root).map_err(|error| Error::io("measure snapshot", root.display(), error))
}

fn walk(root: &Path) -> io::Result<Usage> {
    let root = File::open(root)?;
    let mut usage = Usage::default();
    let mut linked = HashSet::new();
    add(&mut usage, &fstat(&root)?);
    let mut pending = vec![Vec::new()];
    while let Some(path) = pending.pop() {
        let directory = open_directory(root.as_fd(), &path)?;
        for_each_name(directory.as_fd(), |name| -> io::Result<()> {
            let stat = statat(&directory, name, AtFlags::SYMLINK_NOFOLLOW)?;
            if FileType::from_raw_mode(stat.st_mode) == FileType::Directory {
                pending.push(child(&path, name));
                add(&mut usage, &stat);
            } else if stat.st_nlink == 1 || linked.insert((stat.st_dev, stat.st_ino)) {
                add(&mut usage, &stat);
            }
            Ok(())
        })?;
    }
    Ok(usage)
}

fn add(usage: &mut Usage, stat: &Stat) {
    usage.inodes += 1;
    usage.bytes += u64::try_from(stat.st_blocks).unwrap_or(0) * BLOCK_BYTES;
}
