//! Whether a directory looks like an overlayfs upperdir.

use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

use crate::failure::Failure;

/// Whether something below `directory` is an overlayfs whiteout or carries an attribute of overlayfs, which every upperdir
/// has that hides or changes something of its lower directories.
pub(crate) fn looks_like_upperdir(directory: &Path) -> Result<bool, Failure> {
    let failed = |error| Failure::while_doing(format!("look through {}", directory.display()), error);
    if has_overlay_xattr(directory) {
        return Ok(true);
    }
    for entry in fs::read_dir(directory).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let metadata = entry.metadata().map_err(failed)?;
        let whiteout = metadata.file_type().is_char_device() && metadata.rdev() == 0;
        if whiteout || has_overlay_xattr(&entry.path()) {
            return Ok(true);
        }
        if metadata.is_dir() && looks_like_upperdir(&entry.path())? {
            return Ok(true);
        }
    }
    Ok(false)
}

fn has_overlay_xattr(path: &Path) -> bool {
    let mut names = vec![0_u8; 64 * 1024];
    let length = rustix::fs::llistxattr(path, &mut names[..]).unwrap_or(0);
    let mut names = names[..length].split(|byte| *byte == 0);
    names.any(|name| name.starts_with(b"trusted.overlay.") || name.starts_with(b"user.overlay."))
}
