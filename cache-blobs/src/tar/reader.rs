//! The strict reader.

use std::io::Read;

use super::block::{self, Block};
use super::body::{Body, padding};
use super::decode::{DecodeError, Extended, decode, parse_records};
use super::source::Source;
use super::{Entry, Error, Header, Kind, Limit, Place, Problem, ReadLimits, number, pax, sparse};

/// Reads an archive entry by entry.
///
/// After an error every further call gives the same error.
#[derive(Debug)]
pub struct Reader<R> {
    pub(super) source: Source<R>,
    limits: ReadLimits,
    pub(super) body: Body,
    state: State,
}

#[derive(Debug)]
enum State {
    Entries,
    Ended,
    Failed(Error),
}

impl<R: Read> Reader<R> {
    /// Reads from `inner` under the default [`ReadLimits`].
    pub fn new(inner: R) -> Self {
        Self::with_limits(inner, ReadLimits::default())
    }

    /// Reads from `inner` under other limits.
    pub fn with_limits(inner: R, limits: ReadLimits) -> Self {
        let source = Source { inner, offset: 0 };
        Self { source, limits, body: Body::default(), state: State::Entries }
    }

    /// The next entry, or `None` after the last. What was not read of the entry before is skipped.
    ///
    /// The archive ends with two zero blocks or where its bytes end; what follows the blocks is not looked at.
    ///
    /// # Errors
    /// [`Error::Read`], [`Error::Malformed`], [`Error::LimitExceeded`], [`Error::Unsupported`].
    pub fn next_entry(&mut self) -> Result<Option<Entry<'_, R>>, Error> {
        match &self.state {
            State::Entries => {}
            State::Ended => return Ok(None),
            State::Failed(error) => return Err(error.clone()),
        }
        match self.advance() {
            Ok(Some(header)) => Ok(Some(Entry::new(self, header))),
            Ok(None) => {
                self.state = State::Ended;
                Ok(None)
            }
            Err(error) => Err(self.fail(error)),
        }
    }

    /// Bytes read so far.
    pub fn offset(&self) -> u64 {
        self.source.offset
    }

    /// Reads to the end of the underlying reader, and gives the bytes read in all.
    ///
    /// A digest of the whole stream needs this: archives may be followed by anything.
    ///
    /// # Errors
    /// [`Error::Read`].
    pub fn drain(&mut self) -> Result<u64, Error> {
        let mut buffer = [0; 32 * 1024];
        while self.read_trailing(&mut buffer)? > 0 {}
        Ok(self.source.offset)
    }

    /// One read of what follows the archive; 0 at the end. For callers of [`drain`](Self::drain) with a limit.
    ///
    /// # Errors
    /// [`Error::Read`].
    pub fn read_trailing(&mut self, buffer: &mut [u8]) -> Result<usize, Error> {
        self.source.read(buffer)
    }

    /// The underlying reader, wherever it stands.
    pub fn into_inner(self) -> R {
        self.source.inner
    }

    pub(super) fn fail(&mut self, error: Error) -> Error {
        self.state = State::Failed(error.clone());
        error
    }

    fn advance(&mut self) -> Result<Option<Header>, Error> {
        self.finish_body()?;
        let mut extended = Extended::default();
        loop {
            let place = self.source.place();
            let Some(block) = self.header_block(&extended, &place)? else {
                return Ok(None);
            };
            match block.0[block::TYPE_FLAG] {
                b'x' => {
                    in_order(extended.is_empty(), &place)?;
                    let bytes = self.extended_bytes(&block, &extended, &place)?;
                    extended = parse_records(&bytes, &self.limits, &place)?;
                    extended.bytes = bytes.len() as u64;
                }
                b'g' => {
                    in_order(extended.is_empty(), &place)?;
                    let bytes = self.extended_bytes(&block, &extended, &place)?;
                    check_global(&parse_records(&bytes, &self.limits, &place)?, &place)?;
                }
                b'L' => {
                    in_order(!extended.has_records && extended.long_path.is_none(), &place)?;
                    extended.long_path = Some(self.long_name(&block, &mut extended.bytes, &place)?);
                }
                b'K' => {
                    in_order(!extended.has_records && extended.long_link.is_none(), &place)?;
                    extended.long_link = Some(self.long_name(&block, &mut extended.bytes, &place)?);
                }
                _ => return self.main(&block, &extended, place).map(Some),
            }
        }
    }

    /// The next header block with its checksum verified, or `None` at the end of the archive.
    fn header_block(&mut self, extended: &Extended, place: &Place) -> Result<Option<Block>, Error> {
        let block = match self.source.block()? {
            Some(block) if !block.is_zero() => block,
            None => {
                return if extended.is_empty() { Ok(None) } else { Err(malformed(place, Problem::Truncated)) };
            }
            Some(_) => {
                in_order(extended.is_empty(), place)?;
                return match self.source.block()? {
                    Some(second) if !second.is_zero() => Err(malformed(place, Problem::Trailer)),
                    _ => Ok(None),
                };
            }
        };
        if block.checksum_matches() { Ok(Some(block)) } else { Err(malformed(place, Problem::Checksum)) }
    }

    /// The contents of an extended header or long name, within the limit for one entry.
    fn extended_bytes(&mut self, block: &Block, extended: &Extended, place: &Place) -> Result<Vec<u8>, Error> {
        let size = number::parse_unsigned(block.field(block::SIZE)).ok_or_else(|| malformed(place, Problem::Number))?;
        let maximum = self.limits.header_bytes;
        if size > maximum.saturating_sub(extended.bytes) {
            return Err(Error::LimitExceeded { place: place.clone(), limit: Limit::HeaderBytes, maximum });
        }
        let bytes = self.source.bytes(size)?;
        self.source.skip(padding(size))?;
        Ok(bytes)
    }

    fn long_name(&mut self, block: &Block, total: &mut u64, place: &Place) -> Result<Vec<u8>, Error> {
        let before = Extended { bytes: *total, ..Extended::default() };
        let name = self.extended_bytes(block, &before, place)?;
        *total += name.len() as u64;
        long_name_of(name, place)
    }

    /// Decodes a main header and sets up its contents.
    fn main(&mut self, block: &Block, extended: &Extended, mut place: Place) -> Result<Header, Error> {
        let mut header = decode(block, extended).map_err(|error| match error {
            DecodeError::Problem(problem) => malformed(&place, problem),
            DecodeError::Unsupported(type_flag) => Error::Unsupported { place: place.clone(), type_flag },
        })?;
        let mut body = Body::new(header.size);
        if header.kind == Kind::File {
            let maximum = self.limits.sparse_pieces;
            if let Some(found) = sparse::find(&mut self.source, block, extended, header.size, maximum)? {
                header.size = found.map.real_size;
                header.path = found.path.unwrap_or(header.path);
                body = body.with_map(found.map, found.map_bytes);
            }
        }
        place.path = Some(header.path.clone());
        let maximum = self.limits.path_bytes;
        if header.path.len() > maximum || header.link.len() > maximum {
            return Err(Error::LimitExceeded { place, limit: Limit::PathBytes, maximum: maximum as u64 });
        }
        self.body = body;
        Ok(header)
    }

    /// Passes over what is left of the contents. Some writers leave the last padding out.
    fn finish_body(&mut self) -> Result<(), Error> {
        self.source.skip(std::mem::take(&mut self.body.stored))?;
        let mut left = std::mem::take(&mut self.body.padding);
        let mut buffer = [0; super::TAR_BLOCK_BYTES];
        while left > 0 {
            match self.source.read(&mut buffer[..left])? {
                0 => break,
                count => left -= count,
            }
        }
        self.body = Body::default();
        Ok(())
    }
}

/// The name in the contents of a GNU long name.
pub(super) fn long_name_of(mut name: Vec<u8>, place: &Place) -> Result<Vec<u8>, Error> {
    while name.last() == Some(&0) {
        name.pop();
    }
    if name.contains(&0) { Err(malformed(place, Problem::NulInName)) } else { Ok(name) }
}

pub(super) fn malformed(place: &Place, problem: Problem) -> Error {
    Error::Malformed { place: place.clone(), problem }
}

pub(super) fn in_order(holds: bool, place: &Place) -> Result<(), Error> {
    if holds { Ok(()) } else { Err(malformed(place, Problem::HeaderOrder)) }
}

/// Global headers are ignored, as containerd does, so one that would matter to another program is refused.
pub(super) fn check_global(global: &Extended, place: &Place) -> Result<(), Error> {
    let matters = |key: &[u8]| matches!(key, pax::PATH | pax::LINK | pax::SIZE) || key.starts_with(pax::SPARSE_PREFIX);
    if global.records.keys().any(|key| matters(key)) || !global.sparse_numbers.is_empty() {
        return Err(malformed(place, Problem::GlobalRecord));
    }
    Ok(())
}
