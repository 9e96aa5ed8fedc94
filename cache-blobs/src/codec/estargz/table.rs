//! Entries of the table of contents that wait for an offset or a digest.

use std::collections::VecDeque;

use cache_core::{Digest, Error, ErrorKind, Result};

use super::toc_entry::TocEntry;
use super::toc_tar::{FinishedToc, TocTar};

/// The table of contents while the layer is written. Entries are written out, in their order, as soon as all is known of
/// them, so that only those of blocks under way are held, and those of the file under way.
#[derive(Debug)]
pub(super) struct Table {
    written: TocTar,
    /// The number of the first one in `waiting`.
    first: u64,
    waiting: VecDeque<Waiting>,
    /// Numbers of chunks whose place is not known yet.
    unplaced: VecDeque<u64>,
}

#[derive(Debug)]
struct Waiting {
    entry: TocEntry,
    /// What is not known yet.
    wants_offset: bool,
    wants_digest: bool,
    wants_chunk_digest: bool,
    /// The file's digest is that of its only chunk.
    only_chunk: bool,
}

/// What an entry waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Expect {
    /// Nothing.
    Nothing,
    /// Offset and digest of a chunk, the only one of its file.
    OnlyChunk,
    /// Offset and digest of a chunk, and digest of the file that begins with it.
    FirstChunk,
    /// Offset and digest of a chunk.
    FurtherChunk,
}

impl Table {
    pub(super) fn new() -> Self {
        Self { written: TocTar::new(), first: 0, waiting: VecDeque::new(), unplaced: VecDeque::new() }
    }

    /// Adds an entry; gives its number.
    pub(super) fn push(&mut self, entry: TocEntry, expect: Expect) -> Result<u64> {
        let number = self.first + self.waiting.len() as u64;
        let is_chunk = expect != Expect::Nothing;
        if !is_chunk && self.waiting.is_empty() {
            self.written.push(&entry)?;
            self.first += 1;
            return Ok(number);
        }
        if is_chunk {
            self.unplaced.push_back(number);
        }
        self.waiting.push_back(Waiting {
            entry,
            wants_offset: is_chunk,
            wants_digest: matches!(expect, Expect::OnlyChunk | Expect::FirstChunk),
            wants_chunk_digest: is_chunk,
            only_chunk: expect == Expect::OnlyChunk,
        });
        Ok(number)
    }

    /// The digest of the file that begins with the entry `number`.
    pub(super) fn set_digest(&mut self, number: u64, digest: Digest) {
        if let Some(waiting) = self.at(number) {
            waiting.entry.digest = Some(digest);
            waiting.wants_digest = false;
        }
    }

    /// The digest of the chunk `number`.
    pub(super) fn set_chunk_digest(&mut self, number: u64, digest: Digest) {
        if let Some(waiting) = self.at(number) {
            waiting.entry.chunk_digest = Some(digest);
            waiting.wants_chunk_digest = false;
            if waiting.only_chunk {
                self.set_digest(number, digest);
            }
        }
    }

    /// The place of the first chunk whose place is not known.
    pub(super) fn place(&mut self, offset: u64, digest: Option<Digest>) -> Result<()> {
        let number = self.unplaced.pop_front().ok_or_else(lost)?;
        let waiting = self.at(number).ok_or_else(lost)?;
        waiting.entry.offset = offset;
        waiting.wants_offset = false;
        if let Some(digest) = digest {
            self.set_chunk_digest(number, digest);
        }
        Ok(())
    }

    /// Writes out what is complete.
    pub(super) fn settle(&mut self) -> Result<()> {
        while let Some(front) = self.waiting.front() {
            if front.wants_offset || front.wants_digest || front.wants_chunk_digest {
                break;
            }
            self.written.push(&front.entry)?;
            self.waiting.pop_front();
            self.first += 1;
        }
        Ok(())
    }

    /// The table, of which nothing may be missing.
    pub(super) fn finish(mut self) -> Result<FinishedToc> {
        self.settle()?;
        if self.waiting.is_empty() { self.written.finish() } else { Err(lost()) }
    }

    fn at(&mut self, number: u64) -> Option<&mut Waiting> {
        let index = usize::try_from(number.checked_sub(self.first)?).ok()?;
        self.waiting.get_mut(index)
    }
}

fn lost() -> Error {
    Error::new(ErrorKind::Invalid, "encode eStargz", "a block whose notes are lost")
}
