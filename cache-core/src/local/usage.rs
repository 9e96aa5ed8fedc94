//! Disk that names without a row take.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use crate::error::{Error, Result};
use crate::ports::Usage;
use crate::snapshot;

/// Bytes per block of `st_blocks`, whatever the file system's own block is (stat(2)).
const BLOCK_BYTES: u64 = 512;

/// The disk that the file or tree at `path` takes, as du(1) counts it.
pub(super) fn of(path: &Path) -> Result<Usage> {
    let metadata = fs::symlink_metadata(path).map_err(|error| Error::io("measure", path.display(), error))?;
    if metadata.is_dir() {
        return snapshot::of_tree(path);
    }
    Ok(Usage { bytes: metadata.blocks() * BLOCK_BYTES, inodes: 1 })
}
