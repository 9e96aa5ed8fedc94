//! The native snapshotter: every snapshot is a whole tree.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use crate::error::{Error, Result};
use crate::ports::{Mount, MountKind, Pool, SnapshotKind};
use crate::snapshot::copy::copy_tree;
use crate::snapshot::durability::Durability;
use crate::snapshot::rows::SnapshotRows;
use crate::snapshot::snapshotter::{DirectorySnapshotter, Trees};

/// What becomes of owners and privileged attributes that this process may not give to a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Ownership {
    /// Root fails where it cannot copy them. An ordinary user gets files of its own, without `security.*` and `trusted.*`
    /// attributes: a build as that user sees no difference, an image of the tree has its owners.
    #[default]
    AsPermitted,
    /// Everybody fails where they cannot copy them.
    Exact,
}

/// How the native snapshotter works.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct NativeOptions {
    /// What a commit promises.
    pub durability: Durability,
    /// What becomes of owners that cannot be kept.
    pub ownership: Ownership,
}

impl NativeOptions {
    /// The same with `durability`.
    #[must_use]
    pub fn with_durability(mut self, durability: Durability) -> Self {
        self.durability = durability;
        self
    }

    /// The same with `ownership`.
    #[must_use]
    pub fn with_ownership(mut self, ownership: Ownership) -> Self {
        self.ownership = ownership;
        self
    }
}

impl DirectorySnapshotter {
    /// A snapshotter whose snapshots are whole trees. It works for everybody and on every file system; a copy shares blocks
    /// with its parent where the file system has reflinks.
    ///
    /// # Errors
    /// `Invalid` if the rows' directory is not absolute or not UTF-8.
    pub fn native(rows: Arc<dyn SnapshotRows>, pool: Arc<dyn Pool>, options: NativeOptions) -> Result<Self> {
        Self::over(rows, pool, Arc::new(NativeTrees { ownership: options.ownership }), options.durability)
    }
}

#[derive(Debug)]
struct NativeTrees {
    ownership: Ownership,
}

impl Trees for NativeTrees {
    fn make(&self, scratch: &Path, _: SnapshotKind, parent: Option<&Path>, cancelled: &AtomicBool) -> Result<()> {
        match parent {
            // The root's mode is copied, too.
            Some(parent) => copy_tree(parent, scratch, self.ownership, cancelled),
            None => fs::set_permissions(scratch, Permissions::from_mode(0o755))
                .map_err(|error| Error::io("make snapshot", scratch.display(), error)),
        }
    }

    fn mounts(&self, kind: SnapshotKind, own: &Path, parents: &[PathBuf]) -> Result<Vec<Mount>> {
        let (source, access) = match (kind, parents.first()) {
            (SnapshotKind::Active, _) => (own, "rw"),
            (_, Some(parent)) => (parent.as_path(), "ro"),
            (_, None) => (own, "ro"),
        };
        let options = vec!["rbind".to_owned(), access.to_owned()];
        Ok(vec![Mount { kind: MountKind::Bind, source: source.to_owned(), options }])
    }

    fn contents(&self, directory: &Path) -> PathBuf {
        directory.to_owned()
    }
}
