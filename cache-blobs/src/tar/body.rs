//! The contents of the entry at which a reader stands.

use std::io::{BufRead, Read};

use super::source::{Source, at_most};
use super::sparse_map::SparseMap;
use super::{Error, Problem, TAR_BLOCK_BYTES};
use crate::content::Extent;

/// What is left of an entry's contents.
#[derive(Debug, Default)]
pub(super) struct Body {
    /// Bytes still in the archive.
    pub(super) stored: u64,
    /// Bytes after them, up to the next block.
    pub(super) padding: usize,
    map: Option<SparseMap>,
    piece: usize,
    /// Bytes of the file already given, holes included.
    position: u64,
}

impl Body {
    pub(super) fn new(stored: u64) -> Self {
        let padding = usize::try_from(padding(stored)).expect("padding is less than a block");
        Self { stored, padding, ..Self::default() }
    }

    /// The same contents laid out by a sparse map, whose own bytes were already read.
    pub(super) fn with_map(mut self, map: SparseMap, map_bytes: u64) -> Self {
        self.stored -= map_bytes;
        self.map = Some(map);
        self
    }

    pub(super) fn next_extent<R: Read>(&mut self, source: &mut Source<R>, buffer: &mut [u8]) -> Result<Extent, Error> {
        match self.run() {
            Run::End => Ok(Extent::End),
            Run::Hole(length) => {
                self.position += length;
                Ok(Extent::Hole(length))
            }
            Run::Data(length) => self.stored(source, buffer, length).map(Extent::Data),
        }
    }

    pub(super) fn read<R: Read>(&mut self, source: &mut Source<R>, buffer: &mut [u8]) -> Result<usize, Error> {
        match self.run() {
            Run::End => Ok(0),
            Run::Hole(length) => {
                let count = at_most(buffer.len(), length);
                buffer[..count].fill(0);
                self.position += count as u64;
                Ok(count)
            }
            Run::Data(length) => self.stored(source, buffer, length),
        }
    }

    /// Shows the next run of data to `take`, which says how much of it it takes; `None` where there is a hole, or the end.
    pub(super) fn lend<R: BufRead, T>(
        &mut self,
        source: &mut Source<R>,
        take: impl FnOnce(&[u8]) -> (usize, T),
    ) -> Result<Option<T>, Error> {
        let Run::Data(length) = self.run() else { return Ok(None) };
        let (taken, outcome) = source.lend(length, take)?;
        self.stored -= taken as u64;
        self.position += taken as u64;
        Ok(Some(outcome))
    }

    /// What stands at `position`.
    fn run(&mut self) -> Run {
        let Some(map) = &self.map else {
            return if self.stored == 0 { Run::End } else { Run::Data(self.stored) };
        };
        while map.pieces.get(self.piece).is_some_and(|piece| piece.offset + piece.length <= self.position) {
            self.piece += 1;
        }
        match map.pieces.get(self.piece) {
            Some(piece) if piece.offset > self.position => Run::Hole(piece.offset - self.position),
            Some(piece) => Run::Data(piece.offset + piece.length - self.position),
            None if map.real_size > self.position => Run::Hole(map.real_size - self.position),
            None => Run::End,
        }
    }

    fn stored<R: Read>(&mut self, source: &mut Source<R>, buffer: &mut [u8], length: u64) -> Result<usize, Error> {
        let count = at_most(buffer.len(), length);
        match source.read(&mut buffer[..count])? {
            0 => Err(source.malformed(Problem::Truncated)),
            read => {
                self.stored -= read as u64;
                self.position += read as u64;
                Ok(read)
            }
        }
    }
}

enum Run {
    Data(u64),
    Hole(u64),
    End,
}

/// Zero bytes between contents of `size` bytes and the next block.
pub(super) fn padding(size: u64) -> u64 {
    size.wrapping_neg() % TAR_BLOCK_BYTES as u64
}
