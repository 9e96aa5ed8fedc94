//! A tree that is being made and is not yet a snapshot's.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::ports::Pool;
use crate::snapshot::tree_removal::remove_tree;

/// A directory of [`SnapshotRows::scratch`](crate::snapshot::SnapshotRows::scratch) and whatever is made in it. It is removed
/// when it is dropped before it was [placed](Self::placed).
#[derive(Debug)]
pub struct ScratchTree {
    path: Option<PathBuf>,
    pool: Arc<dyn Pool>,
}

impl ScratchTree {
    /// The scratch directory at `path`. `pool` removes it if nobody wants it.
    pub fn new(path: PathBuf, pool: Arc<dyn Pool>) -> Self {
        Self { path: Some(path), pool }
    }

    /// Where it lies now.
    pub fn path(&self) -> &Path {
        self.path.as_deref().expect("only placed and drop take the path")
    }

    /// Notes that the directory has got its place and is no longer scratch.
    pub fn placed(mut self) {
        self.path = None;
    }

    /// Removes it before the call returns. Blocks.
    pub fn discard(mut self) {
        if let Some(path) = self.path.take() {
            remove(&path);
        }
    }
}

fn remove(path: &Path) {
    if let Err(error) = remove_tree(path) {
        tracing::warn!(path = %path.display(), %error, "an unwanted tree stays until the process has ended");
    }
}

impl Drop for ScratchTree {
    fn drop(&mut self) {
        let Some(path) = self.path.take() else { return };
        let job = Box::new(move || remove(&path));
        if let Err(error) = self.pool.spawn(job) {
            tracing::warn!(%error, "an unwanted tree stays until the process has ended");
        }
    }
}
