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
    capability_among(&entry.xattr_names()?, entry)
}

fn capability_among(names: &[Vec<u8>], entry: &TreeEntry) -> Result<Option<Vec<u8>>, Error> {
    match names.iter().any(|name| name == CAPABILITY) {
        true => entry.xattr(CAPABILITY),
        false => Ok(None),
    }
}

/// Whether files that are alike and have this metadata are opened to be compared. That tells their attributes, too.
pub(super) fn is_opened(metadata: &Metadata) -> bool {
    metadata.kind == FileKind::File && metadata.size > 0 && metadata.modified.nanos == 0
}

/// Compares metadata first and reads contents only when both times lost their nanoseconds.
///
/// When both files have equal nanoseconds other than 0 they are taken for the same although nobody looked at their contents;
/// when only one has nanoseconds they differ. `above` is the path of the directory that they are in.
pub(super) fn is_same(above: &[u8], lower: &TreeEntry, upper: &TreeEntry) -> Result<bool, Error> {
    Ok(match alike(&lower.metadata, &upper.metadata) {
        Alike::Identical => true,
        Alike::ByMetadata if is_opened(&lower.metadata) => is_same_opened(above, lower, upper)?,
        Alike::ByMetadata => capability(lower)? == capability(upper)? && leads_to_same(lower, upper)?,
        Alike::No => false,
    })
}

/// Whether two links that are alike by metadata and capability have one target, as far as that is asked.
pub(super) fn leads_to_same(lower: &TreeEntry, upper: &TreeEntry) -> Result<bool, Error> {
    let Metadata { kind, modified, .. } = &lower.metadata;
    Ok(*kind != FileKind::Symlink || modified.nanos != 0 || lower.link_target()? == upper.link_target()?)
}

/// Whether two files for which [`is_opened`] holds have the same capability and contents.
pub(super) fn is_same_opened(above: &[u8], lower: &TreeEntry, upper: &TreeEntry) -> Result<bool, Error> {
    let (old, new) = (lower.file()?, upper.file()?);
    let same = capability_among(&old.xattr_names, lower)? == capability_among(&new.xattr_names, upper)?;
    Ok(same && same_content(&join(above, &upper.name), old.content, new.content)?)
}

fn same_content(path: &[u8], old: Box<dyn Content>, new: Box<dyn Content>) -> Result<bool, Error> {
    let failed = |source| Error::io(Operation::Read, path, source);
    let (mut old, mut new) = (Cursor::new(old), Cursor::new(new));
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
