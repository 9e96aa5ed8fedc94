//! Disk that files take.

use std::collections::HashSet;
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use crate::error::{Error, Result};
use crate::ports::Usage;

/// Bytes per block of `st_blocks`, whatever the file system's own block is (stat(2)).
const BLOCK_BYTES: u64 = 512;

/// The disk that the file or tree at `path` takes, each inode once, as du(1) counts it; nothing if it is not there.
pub(super) fn of_tree(path: &Path) -> Result<Usage> {
    let mut usage = Usage::default();
    let mut seen = HashSet::new();
    match add(path, &mut usage, &mut seen) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Error::io("count usage", path.display(), error)),
        _ => Ok(usage),
    }
}

fn add(path: &Path, usage: &mut Usage, seen: &mut HashSet<(u64, u64)>) -> io::Result<()> {
    let metadata = fs::symlink_metadata(path)?;
    if metadata.nlink() < 2 || metadata.is_dir() || seen.insert((metadata.dev(), metadata.ino())) {
        usage.bytes += bytes(&metadata);
        usage.inodes += 1;
    }
    if metadata.is_dir() {
        for entry in fs::read_dir(path)? {
            match add(&entry?.path(), usage, seen) {
                // Somebody is at work in there.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                outcome => outcome?,
            }
        }
    }
    Ok(())
}

fn bytes(metadata: &Metadata) -> u64 {
    metadata.blocks() * BLOCK_BYTES
}
