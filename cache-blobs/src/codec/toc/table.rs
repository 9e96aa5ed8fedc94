//! Entries of the table of contents that wait for an offset or a digest.

use std::collections::VecDeque;
use std::fmt::Debug;

use cache_core::{Digest, Error, ErrorKind, Result};

use super::entry::TocEntry;

/// Where the entries of a table of contents are written.
pub(in crate::codec) trait TocSink: Debug {
    /// Adds an entry.
    fn push(&mut self, entry: &TocEntry) -> Result<()>;
}

/// The table of contents while the layer is written. Entries are written out, in their order, as soon as all is known of
/// them, so that only those of blocks under way are held, and those of the file under way.
#[derive(Debug)]
pub(in crate::codec) struct Table<S> {
    written: S,
    /// The number of the first one in `waiting`.
    first: u64,
    waiting: VecDeque<Waiting>,
    /// The cuts whose place is not known yet.
    unplaced: VecDeque<Place>,
}

#[derive(Debug)]
struct Waiting {
    entry: TocEntry,
    /// How many facts are not known yet.
    missing: u32,
    digest_of: DigestOf,
}

/// What a cut is for the entry of that number.
#[derive(Clone, Copy, Debug)]
enum Place {
    Begin(u64),
    #[cfg(feature = "zstd-chunked")]
    End(u64),
}

/// What the digest of a chunk is a digest of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::codec) enum DigestOf {
    /// The chunk, one of several.
    Chunk,
    /// The file that has no other chunk, whose entry says nothing of chunks.
    File,
    /// Both.
    #[cfg(feature = "estargz")]
    ChunkAndFile,
}

impl<S: TocSink> Table<S> {
    /// A table that is written to `sink`.
    pub(in crate::codec) fn new(sink: S) -> Self {
        Self { written: sink, first: 0, waiting: VecDeque::new(), unplaced: VecDeque::new() }
    }

    /// Adds an entry that is complete.
    pub(in crate::codec) fn push(&mut self, entry: TocEntry) -> Result<()> {
        if self.waiting.is_empty() {
            self.written.push(&entry)?;
            self.first += 1;
        } else {
            self.waiting.push_back(Waiting { entry, missing: 0, digest_of: DigestOf::Chunk });
        }
        Ok(())
    }

    /// Adds the entry of a chunk that begins with the next cut, of whose facts `missing` are still missing: its place, its
    /// digest, and what else is to be [filled](Self::fill). Gives its number.
    pub(in crate::codec) fn push_chunk(&mut self, entry: TocEntry, missing: u32, digest_of: DigestOf) -> u64 {
        let number = self.first + self.waiting.len() as u64;
        self.unplaced.push_back(Place::Begin(number));
        self.waiting.push_back(Waiting { entry, missing, digest_of });
        number
    }

    /// Says that the next cut is the end of the file that begins with the entry `number`.
    #[cfg(feature = "zstd-chunked")]
    pub(in crate::codec) fn expect_end(&mut self, number: u64) {
        self.unplaced.push_back(Place::End(number));
    }

    /// Adds a missing fact to the entry `number`.
    pub(in crate::codec) fn fill(&mut self, number: u64, fact: impl FnOnce(&mut TocEntry)) {
        if let Some(waiting) = self.at(number) {
            fact(&mut waiting.entry);
            waiting.missing = waiting.missing.saturating_sub(1);
        }
    }

    /// The digest of the chunk `number`.
    pub(in crate::codec) fn set_chunk_digest(&mut self, number: u64, digest: Digest) {
        let Some(digest_of) = self.at(number).map(|waiting| waiting.digest_of) else { return };
        self.fill(number, |entry| {
            if digest_of != DigestOf::File {
                entry.chunk_digest = Some(digest);
            }
            if digest_of != DigestOf::Chunk {
                entry.digest = Some(digest);
            }
        });
    }

    /// The place of the first cut whose place is not known, and the digest of its chunk if that was taken.
    pub(in crate::codec) fn place(&mut self, offset: u64, digest: Option<Digest>) -> Result<()> {
        match self.unplaced.pop_front().ok_or_else(lost)? {
            Place::Begin(number) => {
                self.fill(number, |entry| entry.offset = offset);
                digest.into_iter().for_each(|digest| self.set_chunk_digest(number, digest));
            }
            #[cfg(feature = "zstd-chunked")]
            Place::End(number) => self.fill(number, |entry| entry.end_offset = offset),
        }
        Ok(())
    }

    /// Writes out what is complete.
    pub(in crate::codec) fn settle(&mut self) -> Result<()> {
        while let Some(front) = self.waiting.front() {
            if front.missing > 0 {
                break;
            }
            self.written.push(&front.entry)?;
            self.waiting.pop_front();
            self.first += 1;
        }
        Ok(())
    }

    /// The table, of which nothing may be missing.
    pub(in crate::codec) fn finish(mut self) -> Result<S> {
        self.settle()?;
        if self.waiting.is_empty() { Ok(self.written) } else { Err(lost()) }
    }

    fn at(&mut self, number: u64) -> Option<&mut Waiting> {
        let index = usize::try_from(number.checked_sub(self.first)?).ok()?;
        self.waiting.get_mut(index)
    }
}

fn lost() -> Error {
    Error::new(ErrorKind::Invalid, "encode", "a block whose notes are lost")
}
