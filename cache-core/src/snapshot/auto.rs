//! The choice between overlayfs and native.

use std::fs::{self, File};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::FileTypeExt;
use std::path::Path;
use std::sync::Arc;

use rustix::fs::{AtFlags, Mode, OFlags, openat, unlinkat};

use crate::error::{Error, Result};
use crate::mount::{LinuxTree, MountCalls, OverlayLayers};
use crate::ports::{Access, MountedTree, Pool, PoolExt};
use crate::snapshot::durability::Durability;
use crate::snapshot::native::NativeOptions;
use crate::snapshot::overlay_options::{self, Machine};
use crate::snapshot::overlayfs::OverlayfsOptions;
use crate::snapshot::rows::SnapshotRows;
use crate::snapshot::snapshotter::DirectorySnapshotter;

impl DirectorySnapshotter {
    /// overlayfs where it works, else native. `rows` gives the rows of the snapshotter of that name.
    ///
    /// # Errors
    /// As for the one that is chosen.
    pub async fn auto(
        rows: impl Fn(&str) -> Result<Arc<dyn SnapshotRows>> + Send,
        pool: Arc<dyn Pool>,
        durability: Durability,
    ) -> Result<Self> {
        let overlay = rows("overlayfs")?;
        match overlayfs_works(&*overlay, Arc::clone(&pool)).await {
            Ok(()) => Self::overlayfs(overlay, pool, OverlayfsOptions::default().with_durability(durability)).await,
            Err(reason) => {
                tracing::debug!(%reason, "overlayfs does not work here, trees are copied");
                Self::native(rows("native")?, pool, NativeOptions::default().with_durability(durability))
            }
        }
    }
}

/// Tries whether this process can use overlayfs in the rows' directory: mounts two layers (seen by nobody else), reads a
/// lower file, writes a file and deletes a lower one.
///
/// # Errors
/// What stands against it: usually `PermissionDenied`, or `Unsupported` or `Invalid` on a file system that cannot hold layers.
pub async fn overlayfs_works(rows: &dyn SnapshotRows, pool: Arc<dyn Pool>) -> Result<()> {
    let probe = rows.scratch().await?;
    pool.run(move || try_overlay(probe.path())).await
}

fn try_overlay(scratch: &Path) -> Result<()> {
    let failed = |error| Error::io("probe overlayfs", scratch.display(), error);
    for name in ["lower", "fs", "work"] {
        fs::create_dir(scratch.join(name)).map_err(failed)?;
    }
    fs::write(scratch.join("lower/deleted"), "lower").map_err(failed)?;
    let layers = OverlayLayers {
        work: Some(scratch.join("work")),
        upper: Some(scratch.join("fs")),
        lower: vec![scratch.join("lower")],
        options: overlay_options::complete(&[], Machine::detect(scratch)),
    };
    let tree = LinuxTree::overlay(&layers, "overlay", Access::ReadWrite, MountCalls::Automatic)?;
    try_writing(tree.directory()).map_err(failed)?;
    drop(tree);
    let whiteout = fs::symlink_metadata(scratch.join("fs/deleted")).map_err(failed)?;
    if whiteout.file_type().is_char_device() { Ok(()) } else { Err(failed(io::ErrorKind::Unsupported.into())) }
}

fn try_writing(root: impl AsFd) -> io::Result<()> {
    let open = |name, flags| openat(&root, name, flags | OFlags::CLOEXEC, Mode::RUSR | Mode::WUSR).map(File::from);
    if io::read_to_string(open(c"deleted", OFlags::RDONLY)?)? != "lower" {
        return Err(io::ErrorKind::InvalidData.into());
    }
    open(c"written", OFlags::WRONLY | OFlags::CREATE)?;
    unlinkat(&root, c"deleted", AtFlags::empty())?;
    Ok(())
}
