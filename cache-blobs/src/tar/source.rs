//! The reader below: counts its bytes, and reads whole blocks.

use std::io::{BufRead, ErrorKind, Read};
use std::sync::Arc;

use super::block::Block;
use super::{Error, Place, Problem, TAR_BLOCK_BYTES};
use crate::content::read_some;

/// Bytes per read while skipping contents that nobody wants.
const SKIP_BYTES: usize = 32 * 1024;

#[derive(Debug)]
pub(super) struct Source<R> {
    pub(super) inner: R,
    pub(super) offset: u64,
}

impl<R: Read> Source<R> {
    pub(super) fn place(&self) -> Place {
        Place { offset: self.offset, path: None }
    }

    pub(super) fn malformed(&self, problem: Problem) -> Error {
        Error::Malformed { place: self.place(), problem }
    }

    /// What one read gives; 0 at the end.
    pub(super) fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Error> {
        let count = read_some(&mut self.inner, buffer)
            .map_err(|source| Error::Read { place: self.place(), source: Arc::new(source) })?;
        self.offset += count as u64;
        Ok(count)
    }

    /// The next block, or `None` at a clean end.
    pub(super) fn block(&mut self) -> Result<Option<Block>, Error> {
        let mut block = Block::zeroed();
        let mut filled = 0;
        while filled < TAR_BLOCK_BYTES {
            match self.read(&mut block.0[filled..])? {
                0 if filled == 0 => return Ok(None),
                0 => return Err(self.malformed(Problem::Truncated)),
                count => filled += count,
            }
        }
        Ok(Some(block))
    }

    /// Passes over exactly `count` bytes.
    pub(super) fn skip(&mut self, mut count: u64) -> Result<(), Error> {
        let mut buffer = [0; SKIP_BYTES];
        while count > 0 {
            let want = usize::try_from(count).map_or(SKIP_BYTES, |count| count.min(SKIP_BYTES));
            match self.read(&mut buffer[..want])? {
                0 => return Err(self.malformed(Problem::Truncated)),
                read => count -= read as u64,
            }
        }
        Ok(())
    }

    /// Exactly `count` bytes, allocated as they arrive.
    pub(super) fn bytes(&mut self, count: u64) -> Result<Vec<u8>, Error> {
        let mut bytes = Vec::new();
        let read = (&mut self.inner).take(count).read_to_end(&mut bytes);
        self.offset += bytes.len() as u64;
        match read {
            Ok(_) if bytes.len() as u64 == count => Ok(bytes),
            Ok(_) => Err(self.malformed(Problem::Truncated)),
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => Err(self.malformed(Problem::Truncated)),
            Err(error) => Err(Error::Read { place: self.place(), source: Arc::new(error) }),
        }
    }
}

impl<R: BufRead> Source<R> {
    /// Shows the next bytes that are there, at most `limit`, to `take`, which says how many of them it takes; more are all. There must be some.
    pub(super) fn lend<T>(&mut self, limit: u64, take: impl FnOnce(&[u8]) -> (usize, T)) -> Result<(usize, T), Error> {
        let place = self.place();
        let failed = |source| Error::Read { place, source: Arc::new(source) };
        let ready = loop {
            match self.inner.fill_buf() {
                Ok(bytes) => break bytes.len(),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(failed(error)),
            }
        };
        if ready == 0 {
            return Err(self.malformed(Problem::Truncated));
        }
        // They are there, so that nothing is read.
        let bytes = self.inner.fill_buf().map_err(failed)?;
        let bytes = &bytes[..at_most(bytes.len(), limit)];
        let most = bytes.len();
        let (taken, outcome) = take(bytes);
        let taken = taken.min(most);
        self.inner.consume(taken);
        self.offset += taken as u64;
        Ok((taken, outcome))
    }
}

/// The smaller of both.
pub(super) fn at_most(count: usize, length: u64) -> usize {
    usize::try_from(length).map_or(count, |length| length.min(count))
}
