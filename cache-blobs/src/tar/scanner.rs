//! Entries of an archive that passes by in pieces, for those who look on while it goes elsewhere.

use super::block::{self, Block};
use super::body::padding;
use super::decode::{DecodeError, Extended, decode, parse_records};
use super::reader::{check_global, in_order, long_name_of, malformed};
use super::{Error, Header, Limit, Place, Problem, ReadLimits, TAR_BLOCK_BYTES, number, pax};

/// Finds entries in the pieces of an archive, which may be cut anywhere. It is as strict as a [`Reader`](super::Reader), and
/// besides refuses sparse files, whose stored bytes are not their contents.
#[derive(Debug)]
pub(crate) struct Scanner {
    limits: ReadLimits,
    state: State,
    /// Where the current header block, long name or payload began.
    place: Place,
    offset: u64,
    extended: Extended,
}

/// What comes next in the archive.
#[derive(Debug)]
pub(crate) enum Scanned<'a> {
    /// The headers of an entry are over. Its payload follows, [`Header::size`] bytes, if it has one.
    Entry(Box<ScannedEntry>),
    /// More of the payload: all of it that is in the piece.
    Payload(&'a [u8]),
}

/// What an archive says of an entry.
#[derive(Debug)]
pub(crate) struct ScannedEntry {
    pub(crate) header: Header,
    /// The mode as stored, with the bits of the file's kind where the archive has them.
    pub(crate) stored_mode: u64,
}

#[derive(Debug)]
enum State {
    /// Filling a header block.
    Header(Vec<u8>),
    /// Filling the contents of an extended header or a long name, announced by the block.
    Extended {
        block: Box<Block>,
        bytes: Vec<u8>,
        size: usize,
    },
    Payload {
        left: u64,
        padding: u64,
    },
    Padding(u64),
    /// After one zero block: filling the second.
    End(Vec<u8>),
    /// Whatever follows the archive.
    Ended,
}

impl Scanner {
    /// A scanner at the beginning of an archive.
    pub(crate) fn new(limits: ReadLimits) -> Self {
        let place = Place::default();
        Self { limits, state: State::header(), place, offset: 0, extended: Extended::default() }
    }

    /// The next thing in `piece`, from which it takes what it has seen; `None` at its end.
    ///
    /// # Errors
    /// As [`Reader::next_entry`](super::Reader::next_entry). After an error the scanner must not be used.
    pub(crate) fn step<'a>(&mut self, piece: &mut &'a [u8]) -> Result<Option<Scanned<'a>>, Error> {
        while !piece.is_empty() {
            match &mut self.state {
                State::Header(buffer) => {
                    let full = fill(buffer, TAR_BLOCK_BYTES, piece, &mut self.offset);
                    if let Some(block) = full.then(|| Block::of(buffer)).flatten()
                        && let Some(entry) = self.header(block)?
                    {
                        return Ok(Some(Scanned::Entry(Box::new(entry))));
                    }
                }
                State::Extended { block, bytes, size } => {
                    let stored = *size + usize::try_from(padding(*size as u64)).unwrap_or_default();
                    if fill(bytes, stored, piece, &mut self.offset) {
                        bytes.truncate(*size);
                        let (type_flag, bytes) = (block.type_flag(), std::mem::take(bytes));
                        self.state = State::header();
                        self.extended(type_flag, bytes)?;
                    }
                }
                State::Payload { left, padding } => {
                    let payload = take(piece, *left, &mut self.offset);
                    *left -= payload.len() as u64;
                    if *left == 0 {
                        self.state = State::after_payload(*padding);
                    }
                    return Ok(Some(Scanned::Payload(payload)));
                }
                State::Padding(left) => {
                    *left -= take(piece, *left, &mut self.offset).len() as u64;
                    if *left == 0 {
                        self.state = State::header();
                    }
                }
                State::End(buffer) => {
                    if fill(buffer, TAR_BLOCK_BYTES, piece, &mut self.offset) {
                        if buffer.iter().any(|byte| *byte != 0) {
                            return Err(malformed(&self.place, Problem::Trailer));
                        }
                        self.state = State::Ended;
                    }
                }
                State::Ended => {
                    take(piece, u64::MAX, &mut self.offset);
                }
            }
        }
        Ok(None)
    }

    /// Says that there are no more pieces. Some writers leave out the last padding, or the zero blocks.
    ///
    /// # Errors
    /// [`Error::Malformed`] if the archive ends inside of an entry.
    pub(crate) fn finish(&self) -> Result<(), Error> {
        let complete = match &self.state {
            State::Header(buffer) => buffer.is_empty() && self.extended.is_empty(),
            State::Padding(_) | State::Ended => true,
            State::End(buffer) => buffer.is_empty(),
            State::Extended { .. } | State::Payload { .. } => false,
        };
        if complete { Ok(()) } else { Err(malformed(&self.place, Problem::Truncated)) }
    }

    /// Whether the archive's end was seen, so that nothing more comes of it.
    #[cfg(feature = "zstd-chunked")]
    pub(crate) fn is_ended(&self) -> bool {
        matches!(self.state, State::Ended)
    }

    /// A whole header block: the entry, if it is not an extension of the next one.
    fn header(&mut self, block: Block) -> Result<Option<ScannedEntry>, Error> {
        self.place = Place { offset: self.offset - TAR_BLOCK_BYTES as u64, path: None };
        if block.is_zero() {
            in_order(self.extended.is_empty(), &self.place)?;
            self.state = State::End(Vec::with_capacity(TAR_BLOCK_BYTES));
            return Ok(None);
        }
        if !block.checksum_matches() {
            return Err(malformed(&self.place, Problem::Checksum));
        }
        if matches!(block.type_flag(), b'x' | b'g' | b'L' | b'K') {
            let size = number::parse_unsigned(block.field(block::SIZE));
            let size = size.ok_or_else(|| malformed(&self.place, Problem::Number))?;
            let maximum = self.limits.header_bytes;
            let size = usize::try_from(size).ok().filter(|_| size <= maximum.saturating_sub(self.extended.bytes));
            let size = size.ok_or_else(|| self.exceeded(Limit::HeaderBytes, maximum))?;
            if size == 0 {
                self.state = State::header();
                self.extended(block.type_flag(), Vec::new())?;
            } else {
                self.state = State::Extended { block: Box::new(block), bytes: Vec::new(), size };
            }
            return Ok(None);
        }
        self.entry(&block).map(Some)
    }

    /// The contents of an extended header or long name.
    fn extended(&mut self, type_flag: u8, bytes: Vec<u8>) -> Result<(), Error> {
        let length = bytes.len() as u64;
        let extended = &self.extended;
        match type_flag {
            b'x' => {
                in_order(extended.is_empty(), &self.place)?;
                self.extended = parse_records(&bytes, &self.limits, &self.place)?;
                self.extended.bytes = length;
            }
            b'g' => {
                in_order(extended.is_empty(), &self.place)?;
                check_global(&parse_records(&bytes, &self.limits, &self.place)?, &self.place)?;
            }
            b'L' => {
                in_order(!extended.has_records && extended.long_path.is_none(), &self.place)?;
                self.extended.long_path = Some(long_name_of(bytes, &self.place)?);
                self.extended.bytes += length;
            }
            _ => {
                in_order(!extended.has_records && extended.long_link.is_none(), &self.place)?;
                self.extended.long_link = Some(long_name_of(bytes, &self.place)?);
                self.extended.bytes += length;
            }
        }
        Ok(())
    }

    fn entry(&mut self, block: &Block) -> Result<ScannedEntry, Error> {
        let extended = std::mem::take(&mut self.extended);
        let header = decode(block, &extended).map_err(|error| match error {
            DecodeError::Problem(problem) => malformed(&self.place, problem),
            DecodeError::Unsupported(type_flag) => Error::Unsupported { place: self.place.clone(), type_flag },
        })?;
        self.place.path = Some(header.path.clone());
        let is_sparse = block.type_flag() == b'S'
            || !extended.sparse_numbers.is_empty()
            || extended.records.keys().any(|key| key.starts_with(pax::SPARSE_PREFIX));
        if is_sparse {
            return Err(Error::Unsupported { place: self.place.clone(), type_flag: b'S' });
        }
        let maximum = self.limits.path_bytes;
        if header.path.len() > maximum || header.link.len() > maximum {
            return Err(self.exceeded(Limit::PathBytes, maximum as u64));
        }
        let stored_mode = number::parse_unsigned(block.field(block::MODE));
        let stored_mode = stored_mode.ok_or_else(|| malformed(&self.place, Problem::Number))?;
        self.state = match header.size {
            0 => State::header(),
            size => State::Payload { left: size, padding: padding(size) },
        };
        Ok(ScannedEntry { header, stored_mode })
    }

    fn exceeded(&self, limit: Limit, maximum: u64) -> Error {
        Error::LimitExceeded { place: self.place.clone(), limit, maximum }
    }
}

impl State {
    fn header() -> Self {
        Self::Header(Vec::with_capacity(TAR_BLOCK_BYTES))
    }

    fn after_payload(padding: u64) -> Self {
        if padding == 0 { Self::header() } else { Self::Padding(padding) }
    }
}

/// Takes at most `count` bytes off `piece`.
fn take<'a>(piece: &mut &'a [u8], count: u64, offset: &mut u64) -> &'a [u8] {
    let count = usize::try_from(count).map_or(piece.len(), |count| count.min(piece.len()));
    let (taken, rest) = piece.split_at(count);
    *piece = rest;
    *offset += count as u64;
    taken
}

/// Fills `buffer` up to `size` bytes from `piece`; whether it is full.
fn fill(buffer: &mut Vec<u8>, size: usize, piece: &mut &[u8], offset: &mut u64) -> bool {
    buffer.extend_from_slice(take(piece, (size - buffer.len()) as u64, offset));
    buffer.len() == size
}
