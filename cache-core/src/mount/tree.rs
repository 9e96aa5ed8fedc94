//! A mounted tree that is attached nowhere.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::sync::Arc;

use crate::error::Result;
use crate::mount::overlay_layers::OverlayLayers;
use crate::mount::{bind, classic, overlay};
use crate::ports::{Access, Mount, MountedTree, Pool};

/// By which system calls mounts are made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum MountCalls {
    /// fsopen(2) and its family where the kernel has them in full (overlayfs since Linux 6.7), else as `Classic`.
    #[default]
    Automatic,
    /// mount(2) on a thread with a mount namespace of its own. Costs a thread and a copy of the namespace for every mount.
    Classic,
}

/// A tree whose mount, if it needs one, is attached to no namespace.
#[derive(Debug)]
pub struct LinuxTree {
    /// Always there before the drop.
    handles: Option<Handles>,
    /// Releases the handles where that may block.
    releaser: Option<Arc<dyn Pool>>,
}

/// In the order in which they are closed.
#[derive(Debug)]
pub(super) struct Handles {
    /// The root, open for reading.
    pub(super) directory: OwnedFd,
    /// What keeps the mount from being taken apart; without it the directory alone keeps it.
    #[expect(dead_code, reason = "it is held, not used")]
    pub(super) mount: Option<OwnedFd>,
}

impl LinuxTree {
    pub(super) fn new(handles: Handles) -> Self {
        Self { handles: Some(handles), releaser: None }
    }

    /// The tree of `layers`. `source` is a name without meaning. Blocks.
    ///
    /// # Errors
    /// `PermissionDenied` without the right to mount; `LimitExceeded` over
    /// [`MAX_LOWER_LAYERS`](crate::mount::MAX_LOWER_LAYERS); `Unsupported` without overlayfs; what the kernel finds wrong with
    /// the layers or the options.
    pub fn overlay(layers: &OverlayLayers, source: &str, access: Access, calls: MountCalls) -> Result<Self> {
        let layers = match access {
            Access::ReadOnly => layers.clone().read_only(),
            Access::ReadWrite => layers.clone(),
        };
        let prepared = overlay::Prepared::new(&layers)?;
        let detached = match calls {
            MountCalls::Automatic => overlay::detached(&prepared, source)?,
            MountCalls::Classic => None,
        };
        match detached {
            Some(mount) => bind::over(mount).map(Self::new),
            None => classic::overlay(&prepared, source).map(Self::new),
        }
    }

    /// The tree of a bind mount. Blocks.
    ///
    /// # Errors
    /// `Unsupported` for options other than `bind`, `rbind`, `ro` and `rw`; `PermissionDenied` if it is to be read-only
    /// although `access` would write, and this process may not mount; the system's failures.
    pub fn bind(mount: &Mount, access: Access) -> Result<Self> {
        bind::tree(mount, access).map(Self::new)
    }

    /// The same, with a drop that does not wait: `pool` takes the mount apart.
    #[must_use]
    pub(super) fn released_by(mut self, pool: Arc<dyn Pool>) -> Self {
        self.releaser = Some(pool);
        self
    }

    fn handles(&self) -> &Handles {
        self.handles.as_ref().expect("only drop takes the handles")
    }
}

impl MountedTree for LinuxTree {
    fn directory(&self) -> BorrowedFd<'_> {
        self.handles().directory.as_fd()
    }

    fn path(&self) -> PathBuf {
        PathBuf::from(format!("/proc/self/fd/{}", self.handles().directory.as_raw_fd()))
    }
}

impl Drop for LinuxTree {
    fn drop(&mut self) {
        let Some(handles) = self.handles.take() else { return };
        if let Some(pool) = &self.releaser {
            // A job that is refused is dropped, and closes them on this thread.
            if let Err(error) = pool.spawn(Box::new(move || drop(handles))) {
                tracing::debug!(%error, "a tree is unmounted on the thread that dropped it");
            }
        }
    }
}
