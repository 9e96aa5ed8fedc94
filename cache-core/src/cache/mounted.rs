//! A mounted file system that keeps its ref.

#[cfg(unix)]
use std::os::fd::BorrowedFd;
use std::path::PathBuf;
use std::sync::Arc;

use crate::cache::entry::Entry;
use crate::ports::MountedTree;

/// The mounted file system of a ref. While it lives, so does the ref.
#[derive(Debug)]
pub struct MountedRef {
    // The tree is unmounted before the ref is let go.
    tree: Arc<dyn MountedTree>,
    _entry: Arc<Entry>,
}

impl MountedRef {
    pub(super) fn new(tree: Arc<dyn MountedTree>, entry: Arc<Entry>) -> Self {
        Self { tree, _entry: entry }
    }
}

impl MountedTree for MountedRef {
    #[cfg(unix)]
    fn directory(&self) -> BorrowedFd<'_> {
        self.tree.directory()
    }

    fn path(&self) -> PathBuf {
        self.tree.path()
    }
}
