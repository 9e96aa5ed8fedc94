//! Detached overlay mounts by fsopen(2).

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{Mode, OFlags, open};
use rustix::io::Errno;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, fsconfig_create, fsconfig_set_flag, fsconfig_set_string, fsmount, fsopen,
};

use crate::error::{Error, ErrorKind, Result};
use crate::mount::bind::OPERATION;
use crate::mount::overlay_layers::{MAX_LOWER_LAYERS, OverlayLayers};

/// Bytes of a value that fsconfig(2) takes, without its NUL.
const VALUE_BYTES: usize = 255;

/// Bytes of the messages that the kernel has for a failed mount; they are single lines.
const MESSAGE_BYTES: usize = 1024;

/// An overlay mount whose options have been read.
#[derive(Debug)]
pub(super) struct Prepared<'a> {
    pub(super) layers: &'a OverlayLayers,
    /// Options for overlayfs.
    pub(super) options: Vec<&'a str>,
    /// Options for the mount itself.
    pub(super) attributes: MountAttrFlags,
}

impl<'a> Prepared<'a> {
    pub(super) fn new(layers: &'a OverlayLayers) -> Result<Self> {
        let name = || layers.lower.first().map_or_else(|| "overlay".to_owned(), |path| path.display().to_string());
        if layers.lower.is_empty() || layers.upper.is_some() != layers.work.is_some() {
            return Err(Error::new(ErrorKind::Invalid, OPERATION, name())
                .with_source("an overlay mount needs lower layers, and an upper and a work directory or neither"));
        }
        if layers.lower.len() > MAX_LOWER_LAYERS {
            return Err(Error::new(ErrorKind::LimitExceeded, OPERATION, name())
                .with_source(format!("{} lower layers, MAX_LOWER_LAYERS is {MAX_LOWER_LAYERS}", layers.lower.len())));
        }
        let mut prepared = Self { layers, options: Vec::new(), attributes: MountAttrFlags::empty() };
        for option in &layers.options {
            match option.as_str() {
                "rw" => {}
                "ro" => prepared.attributes |= MountAttrFlags::MOUNT_ATTR_RDONLY,
                "nosuid" => prepared.attributes |= MountAttrFlags::MOUNT_ATTR_NOSUID,
                "nodev" => prepared.attributes |= MountAttrFlags::MOUNT_ATTR_NODEV,
                "noexec" => prepared.attributes |= MountAttrFlags::MOUNT_ATTR_NOEXEC,
                // The kernel lets nobody mount the same upper directory again after it. Mirrors: containerd
                // `core/mount/temp.go`, RemoveVolatileOption.
                "volatile" | "fsync=volatile" => {}
                other => prepared.options.push(other),
            }
        }
        if layers.upper.is_none() {
            prepared.attributes |= MountAttrFlags::MOUNT_ATTR_RDONLY;
        }
        Ok(prepared)
    }
}

/// The mount, attached nowhere; `None` if the kernel cannot make it in this way.
pub(super) fn detached(prepared: &Prepared<'_>, source: &str) -> Result<Option<OwnedFd>> {
    let context = match fsopen("overlay", FsOpenFlags::FSOPEN_CLOEXEC) {
        Ok(context) => context,
        Err(Errno::NOSYS) => return Ok(None),
        Err(Errno::NODEV) => {
            return Err(
                Error::new(ErrorKind::Unsupported, OPERATION, source).with_source("the kernel has no overlayfs")
            );
        }
        Err(error) => return Err(Error::io(OPERATION, source, error.into())),
    };
    let failed = |error: Errno| failure(context.as_fd(), source, error);
    // Names that do not fit are reached through descriptors, which must stay open until the mount is made.
    let mut open = Vec::new();
    let mut name = |path: &Path| name_of(path, &mut open);
    fsconfig_set_string(&context, "source", source).map_err(failed)?;
    for (index, lower) in prepared.layers.lower.iter().enumerate() {
        match fsconfig_set_string(&context, "lowerdir+", name(lower)?) {
            // Before Linux 6.7, which take one `lowerdir` of at most VALUE_BYTES.
            Err(Errno::INVAL) if index == 0 && !knows_lower_layers()? => return Ok(None),
            outcome => outcome.map_err(failed)?,
        }
    }
    for (key, path) in [("upperdir", &prepared.layers.upper), ("workdir", &prepared.layers.work)] {
        if let Some(path) = path {
            fsconfig_set_string(&context, key, name(path)?).map_err(failed)?;
        }
    }
    for option in &prepared.options {
        match option.split_once('=') {
            Some((key, value)) => fsconfig_set_string(&context, key, value),
            None => fsconfig_set_flag(&context, *option),
        }
        .map_err(failed)?;
    }
    fsconfig_create(&context).map_err(failed)?;
    fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, prepared.attributes).map(Some).map_err(failed)
}

/// Whether overlayfs has the `lowerdir+` option: an existing directory is tried.
fn knows_lower_layers() -> Result<bool> {
    let context = fsopen("overlay", FsOpenFlags::FSOPEN_CLOEXEC)
        .map_err(|error| Error::io(OPERATION, "overlay", error.into()))?;
    Ok(fsconfig_set_string(&context, "lowerdir+", "/").is_ok())
}

/// A name for `path` that fits in a value and has nothing in it that the kernel would unescape.
fn name_of(path: &Path, open_directories: &mut Vec<OwnedFd>) -> Result<String> {
    match path.to_str() {
        Some(text) if text.len() <= VALUE_BYTES && !text.contains(['\\', ':', ',']) => Ok(text.to_owned()),
        _ => {
            let directory = open_layer(path)?;
            let name = format!("/proc/self/fd/{}", directory.as_raw_fd());
            open_directories.push(directory);
            Ok(name)
        }
    }
}

/// A handle of a layer, whose descriptor can stand for its name.
pub(super) fn open_layer(path: &Path) -> Result<OwnedFd> {
    open(path, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
        .map_err(|error| Error::io(OPERATION, path.display(), error.into()))
}

/// The failure with what the kernel tells about it.
fn failure(context: BorrowedFd<'_>, target: &str, error: Errno) -> Error {
    let mut messages = Vec::new();
    let mut buffer = [0; MESSAGE_BYTES];
    while let Ok(length @ 1..) = rustix::io::read(context, &mut buffer) {
        messages.push(String::from_utf8_lossy(buffer.get(..length).unwrap_or_default()).trim_end().to_owned());
    }
    let failure = Error::io(OPERATION, target, io::Error::from(error));
    if messages.is_empty() {
        return failure;
    }
    failure.with_source(format!("{}: {}", io::Error::from(error), messages.join("; ")))
}
