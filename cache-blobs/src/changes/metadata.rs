//! What a tree says of one file.

use crate::tar::{Kind, Timestamp};

/// Kind of a file in a tree: those of an archive, and sockets, which archives cannot hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FileKind {
    /// Regular file.
    File,
    /// Directory.
    Directory,
    /// Symbolic link.
    Symlink,
    /// Character device.
    CharDevice,
    /// Block device.
    BlockDevice,
    /// Named pipe.
    Fifo,
    /// Unix socket; never part of a layer.
    Socket,
}

impl FileKind {
    /// The kind of the archive entry for such a file; `None` for sockets.
    #[must_use]
    pub fn in_archive(self) -> Option<Kind> {
        Some(match self {
            Self::File => Kind::File,
            Self::Directory => Kind::Directory,
            Self::Symlink => Kind::Symlink,
            Self::CharDevice => Kind::CharDevice,
            Self::BlockDevice => Kind::BlockDevice,
            Self::Fifo => Kind::Fifo,
            Self::Socket => return None,
        })
    }
}

/// Which file on which file system: equal for all names of one file, and only for them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Identity {
    /// Device number of the file system, or a number of its own for a tree in memory.
    pub device: u64,
    /// Inode number in it.
    pub inode: u64,
}

/// Everything about a file but its name, contents, link target and extended attributes.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Metadata {
    /// Kind of the file.
    pub kind: FileKind,
    /// Permission, set-id and sticky bits (`0o7777`).
    pub mode: u32,
    /// Numeric owner.
    pub uid: u32,
    /// Numeric group.
    pub gid: u32,
    /// Major number of a device, else 0.
    pub device_major: u32,
    /// Minor number of a device, else 0.
    pub device_minor: u32,
    /// Bytes of contents, or of a symbolic link's target.
    pub size: u64,
    /// Time of last modification.
    pub modified: Timestamp,
    /// Which file it is.
    pub identity: Identity,
    /// Number of names it has.
    pub links: u64,
}

impl Metadata {
    /// Metadata of a file with owner 0:0, size 0, time 0 and one name.
    #[must_use]
    pub fn new(kind: FileKind, mode: u32, identity: Identity) -> Self {
        Self {
            kind,
            mode,
            uid: 0,
            gid: 0,
            device_major: 0,
            device_minor: 0,
            size: 0,
            modified: Timestamp::default(),
            identity,
            links: 1,
        }
    }

    /// Whether it is a directory.
    #[must_use]
    pub fn is_directory(&self) -> bool {
        self.kind == FileKind::Directory
    }

    /// Whether it is what overlayfs puts in place of a removed file: a character device 0:0.
    #[must_use]
    pub fn is_whiteout(&self) -> bool {
        self.kind == FileKind::CharDevice && self.device_major == 0 && self.device_minor == 0
    }

    /// Whether other names of the same file exist.
    #[must_use]
    pub fn is_hard_linked(&self) -> bool {
        !self.is_directory() && self.links > 1
    }
}
