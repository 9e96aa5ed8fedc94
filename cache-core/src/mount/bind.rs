//! Trees of bind mounts.

use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{CWD, Mode, OFlags, open, openat};
use rustix::mount::{OpenTreeFlags, open_tree};

use crate::error::{Error, ErrorKind, Result};
use crate::mount::classic;
use crate::mount::tree::Handles;
use crate::ports::{Access, Mount};

pub(super) const OPERATION: &str = "mount";

/// How a directory is to be opened for its tree's root.
pub(super) const ROOT: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

/// What the options of a bind mount say.
#[derive(Clone, Copy, Debug)]
pub(super) struct BindOptions {
    pub(super) access: Access,
    pub(super) recursive: bool,
}

impl BindOptions {
    pub(super) fn of(mount: &Mount) -> Result<Self> {
        let mut options = Self { access: Access::ReadWrite, recursive: false };
        for option in &mount.options {
            match option.as_str() {
                "bind" => {}
                "rbind" => options.recursive = true,
                "ro" => options.access = Access::ReadOnly,
                "rw" => options.access = Access::ReadWrite,
                other => {
                    return Err(Error::new(ErrorKind::Unsupported, OPERATION, mount.source.display())
                        .with_source(format!("unknown option {}", other.escape_debug())));
                }
            }
        }
        Ok(options)
    }
}

/// The tree of a bind mount.
///
/// Without the right to mount it is the directory itself. It can then be written to wherever the directory can, and "read-only" is
/// the caller's promise; that is refused where the caller asked to write and the mount forbids it.
pub(super) fn tree(mount: &Mount, access: Access) -> Result<Handles> {
    let options = BindOptions::of(mount)?;
    let source = &mount.source;
    let forbidden = |error: &Error| matches!(error.kind(), ErrorKind::PermissionDenied | ErrorKind::Unsupported);
    match (access, options.access) {
        (Access::ReadWrite, Access::ReadWrite) => match clone(source, options.recursive) {
            Ok(mount) => over(mount),
            Err(error) if forbidden(&error) => plain(source),
            Err(error) => Err(error),
        },
        (Access::ReadWrite, Access::ReadOnly) => classic::read_only(source),
        (Access::ReadOnly, _) => match classic::read_only(source) {
            Err(error) if forbidden(&error) => plain(source),
            handles => handles,
        },
    }
}

/// The directory as it is.
pub(super) fn plain(source: &Path) -> Result<Handles> {
    let directory =
        open(source, ROOT, Mode::empty()).map_err(|error| Error::io(OPERATION, source.display(), error.into()))?;
    Ok(Handles { directory, mount: None })
}

/// The root of a detached mount.
pub(super) fn over(mount: OwnedFd) -> Result<Handles> {
    let directory =
        openat(&mount, c".", ROOT, Mode::empty()).map_err(|error| Error::io(OPERATION, "a tree", error.into()))?;
    Ok(Handles { directory, mount: Some(mount) })
}

/// A detached mount of the directory `source`, with what is mounted below it if `recursive`.
fn clone(source: &Path, recursive: bool) -> Result<OwnedFd> {
    let mut flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    if recursive {
        flags |= OpenTreeFlags::AT_RECURSIVE;
    }
    open_tree(CWD, source, flags).map_err(|error| Error::io(OPERATION, source.display(), error.into()))
}
