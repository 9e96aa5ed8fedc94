//! Which file systems can hold a store.

use std::path::Path;

use crate::error::{Error, ErrorKind, Result};

/// How a file system treats the locks and the shared memory that the store is built on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileSystemClass {
    /// One kernel sees all its users.
    Local,
    /// It depends on the server behind it. The store opens there, with a warning.
    Fuse,
    /// Other machines may write without being seen: SQLite's WAL and flock(2) do not protect there.
    Network(&'static str),
}

/// The class of the file system with the `f_type` that statfs(2) gave. Numbers are those of linux/magic.h and, for file
/// systems outside of the kernel's tree, of their own headers.
pub fn file_system_class(f_type: u64) -> FileSystemClass {
    // Some architectures sign-extend 32-bit magics.
    match f_type & 0xffff_ffff {
        0x6969 => FileSystemClass::Network("nfs"),
        0x517b | 0xff53_4d42 | 0xfe53_4d42 => FileSystemClass::Network("smb"),
        0x0102_1997 => FileSystemClass::Network("9p"),
        0x00c3_6400 => FileSystemClass::Network("ceph"),
        0x5346_414f | 0x6b41_4653 => FileSystemClass::Network("afs"),
        0x7375_7245 => FileSystemClass::Network("coda"),
        0x0000_564c => FileSystemClass::Network("ncp"),
        0x0116_1970 => FileSystemClass::Network("gfs2"),
        0x7461_636f => FileSystemClass::Network("ocfs2"),
        0x0bd0_0bd0 => FileSystemClass::Network("lustre"),
        0x4750_4653 => FileSystemClass::Network("gpfs"),
        0x1983_0326 => FileSystemClass::Network("beegfs"),
        0x786f_4256 => FileSystemClass::Network("vboxsf"),
        0xbacb_acbc => FileSystemClass::Network("vmhgfs"),
        0x6573_5546 => FileSystemClass::Fuse,
        _ => FileSystemClass::Local,
    }
}

/// Refuses to put a store at `path` if it lies on a network file system. What does not exist yet lies where its nearest
/// ancestor does.
pub(super) fn check(path: &Path) -> Result<()> {
    use std::io;

    let mut probe = path;
    let f_type = loop {
        match rustix::fs::statfs(probe) {
            #[allow(clippy::unnecessary_cast, reason = "the type of f_type differs among architectures")]
            Ok(stat) => break stat.f_type as u64,
            Err(rustix::io::Errno::NOENT) => match probe.parent() {
                Some(parent) if parent.as_os_str().is_empty() => probe = Path::new("."),
                Some(parent) => probe = parent,
                None => return Ok(()),
            },
            Err(error) => return Err(Error::io("stat file system", path.display(), io::Error::from(error))),
        }
    };
    match file_system_class(f_type) {
        FileSystemClass::Local => Ok(()),
        FileSystemClass::Fuse => {
            tracing::warn!(path = %path.display(), "the store lies on FUSE; it is safe only if no other machine writes there");
            Ok(())
        }
        FileSystemClass::Network(name) => Err(Error::new(ErrorKind::Unsupported, "open store", path.display())
            .with_source(format!("{name} is a network file system, where locks and shared memory do not protect"))),
    }
}
