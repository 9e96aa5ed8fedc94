//! The entry of a table of contents that an entry of the archive stands for.

use crate::codec::toc::base64_bytes::Base64Bytes;
use crate::codec::toc::entry::{TocEntry, TocKind};
use crate::codec::toc::text::text_of;
use crate::tar::{Kind, ScannedEntry};

/// What both formats say of `scanned` alike: all but times, names of owners, and digests.
pub(in crate::codec) fn describe(scanned: &ScannedEntry) -> TocEntry {
    let header = &scanned.header;
    let mut entry = TocEntry {
        name: text_of(&header.path),
        kind: kind_of(header.kind),
        mode: scanned.stored_mode,
        uid: header.uid,
        gid: header.gid,
        size: header.size,
        ..TocEntry::default()
    };
    let xattrs = header.xattrs.iter();
    entry.xattrs = xattrs.map(|(name, value)| (text_of(name), Base64Bytes(value.clone()))).collect();
    match header.kind {
        Kind::Symlink | Kind::HardLink => entry.link_name = text_of(&header.link),
        Kind::CharDevice | Kind::BlockDevice => {
            entry.dev_major = header.device_major;
            entry.dev_minor = header.device_minor;
        }
        Kind::File | Kind::Directory | Kind::Fifo => {}
    }
    entry
}

fn kind_of(kind: Kind) -> TocKind {
    match kind {
        Kind::File => TocKind::Reg,
        Kind::Directory => TocKind::Dir,
        Kind::Symlink => TocKind::Symlink,
        Kind::HardLink => TocKind::Hardlink,
        Kind::CharDevice => TocKind::Char,
        Kind::BlockDevice => TocKind::Block,
        Kind::Fifo => TocKind::Fifo,
    }
}
