//! Changes of a tree that give the same tree, times included, wherever they are made.

use std::ffi::CString;
use std::fs::{self, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use rustix::fs::{
    AtFlags, CWD, FileType, Mode, Timespec, Timestamps, XattrFlags, lsetxattr, makedev, mknodat, utimensat,
};

/// One change. Paths are relative to the root of the tree.
#[derive(Clone, Debug)]
pub(in crate::conformance) enum Change {
    /// A new file, or another content of one.
    File(PathBuf, Vec<u8>, u32),
    /// A new directory.
    Directory(PathBuf, u32),
    /// A symbolic link and its target.
    Symlink(PathBuf, PathBuf),
    /// A new name of a file.
    HardLink(PathBuf, PathBuf),
    /// Another name in the place of the first one, which may replace what has it.
    Rename(PathBuf, PathBuf),
    /// Nothing more under this name.
    Remove(PathBuf),
    /// Another mode.
    Mode(PathBuf, u32),
    /// Another owner and group. Needs root.
    Owner(PathBuf, u32, u32),
    /// An extended attribute.
    Xattr(PathBuf, &'static str, Vec<u8>),
    /// Another time of the last modification, in seconds and nanoseconds.
    Time(PathBuf, i64, i64),
    /// A device with its numbers, or a pipe (the numbers are zero then). Devices need root.
    Node(PathBuf, FileType, u32, u32),
}

impl Change {
    pub(in crate::conformance) fn file(path: &str, content: &str, mode: u32) -> Self {
        Self::File(path.into(), content.into(), mode)
    }

    pub(in crate::conformance) fn directory(path: &str, mode: u32) -> Self {
        Self::Directory(path.into(), mode)
    }

    pub(in crate::conformance) fn symlink(path: &str, target: &str) -> Self {
        Self::Symlink(path.into(), target.into())
    }

    pub(in crate::conformance) fn hard_link(path: &str, to: &str) -> Self {
        Self::HardLink(path.into(), to.into())
    }

    pub(in crate::conformance) fn rename(from: &str, to: &str) -> Self {
        Self::Rename(from.into(), to.into())
    }

    pub(in crate::conformance) fn remove(path: &str) -> Self {
        Self::Remove(path.into())
    }

    pub(in crate::conformance) fn mode(path: &str, mode: u32) -> Self {
        Self::Mode(path.into(), mode)
    }

    pub(in crate::conformance) fn owner(path: &str, user: u32, group: u32) -> Self {
        Self::Owner(path.into(), user, group)
    }

    pub(in crate::conformance) fn xattr(path: &str, name: &'static str, value: &[u8]) -> Self {
        Self::Xattr(path.into(), name, value.into())
    }

    pub(in crate::conformance) fn time(path: &str, seconds: i64, nanoseconds: i64) -> Self {
        Self::Time(path.into(), seconds, nanoseconds)
    }

    /// The names whose times the change would otherwise set to now.
    fn touched(&self) -> Vec<&Path> {
        match self {
            Self::File(path, ..) | Self::Directory(path, _) | Self::Symlink(path, _) | Self::Node(path, ..) => {
                path.parent().into_iter().chain([path.as_path()]).collect()
            }
            Self::Rename(from, to) => from.parent().into_iter().chain(to.parent()).collect(),
            Self::Remove(path) | Self::HardLink(path, _) => path.parent().into_iter().collect(),
            Self::Mode(..) | Self::Owner(..) | Self::Xattr(..) | Self::Time(..) => Vec::new(),
        }
    }

    fn make(&self, root: &Path) -> io::Result<()> {
        match self {
            Self::File(path, content, mode) => {
                let path = root.join(path);
                let mut file = fs::OpenOptions::new().write(true).create(true).truncate(true).open(&path)?;
                file.write_all(content)?;
                file.set_permissions(Permissions::from_mode(*mode))
            }
            Self::Directory(path, mode) => {
                fs::create_dir(root.join(path))?;
                fs::set_permissions(root.join(path), Permissions::from_mode(*mode))
            }
            Self::Symlink(path, target) => symlink(target, root.join(path)),
            Self::HardLink(path, to) => fs::hard_link(root.join(to), root.join(path)),
            Self::Rename(from, to) => fs::rename(root.join(from), root.join(to)),
            Self::Remove(path) => {
                let path = root.join(path);
                if fs::symlink_metadata(&path)?.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) }
            }
            Self::Mode(path, mode) => fs::set_permissions(root.join(path), Permissions::from_mode(*mode)),
            Self::Owner(path, user, group) => std::os::unix::fs::lchown(root.join(path), Some(*user), Some(*group)),
            Self::Xattr(path, name, value) => {
                let name = CString::new(*name)?;
                Ok(lsetxattr(root.join(path), &name, value, XattrFlags::empty())?)
            }
            Self::Time(path, seconds, nanoseconds) => set_time(&root.join(path), *seconds, *nanoseconds),
            Self::Node(path, kind, major, minor) => {
                let path = root.join(path);
                mknodat(CWD, &path, *kind, Mode::RUSR | Mode::WUSR, makedev(*major, *minor))?;
                Ok(fs::set_permissions(&path, Permissions::from_mode(0o640))?)
            }
        }
    }
}

/// A clock of changes: each has a time of its own, and the same one in every tree that sees the same changes.
#[derive(Clone, Debug, Default)]
pub(in crate::conformance) struct Ticks(i64);

/// Makes `changes` in the tree at `root`.
pub(in crate::conformance) fn apply(root: &Path, changes: &[Change], ticks: &mut Ticks) -> io::Result<()> {
    for change in changes {
        ticks.0 += 1;
        change.make(root)?;
        for path in change.touched() {
            // 2001-09-09, far from now; the nanoseconds are those that a file system has.
            set_time(&root.join(path), 1_000_000_000 + ticks.0, 123_456_789)?;
        }
    }
    Ok(())
}

fn set_time(path: &Path, seconds: i64, nanoseconds: i64) -> io::Result<()> {
    let time = Timespec { tv_sec: seconds, tv_nsec: nanoseconds };
    let times = Timestamps { last_access: time, last_modification: time };
    Ok(utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW)?)
}
