//! Mounts by mount(2), in a mount namespace that ends with the call.

use std::ffi::CString;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;

use rustix::fs::{Mode, StatVfsMountFlags, fstatvfs, open};
use rustix::mount::{MountAttrFlags, MountFlags, mount, mount_bind, mount_bind_recursive, mount_remount};
use rustix::process::chdir;

use crate::error::{Error, ErrorKind, Result};
use crate::mount::bind::{OPERATION, ROOT, plain};
use crate::mount::namespace::in_own_namespace;
use crate::mount::overlay::{Prepared, open_layer};
use crate::mount::tree::Handles;

/// The directory `source`, read-only. What is mounted below it is not in the tree, so that nothing in it can be written to.
///
/// rustix has no mount_setattr(2), which would do this without a namespace.
pub(super) fn read_only(source: &Path) -> Result<Handles> {
    in_own_namespace(|| {
        mount_bind(source, source).map_err(|error| Error::io(OPERATION, source.display(), error.into()))?;
        make_read_only(source)?;
        plain(source)
    })
}

/// The tree of an overlay mount.
pub(super) fn overlay(prepared: &Prepared<'_>, source: &str) -> Result<Handles> {
    // Any directory will do, because the namespace is about to end; this one is there.
    let target = prepared.layers.lower.first();
    let target = target.ok_or_else(|| Error::new(ErrorKind::Invalid, OPERATION, source))?;
    in_own_namespace(|| {
        overlay_at(prepared, source, target)?;
        plain(target)
    })
}

/// Mounts an overlay at `target`, on a thread that has a mount namespace, and so a working directory, of its own.
///
/// The options of mount(2) are limited to one page. Layers are named by their descriptors, relative to the directory of
/// descriptors: four bytes each, so that as many fit as the kernel accepts.
pub(super) fn overlay_at(prepared: &Prepared<'_>, source: &str, target: &Path) -> Result<()> {
    let mut open = Vec::new();
    let mut name = |path: &Path| -> Result<String> {
        let directory = open_layer(path)?;
        let name = directory.as_raw_fd().to_string();
        open.push(directory);
        Ok(name)
    };
    let lower = prepared.layers.lower.iter().map(|path| name(path)).collect::<Result<Vec<_>>>()?;
    let mut options = vec![format!("lowerdir={}", lower.join(":"))];
    for (key, path) in [("upperdir", &prepared.layers.upper), ("workdir", &prepared.layers.work)] {
        if let Some(path) = path {
            options.push(format!("{key}={}", name(path)?));
        }
    }
    options.extend(prepared.options.iter().map(|option| (*option).to_owned()));
    let invalid = |error| Error::new(ErrorKind::Invalid, OPERATION, source).with_source(error);
    let options = CString::new(options.join(",")).map_err(invalid)?;
    // Made absolute, because the working directory changes.
    let target: OwnedFd = open_layer(target)?;
    let target = format!("/proc/self/fd/{}", target.as_raw_fd());
    chdir("/proc/self/fd").map_err(|error| Error::io(OPERATION, "/proc/self/fd", error.into()))?;
    mount(source, target.as_str(), "overlay", flags(prepared.attributes), &*options)
        .map_err(|error| Error::io(OPERATION, source, error.into()))
}

/// Mounts the directory `source` at `target`, on a thread that has a mount namespace of its own.
pub(super) fn bind_at(source: &Path, target: &Path, recursive: bool) -> Result<()> {
    if recursive { mount_bind_recursive(source, target) } else { mount_bind(source, target) }
        .map_err(|error| Error::io(OPERATION, source.display(), error.into()))
}

/// Makes what is mounted at `target` read-only. Its other flags are repeated: in a user namespace they are locked, and leaving
/// them out would be an attempt to clear them.
pub(super) fn make_read_only(target: &Path) -> Result<()> {
    let failed = |error: rustix::io::Errno| Error::io(OPERATION, target.display(), error.into());
    let present = fstatvfs(open(target, ROOT, Mode::empty()).map_err(failed)?).map_err(failed)?.f_flag;
    let mut wanted = MountFlags::BIND | MountFlags::RDONLY;
    for (flag, repeated) in [
        (StatVfsMountFlags::NOSUID, MountFlags::NOSUID),
        (StatVfsMountFlags::NODEV, MountFlags::NODEV),
        (StatVfsMountFlags::NOEXEC, MountFlags::NOEXEC),
        (StatVfsMountFlags::NOATIME, MountFlags::NOATIME),
        (StatVfsMountFlags::NODIRATIME, MountFlags::NODIRATIME),
        (StatVfsMountFlags::RELATIME, MountFlags::RELATIME),
    ] {
        if present.contains(flag) {
            wanted |= repeated;
        }
    }
    mount_remount(target, wanted, "").map_err(failed)
}

fn flags(attributes: MountAttrFlags) -> MountFlags {
    let mut flags = MountFlags::empty();
    for (attribute, flag) in [
        (MountAttrFlags::MOUNT_ATTR_RDONLY, MountFlags::RDONLY),
        (MountAttrFlags::MOUNT_ATTR_NOSUID, MountFlags::NOSUID),
        (MountAttrFlags::MOUNT_ATTR_NODEV, MountFlags::NODEV),
        (MountAttrFlags::MOUNT_ATTR_NOEXEC, MountFlags::NOEXEC),
    ] {
        if attributes.contains(attribute) {
            flags |= flag;
        }
    }
    flags
}
