//! The overlayfs snapshotter: every snapshot is what it changes over its parents.

use std::fs::{self, DirBuilder, File, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use rustix::fs::{Dir, FileType};

use crate::error::{Error, ErrorKind, Result};
use crate::mount::OverlayLayers;
use crate::ports::{Mount, MountKind, Pool, PoolExt, SnapshotKind};
use crate::snapshot::durability::Durability;
use crate::snapshot::overlay_options::{self, Machine};
use crate::snapshot::rows::SnapshotRows;
use crate::snapshot::snapshotter::{DirectorySnapshotter, Trees};

/// How the overlayfs snapshotter works.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct OverlayfsOptions {
    /// What a commit promises.
    pub durability: Durability,
    /// Options for every overlay mount, after the layers. `index=off` is added if the kernel knows it and this list does not
    /// name `index`; `userxattr` in a user namespace.
    pub mount_options: Vec<String>,
}

impl OverlayfsOptions {
    /// The same with `durability`.
    #[must_use]
    pub fn with_durability(mut self, durability: Durability) -> Self {
        self.durability = durability;
        self
    }

    /// The same with one more mount option.
    #[must_use]
    pub fn with_mount_option(mut self, option: impl Into<String>) -> Self {
        self.mount_options.push(option.into());
        self
    }
}

impl DirectorySnapshotter {
    /// A snapshotter whose snapshots are overlayfs layers. It does not ask whether this process may mount them; see
    /// [`overlayfs_works`](crate::snapshot::overlayfs_works).
    ///
    /// # Errors
    /// `Unsupported` on a file system that does not tell the types of directory entries (d_type); `Invalid` if the rows'
    /// directory is not absolute or not UTF-8.
    pub async fn overlayfs(
        rows: Arc<dyn SnapshotRows>,
        pool: Arc<dyn Pool>,
        options: OverlayfsOptions,
    ) -> Result<Self> {
        let probe = rows.scratch().await?;
        let machine = pool
            .run(move || {
                require_entry_types(probe.path())?;
                Ok(Machine::detect(probe.path()))
            })
            .await?;
        let trees = OverlayTrees { options: overlay_options::complete(&options.mount_options, machine) };
        Self::over(rows, pool, Arc::new(trees), options.durability)
    }
}

/// overlayfs cannot merge directories on a file system without d_type: whiteouts would show up as entries.
fn require_entry_types(scratch: &Path) -> Result<()> {
    let known = || -> io::Result<bool> {
        File::create(scratch.join("entry"))?;
        for entry in Dir::read_from(File::open(scratch)?)? {
            if entry?.file_type() == FileType::Unknown {
                return Ok(false);
            }
        }
        Ok(true)
    };
    match known() {
        Ok(true) => Ok(()),
        Ok(false) => Err(Error::new(ErrorKind::Unsupported, "open snapshotter", scratch.display())
            .with_source("the file system does not tell the types of directory entries (d_type)")),
        Err(error) => Err(Error::io("open snapshotter", scratch.display(), error)),
    }
}

#[derive(Debug)]
struct OverlayTrees {
    options: Vec<String>,
}

impl OverlayTrees {
    fn overlay(&self, own: Option<&Path>, parents: &[PathBuf]) -> Result<Vec<Mount>> {
        let layers = OverlayLayers {
            work: own.map(|directory| directory.join("work")),
            upper: own.map(|directory| directory.join("fs")),
            lower: parents.iter().map(|parent| parent.join("fs")).collect(),
            options: self.options.clone(),
        };
        Ok(vec![layers.to_mount()?])
    }
}

impl Trees for OverlayTrees {
    fn make(&self, scratch: &Path, kind: SnapshotKind, parent: Option<&Path>, _: &AtomicBool) -> Result<()> {
        let upper = scratch.join("fs");
        make_directory(&upper, 0o755).map_err(|error| Error::io("make snapshot", upper.display(), error))?;
        if kind == SnapshotKind::Active {
            let work = scratch.join("work");
            make_directory(&work, 0o711).map_err(|error| Error::io("make snapshot", work.display(), error))?;
        }
        if let Some(parent) = parent {
            let parent = parent.join("fs");
            inherit_root(&parent, &upper).map_err(|error| Error::io("make snapshot", parent.display(), error))?;
        }
        Ok(())
    }

    fn mounts(&self, kind: SnapshotKind, own: &Path, parents: &[PathBuf]) -> Result<Vec<Mount>> {
        let bind = |source: &Path, access: &str| {
            let options = vec![access.to_owned(), "rbind".to_owned()];
            Ok(vec![Mount { kind: MountKind::Bind, source: source.join("fs"), options }])
        };
        match (kind, parents) {
            (SnapshotKind::Active, []) => bind(own, "rw"),
            (SnapshotKind::Active, parents) => self.overlay(Some(own), parents),
            (_, []) => bind(own, "ro"),
            (_, [parent]) => bind(parent, "ro"),
            (_, parents) => self.overlay(None, parents),
        }
    }

    fn contents(&self, directory: &Path) -> PathBuf {
        directory.join("fs")
    }
}

/// Makes a directory of exactly `mode`, whatever the process's umask is.
fn make_directory(path: &Path, mode: u32) -> io::Result<()> {
    DirBuilder::new().mode(mode).create(path)?;
    fs::set_permissions(path, Permissions::from_mode(mode))
}

/// The root of an upper directory is what the merged tree's root shows, so it takes over its parent's owner and mode. containerd
/// takes over the owner alone, and so undoes a mode that a layer gave to the root.
fn inherit_root(parent: &Path, upper: &Path) -> io::Result<()> {
    let (from, to) = (fs::symlink_metadata(parent)?, fs::symlink_metadata(upper)?);
    if (from.uid(), from.gid()) != (to.uid(), to.gid()) {
        chown(upper, Some(from.uid()), Some(from.gid()))?;
    }
    fs::set_permissions(upper, Permissions::from_mode(from.mode() & 0o7777))
}
