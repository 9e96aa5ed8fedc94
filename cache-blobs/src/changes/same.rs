//! Whether two files count as the same.
//!
//! Mirrors: containerd `continuity/fs` `sameFile`, BuildKit `util/overlay` `sameDirent`.

use super::tree::join;
use super::{Error, FileKind, Metadata, Operation, TreeEntry};
use crate::content::{BLOCK_BYTES, Content, Extent};

/// The only extended attribute that makes a difference: containerd neither compares nor packs another one.
pub(crate) const CAPABILITY: &[u8] = b"security.capability";

/// What metadata alone says of two files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Alike {
    /// They are one file.
    Identical,
    /// They count as the same, if their capabilities and perhaps their contents are.
    ByMetadata,
    No,
}

/// Compares metadata. Size and time of directories do not count.
pub(super) fn alike(lower: &Metadata, upper: &Metadata) -> Alike {
    if lower.identity == upper.identity {
        return Alike::Identical;
    }
    let kept = |file: &Metadata| (file.kind, file.mode, file.uid, file.gid, file.device_major, file.device_minor);
    let same = kept(lower) == kept(upper)
        && (lower.is_directory() || (lower.size, lower.modified) == (upper.size, upper.modified));
    if same { Alike::ByMetadata } else { Alike::No }
}

/// The capability of a file, if it has any. Few have, and the kernel lists names faster than it looks for this one.
pub(super) fn capability(entry: &TreeEntry) -> Result<Option<Vec<u8>>, Error> {
    match entry.xattr_names()?.iter().any(|name| name == CAPABILITY) {
        true => entry.xattr(CAPABILITY),
        false => Ok(None),
    }
}

/// Compares metadata first and reads contents only when both times lost their nanoseconds.
///
/// When both files have equal nanoseconds other than 0 they are taken for the same although nobody looked at their contents;
/// when only one has nanoseconds they differ. `above` is the path of the directory that they are in.
pub(super) fn is_same(above: &[u8], lower: &TreeEntry, upper: &TreeEntry) -> Result<bool, Error> {
    Ok(match alike(&lower.metadata, &upper.metadata) {
        Alike::Identical => true,
        Alike::ByMetadata => capability(lower)? == capability(upper)? && holds_same(above, lower, upper)?,
        Alike::No => false,
    })
}

/// Whether two files that are alike by metadata and capability hold the same, as far as that is asked.
pub(super) fn holds_same(above: &[u8], lower: &TreeEntry, upper: &TreeEntry) -> Result<bool, Error> {
    let old = &lower.metadata;
    if old.is_directory() || old.modified.nanos != 0 {
        return Ok(true);
    }
    match old.kind {
        FileKind::Symlink => Ok(lower.link_target()? == upper.link_target()?),
        FileKind::File if old.size > 0 => same_content(&join(above, &upper.name), lower, upper),
        _ => Ok(true),
    }
}

fn same_content(path: &[u8], lower: &TreeEntry, upper: &TreeEntry) -> Result<bool, Error> {
    let failed = |source| Error::io(Operation::Read, path, source);
    let (mut old, mut new) = (Cursor::new(lower.content()?), Cursor::new(upper.content()?));
    loop {
        old.fill().map_err(failed)?;
        new.fill().map_err(failed)?;
        let common = match (old.left(), new.left()) {
            (0, 0) => return Ok(true),
            (0, _) | (_, 0) => return Ok(false),
            (old, new) => old.min(new),
        };
        if !old.starts_like(&new, common) {
            return Ok(false);
        }
        old.advance(common);
        new.advance(common);
    }
}

/// The part of a content that is not compared yet.
struct Cursor {
    content: Box<dyn Content>,
    buffer: Vec<u8>,
    data: std::ops::Range<usize>,
    hole: u64,
}

impl Cursor {
    fn new(content: Box<dyn Content>) -> Self {
        Self { content, buffer: vec![0; BLOCK_BYTES], data: 0..0, hole: 0 }
    }

    fn fill(&mut self) -> std::io::Result<()> {
        if self.left() == 0 {
            match self.content.next_extent(&mut self.buffer)? {
                Extent::Data(count) => self.data = 0..count,
                Extent::Hole(length) => self.hole = length,
                Extent::End => {}
            }
        }
        Ok(())
    }

    fn left(&self) -> u64 {
        self.hole + self.data.len() as u64
    }

    fn starts_like(&self, other: &Self, count: u64) -> bool {
        match (self.known(count), other.known(count)) {
            (Some(one), Some(two)) => one == two,
            (Some(data), None) | (None, Some(data)) => data.iter().all(|byte| *byte == 0),
            (None, None) => true,
        }
    }

    /// The next bytes, unless they are a hole.
    fn known(&self, count: u64) -> Option<&[u8]> {
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        if self.hole > 0 { None } else { self.buffer[self.data.clone()].get(..count) }
    }

    fn advance(&mut self, count: u64) {
        if self.hole > 0 {
            self.hole -= count;
        } else {
            self.data.start += usize::try_from(count).expect("never more than the buffer holds");
        }
    }
}
