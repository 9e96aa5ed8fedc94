//! Trees at a path, for a command.

use std::path::Path;

use rustix::fs::CWD;
use rustix::mount::{MoveMountFlags, move_mount};
use rustix::process::{Signal, getppid, set_parent_process_death_signal};

use crate::error::{Error, ErrorKind, Result};
use crate::mount::bind::{BindOptions, OPERATION};
use crate::mount::overlay_layers::OverlayLayers;
use crate::mount::{classic, namespace, overlay};
use crate::ports::{Access, Mount, MountKind};

/// Runs `work` with `mounts` attached at the directory `at`, one over the other, in a mount namespace of its own, and gives it
/// the path of the tree. Blocks.
///
/// `work` runs on a thread that lives as long as it does. A command that it starts is in the same namespace, and sees the tree
/// at `at`; nobody else does. Wait for the command in `work`: a parent-death signal (see [`die_with_parent`]) comes when that
/// *thread* ends. What a command leaves running keeps the namespace, and with it the mounts.
///
/// Without the right to mount, a single writable bind mount is not attached: `work` gets its directory itself.
///
/// # Errors
/// `PermissionDenied` without the right to mount, for all other mounts; `Invalid` without mounts; `Unsupported` for kinds and
/// options that [`LinuxMounter`](crate::mount::LinuxMounter) does not know, and in a chroot.
pub fn run_attached<T: Send>(mounts: &[Mount], at: &Path, work: impl FnOnce(&Path) -> T + Send) -> Result<T> {
    if mounts.is_empty() {
        return Err(Error::new(ErrorKind::Invalid, OPERATION, at.display()).with_source("there is nothing to attach"));
    }
    let mut work = Some(work);
    let attached = namespace::in_own_namespace(|| {
        for mount in mounts {
            attach(mount, at)?;
        }
        let work = work.take().expect("it is taken here, or after this has failed before it was");
        Ok(work(at))
    });
    match (attached, work, plain_directory(mounts)?) {
        (Err(error), Some(work), Some(directory))
            if matches!(error.kind(), ErrorKind::PermissionDenied | ErrorKind::Unsupported) =>
        {
            tracing::debug!(%error, "a command runs in the directory itself");
            Ok(work(directory))
        }
        (attached, ..) => attached,
    }
}

/// Ends this process when the thread that started it ends, which it does at the latest with its process. For a command's
/// wrapper, which calls this and then replaces itself by the command (`std::os::unix::process::CommandExt::exec`).
///
/// `parent` is the process that started this one, as it named itself to the wrapper: it may have ended before the call.
///
/// # Errors
/// `Cancelled` if the parent has ended already; the system's failures.
pub fn die_with_parent(parent: u32) -> Result<()> {
    const OPERATION: &str = "tie process to parent";
    set_parent_process_death_signal(Some(Signal::KILL)).map_err(|error| Error::io(OPERATION, parent, error.into()))?;
    let now = getppid().map(|pid| pid.as_raw_nonzero().get().unsigned_abs());
    if now == Some(parent) { Ok(()) } else { Err(Error::new(ErrorKind::Cancelled, OPERATION, parent)) }
}

/// The directory that stands for the mounts where nothing can be attached.
fn plain_directory(mounts: &[Mount]) -> Result<Option<&Path>> {
    match mounts {
        [mount] if mount.kind == MountKind::Bind && BindOptions::of(mount)?.access == Access::ReadWrite => {
            Ok(Some(&mount.source))
        }
        _ => Ok(None),
    }
}

fn attach(mount: &Mount, at: &Path) -> Result<()> {
    match (&mount.kind, OverlayLayers::of(mount)?) {
        (_, Some(layers)) => {
            let prepared = overlay::Prepared::new(&layers)?;
            let source = mount.source.to_string_lossy();
            match overlay::detached(&prepared, &source)? {
                Some(tree) => move_mount(&tree, "", CWD, at, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)
                    .map_err(|error| Error::io(OPERATION, at.display(), error.into())),
                None => classic::overlay_at(&prepared, &source, at),
            }
        }
        (MountKind::Bind, None) => {
            let options = BindOptions::of(mount)?;
            classic::bind_at(&mount.source, at, options.recursive)?;
            if options.access == Access::ReadOnly { classic::make_read_only(at) } else { Ok(()) }
        }
        (kind, None) => Err(Error::new(ErrorKind::Unsupported, OPERATION, at.display())
            .with_source(format!("mounts of kind {kind:?} are not known"))),
    }
}
