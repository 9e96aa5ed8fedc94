//! What an archive says of one entry.

use std::collections::BTreeMap;

/// Kind of an archive entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Kind {
    /// Regular file; the only kind with contents.
    File,
    /// Directory.
    Directory,
    /// Symbolic link to [`Header::link`].
    Symlink,
    /// Another name of the earlier entry [`Header::link`].
    HardLink,
    /// Character device.
    CharDevice,
    /// Block device.
    BlockDevice,
    /// Named pipe.
    Fifo,
}

impl Kind {
    pub(super) fn type_flag(self) -> u8 {
        match self {
            Self::File => b'0',
            Self::HardLink => b'1',
            Self::Symlink => b'2',
            Self::CharDevice => b'3',
            Self::BlockDevice => b'4',
            Self::Directory => b'5',
            Self::Fifo => b'6',
        }
    }
}

/// A point in time, counted from 1970-01-01 00:00 UTC; earlier ones have negative seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Timestamp {
    /// Whole seconds, rounded down.
    pub seconds: i64,
    /// Nanoseconds after `seconds`, below 1 000 000 000.
    pub nanos: u32,
}

impl Timestamp {
    /// A time without a fraction.
    #[must_use]
    pub const fn from_seconds(seconds: i64) -> Self {
        Self { seconds, nanos: 0 }
    }
}

/// One entry of an archive, without its contents.
///
/// Names are raw bytes: archives do not promise UTF-8.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Header {
    /// Name as stored. The writer ends a directory's name with `/` if it does not end so.
    pub path: Vec<u8>,
    /// Kind of the entry.
    pub kind: Kind,
    /// Permission, set-id and sticky bits (`0o7777`).
    pub mode: u32,
    /// Numeric owner.
    pub uid: u64,
    /// Numeric group.
    pub gid: u64,
    /// Owner's name; layers leave it empty.
    pub user_name: Vec<u8>,
    /// Group's name; layers leave it empty.
    pub group_name: Vec<u8>,
    /// Bytes of contents, holes included; 0 for every kind but [`Kind::File`].
    pub size: u64,
    /// Time of last modification.
    pub modified: Timestamp,
    /// Major number of a device, else 0.
    pub device_major: u32,
    /// Minor number of a device, else 0.
    pub device_minor: u32,
    /// Target of a symbolic link or name that a hard link repeats, else empty.
    pub link: Vec<u8>,
    /// Extended attributes by full name (`security.capability`), from `SCHILY.xattr.*` records. Values may be empty.
    pub xattrs: BTreeMap<Vec<u8>, Vec<u8>>,
    /// Every other PAX record that has no field above, `atime` and `comment` for example.
    pub records: BTreeMap<Vec<u8>, Vec<u8>>,
}

impl Header {
    /// An entry with mode 0644 (directories 0755, symbolic links 0777), owner 0:0 and time 0.
    pub fn new(kind: Kind, path: impl Into<Vec<u8>>) -> Self {
        let mode = match kind {
            Kind::Directory => 0o755,
            Kind::Symlink => 0o777,
            _ => 0o644,
        };
        Self {
            path: path.into(),
            kind,
            mode,
            uid: 0,
            gid: 0,
            user_name: Vec::new(),
            group_name: Vec::new(),
            size: 0,
            modified: Timestamp::default(),
            device_major: 0,
            device_minor: 0,
            link: Vec::new(),
            xattrs: BTreeMap::new(),
            records: BTreeMap::new(),
        }
    }

    /// A regular file of `size` bytes.
    pub fn file(path: impl Into<Vec<u8>>, size: u64) -> Self {
        let mut header = Self::new(Kind::File, path);
        header.size = size;
        header
    }

    /// A directory.
    pub fn directory(path: impl Into<Vec<u8>>) -> Self {
        Self::new(Kind::Directory, path)
    }

    /// A symbolic link to `target`.
    pub fn symlink(path: impl Into<Vec<u8>>, target: impl Into<Vec<u8>>) -> Self {
        let mut header = Self::new(Kind::Symlink, path);
        header.link = target.into();
        header
    }

    /// Another name of the earlier entry `first`.
    pub fn hard_link(path: impl Into<Vec<u8>>, first: impl Into<Vec<u8>>) -> Self {
        let mut header = Self::new(Kind::HardLink, path);
        header.link = first.into();
        header
    }

    /// The same entry with another mode.
    #[must_use]
    pub fn with_mode(mut self, mode: u32) -> Self {
        self.mode = mode;
        self
    }

    /// The same entry with another owner.
    #[must_use]
    pub fn with_owner(mut self, uid: u64, gid: u64) -> Self {
        self.uid = uid;
        self.gid = gid;
        self
    }

    /// The same entry with another modification time.
    #[must_use]
    pub fn with_modified(mut self, modified: Timestamp) -> Self {
        self.modified = modified;
        self
    }

    /// The same entry with device numbers.
    #[must_use]
    pub fn with_device(mut self, major: u32, minor: u32) -> Self {
        self.device_major = major;
        self.device_minor = minor;
        self
    }

    /// The same entry with one more extended attribute.
    #[must_use]
    pub fn with_xattr(mut self, name: impl Into<Vec<u8>>, value: impl Into<Vec<u8>>) -> Self {
        self.xattrs.insert(name.into(), value.into());
        self
    }
}
