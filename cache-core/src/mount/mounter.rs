//! The mounter of Linux.

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;

use crate::error::{Error, ErrorKind, Result};
use crate::mount::bind::{OPERATION, plain};
use crate::mount::overlay_layers::OverlayLayers;
use crate::mount::tree::{LinuxTree, MountCalls};
use crate::ports::{Access, Mount, MountKind, MountedTree, Mounter, Pool, PoolExt};

/// Makes trees that are attached nowhere. Mirrors: containerd `core/mount/temp.go`, which attaches them to a temporary
/// directory for every process to see.
///
/// - Overlay mounts need the right to mount. `ReadOnly` access to a writable one moves its upper directory into the lower ones.
/// - Bind mounts are detached clones, read-only ones by the kernel, if this process may mount; else the directory itself, and
///   `ReadOnly` is the caller's promise.
/// - No mounts are an empty directory that is deleted already, to which nothing can be added.
#[derive(Debug)]
pub struct LinuxMounter {
    pool: Arc<dyn Pool>,
    calls: MountCalls,
    scratch: PathBuf,
    last: AtomicU64,
}

impl LinuxMounter {
    /// A mounter whose calls run on threads of `pool`. In the directory `scratch` it makes empty directories for a moment.
    pub fn new(pool: Arc<dyn Pool>, scratch: impl Into<PathBuf>) -> Self {
        Self { pool, calls: MountCalls::Automatic, scratch: scratch.into(), last: AtomicU64::new(0) }
    }

    /// The same with other system calls.
    #[must_use]
    pub fn with_calls(mut self, calls: MountCalls) -> Self {
        self.calls = calls;
        self
    }

    fn empty_path(&self) -> PathBuf {
        let number = self.last.fetch_add(1, Ordering::Relaxed);
        // Several mounters of several processes may share the directory.
        self.scratch.join(format!("empty-{}-{:p}-{number}", std::process::id(), self))
    }
}

#[async_trait]
impl Mounter for LinuxMounter {
    async fn mount(&self, mounts: &[Mount], access: Access) -> Result<Arc<dyn MountedTree>> {
        let calls = self.calls;
        match mounts {
            [] => {
                let path = self.empty_path();
                self.pool.run(move || empty(&path)).await.map(|tree| Arc::new(tree) as Arc<dyn MountedTree>)
            }
            [mount] => {
                let (mount, pool) = (mount.clone(), Arc::clone(&self.pool));
                self.pool.run(move || single(&mount, access, calls, pool)).await.map(|tree| Arc::new(tree) as _)
            }
            [first, ..] => Err(Error::new(ErrorKind::Unsupported, OPERATION, first.source.display())
                .with_source("mounts over mounts make no tree of their own")),
        }
    }
}

fn single(mount: &Mount, access: Access, calls: MountCalls, pool: Arc<dyn Pool>) -> Result<LinuxTree> {
    match (&mount.kind, OverlayLayers::of(mount)?) {
        (_, Some(layers)) => {
            let tree = LinuxTree::overlay(&layers, &mount.source.to_string_lossy(), access, calls)?;
            // Unmounting a writable overlay flushes the file system of its upper directory.
            Ok(if access == Access::ReadWrite { tree.released_by(pool) } else { tree })
        }
        (MountKind::Bind, None) => LinuxTree::bind(mount, access),
        (kind, None) => Err(Error::new(ErrorKind::Unsupported, OPERATION, mount.source.display())
            .with_source(format!("mounts of kind {kind:?} are not known"))),
    }
}

fn empty(path: &Path) -> Result<LinuxTree> {
    let failed = |error| Error::io(OPERATION, path.display(), error);
    DirBuilder::new().mode(0o755).create(path).map_err(failed)?;
    let handles = plain(path);
    std::fs::remove_dir(path).map_err(failed)?;
    handles.map(LinuxTree::new)
}
