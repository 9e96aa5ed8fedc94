//! The entries of a tar: where they are, and what they need before them.

use std::io::Read;
use std::ops::Range;

use cache_core::{Error, ErrorKind, Result};

use super::names::{Name, Names};
use super::{NO_PREFETCH_LANDMARK, PREFETCH_LANDMARK};
use crate::codec::estargz::TOC_NAME;
use crate::codec::failure::error_of_io;
use crate::content::read_some;
use crate::failure::archive_kind;
use crate::layer::WHITEOUT_PREFIX;
use crate::tar::{self, Header, Kind, ReadLimits, Scanned, Scanner, TAR_BLOCK_BYTES};

/// Bytes of tar that are read at a time.
const BUFFER_BYTES: usize = 128 * 1024;

/// The entries of a tar, by number and by name.
#[derive(Debug)]
pub(super) struct Archive {
    entries: Vec<Entry>,
    names: Names,
    /// Where the next entry begins.
    next: u64,
}

#[derive(Debug)]
struct Entry {
    name: Name,
    /// The bytes of all its headers, its contents, and its padding.
    range: Range<u64>,
    /// The name that it repeats, if it is a hard link.
    link: Option<Name>,
    is_directory: bool,
    /// Something behind it is in it, or is a hard link to it.
    is_needed: bool,
}

impl Archive {
    /// Reads all of `tar`.
    ///
    /// # Errors
    /// `Corrupt` for what is no tar; `Unsupported` for a sparse file, and for a name that another entry needs and that means
    /// something else later; `LimitExceeded`; what reading gives.
    pub(super) fn read(mut tar: impl Read, index_bytes: u64) -> Result<Self> {
        let mut archive = Self { entries: Vec::new(), names: Names::new(index_bytes), next: 0 };
        let mut scanner = Scanner::new(ReadLimits::default());
        let mut buffer = vec![0; BUFFER_BYTES];
        let mut offset = 0_u64;
        loop {
            let count = read_some(&mut tar, &mut buffer).map_err(|error| error_of_io("read", "a tar", error))?;
            let mut rest = buffer.get(..count).unwrap_or_default();
            if rest.is_empty() {
                break;
            }
            offset += count as u64;
            while let Some(scanned) = scanner.step(&mut rest).map_err(tar_failure)? {
                if let Scanned::Entry(entry) = scanned {
                    archive.add(&entry.header, offset - rest.len() as u64)?;
                }
            }
        }
        scanner.finish().map_err(tar_failure)?;
        // The last padding may be missing.
        archive.entries.last_mut().into_iter().for_each(|last| last.range.end = last.range.end.min(offset));
        Ok(archive)
    }

    /// How many entries there are.
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// The name that `path` means, if an entry has it or is below it.
    pub(super) fn find(&self, path: &[u8]) -> Option<Name> {
        self.names.find(path)
    }

    /// The last entry that has `name`.
    pub(super) fn entry(&self, name: Name) -> Option<usize> {
        self.names.entry(name)
    }

    /// The bytes of `entry` in the tar, unless a later one has its name.
    pub(super) fn kept(&self, entry: usize) -> Option<&Range<u64>> {
        let found = self.entries.get(entry)?;
        (self.names.entry(found.name) == Some(entry)).then_some(&found.range)
    }

    /// What has to be in front of `entry`: the directory that it is in, the whiteout that would remove it, and the file that
    /// it is a hard link to.
    pub(super) fn needs(&self, entry: usize) -> [Option<usize>; 3] {
        let Some(entry) = self.entries.get(entry) else { return [None; 3] };
        let whiteout = self.names.entry_beside(entry.name, WHITEOUT_PREFIX);
        [self.names.entry_above(entry.name), whiteout, entry.link.and_then(|link| self.names.entry(link))]
    }

    /// Adds the entry whose headers end at `headers_end`.
    fn add(&mut self, header: &Header, headers_end: u64) -> Result<()> {
        let padded = header.size.checked_next_multiple_of(TAR_BLOCK_BYTES as u64);
        let end = padded.and_then(|bytes| headers_end.checked_add(bytes));
        let end = end.ok_or_else(|| Error::new(ErrorKind::Corrupt, "reorder", "a tar with an entry of no end"))?;
        let range = std::mem::replace(&mut self.next, end)..end;
        let name = self.names.add(&header.path)?;
        // What an earlier conversion added.
        let added = [PREFETCH_LANDMARK, NO_PREFETCH_LANDMARK, TOC_NAME];
        if added.iter().any(|added| self.names.is_in_root(name, added)) {
            return Ok(());
        }
        let link = if header.kind == Kind::HardLink { Some(self.names.add(&header.link)?) } else { None };
        let linked = link.and_then(|link| self.names.entry(link));
        for needed in [self.names.entry_above(name), linked].into_iter().flatten() {
            self.entries.get_mut(needed).into_iter().for_each(|entry| entry.is_needed = true);
        }
        let is_directory = header.kind == Kind::Directory;
        let before = self.names.set_entry(name, self.entries.len()).and_then(|before| self.entries.get(before));
        if before.is_some_and(|before| before.is_needed && !(before.is_directory && is_directory)) {
            let path = String::from_utf8_lossy(&header.path);
            let what = format_args!("a tar with {} again, behind what needs the first one", path.escape_debug());
            return Err(Error::new(ErrorKind::Unsupported, "reorder", what));
        }
        self.entries.push(Entry { name, range, link, is_directory, is_needed: false });
        Ok(())
    }
}

fn tar_failure(error: tar::Error) -> Error {
    Error::new(archive_kind(&error), "reorder", "a tar").with_source(error)
}
