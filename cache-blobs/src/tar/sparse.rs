//! The four ways in which GNU tar stores a sparse file: old `S` entries, and PAX formats 0.0, 0.1 and 1.0.

use std::io::Read;

use super::block::{self, Block, Dialect};
use super::decode::{Extended, SparseNumber};
use super::source::Source;
use super::sparse_map::{Piece, SparseMap};
use super::{Error, Limit, Place, Problem, TAR_BLOCK_BYTES, number, pax};

/// Bytes of a piece in an old GNU header: two fields of twelve.
const OLD_PIECE_BYTES: usize = 24;
/// Pieces in a continuation block of an old GNU header.
const OLD_PIECES_PER_BLOCK: usize = 21;
/// Digits of the largest 64-bit number.
const MAX_DIGITS: usize = 20;

/// What was found: the map, and how many stored bytes it took up itself.
pub(super) struct Found {
    pub(super) map: SparseMap,
    pub(super) map_bytes: u64,
    /// The real name, which the header replaces by a made-up one.
    pub(super) path: Option<Vec<u8>>,
}

/// Reads the sparse map of a regular file, if it has one. `stored` is the size in its header.
pub(super) fn find<R: Read>(
    source: &mut Source<R>,
    block: &Block,
    extended: &Extended,
    stored: u64,
    maximum: usize,
) -> Result<Option<Found>, Error> {
    let path = extended.value(b"GNU.sparse.name").map(<[u8]>::to_vec);
    if block.0[block::TYPE_FLAG] == b'S' {
        let map = old_gnu(source, block, stored, maximum)?;
        return Ok(Some(Found { map, map_bytes: 0, path: None }));
    }
    let problem = |source: &Source<R>| source.malformed(Problem::SparseMap);
    match (extended.value(b"GNU.sparse.major"), extended.value(b"GNU.sparse.minor")) {
        (Some(b"1"), Some(b"0")) => {
            let real_size = record_number(extended, b"GNU.sparse.realsize").ok_or_else(|| problem(source))?;
            let (pieces, map_bytes) = leading_map(source, stored, maximum)?;
            let map = SparseMap::new(pieces, real_size, stored - map_bytes).map_err(|which| source.malformed(which))?;
            Ok(Some(Found { map, map_bytes, path }))
        }
        (None, None) | (Some(b"0"), Some(b"0" | b"1")) => {
            let Some(pieces) = record_map(extended, maximum).map_err(|failure| failure.at(source, maximum))? else {
                return match extended.records.keys().any(|key| key.starts_with(pax::SPARSE_PREFIX)) {
                    true => Err(problem(source)),
                    false => Ok(None),
                };
            };
            let real_size = record_number(extended, b"GNU.sparse.size")
                .or_else(|| record_number(extended, b"GNU.sparse.realsize"))
                .ok_or_else(|| problem(source))?;
            let map = SparseMap::new(pieces, real_size, stored).map_err(|which| source.malformed(which))?;
            Ok(Some(Found { map, map_bytes: 0, path }))
        }
        _ => Err(problem(source)),
    }
}

enum Failure {
    TooMany,
    Invalid,
}

impl Failure {
    fn at<R: Read>(self, source: &Source<R>, maximum: usize) -> Error {
        match self {
            Self::TooMany => too_many(source.place(), maximum),
            Self::Invalid => source.malformed(Problem::SparseMap),
        }
    }
}

fn too_many(place: Place, maximum: usize) -> Error {
    Error::LimitExceeded { place, limit: Limit::SparsePieces, maximum: maximum as u64 }
}

fn record_number(extended: &Extended, key: &[u8]) -> Option<u64> {
    extended.value(key).and_then(pax::parse_decimal)
}

/// Formats 0.0 (repeated records) and 0.1 (one record with commas).
fn record_map(extended: &Extended, maximum: usize) -> Result<Option<Vec<Piece>>, Failure> {
    let numbers: Vec<u64> = if let Some(text) = extended.value(b"GNU.sparse.map") {
        if !extended.sparse_numbers.is_empty() {
            return Err(Failure::Invalid);
        }
        text.split(|byte| *byte == b',').map(pax::parse_decimal).collect::<Option<_>>().ok_or(Failure::Invalid)?
    } else if !extended.sparse_numbers.is_empty() || extended.value(b"GNU.sparse.numblocks").is_some() {
        let turns = [SparseNumber::Offset, SparseNumber::Length].into_iter().cycle();
        if extended.sparse_numbers.iter().zip(turns).any(|((which, _), turn)| *which != turn) {
            return Err(Failure::Invalid);
        }
        extended.sparse_numbers.iter().map(|(_, number)| *number).collect()
    } else {
        return Ok(None);
    };
    if numbers.len() / 2 > maximum {
        return Err(Failure::TooMany);
    }
    let told = record_number(extended, b"GNU.sparse.numblocks").unwrap_or(numbers.len() as u64 / 2);
    if !numbers.len().is_multiple_of(2) || told != numbers.len() as u64 / 2 {
        return Err(Failure::Invalid);
    }
    Ok(Some(numbers.chunks_exact(2).map(|pair| Piece { offset: pair[0], length: pair[1] }).collect()))
}

/// Format 1.0: decimal lines at the start of the contents, padded to a block.
fn leading_map<R: Read>(source: &mut Source<R>, stored: u64, maximum: usize) -> Result<(Vec<Piece>, u64), Error> {
    let mut lines = Lines { source, left: stored, block: Block::zeroed(), at: TAR_BLOCK_BYTES };
    let count = lines.number()?;
    if count > maximum as u64 {
        return Err(too_many(lines.source.place(), maximum));
    }
    let mut pieces = Vec::new();
    for _ in 0..count {
        pieces.push(Piece { offset: lines.number()?, length: lines.number()? });
    }
    let used = stored - lines.left;
    Ok((pieces, used))
}

struct Lines<'a, R> {
    source: &'a mut Source<R>,
    left: u64,
    block: Block,
    at: usize,
}

impl<R: Read> Lines<'_, R> {
    fn number(&mut self) -> Result<u64, Error> {
        let mut digits = Vec::new();
        loop {
            match self.byte()? {
                b'\n' => break,
                digit if digits.len() < MAX_DIGITS => digits.push(digit),
                _ => return Err(self.source.malformed(Problem::SparseMap)),
            }
        }
        pax::parse_decimal(&digits).ok_or_else(|| self.source.malformed(Problem::SparseMap))
    }

    fn byte(&mut self) -> Result<u8, Error> {
        if self.at == TAR_BLOCK_BYTES {
            self.left = self
                .left
                .checked_sub(TAR_BLOCK_BYTES as u64)
                .ok_or_else(|| self.source.malformed(Problem::SparseMap))?;
            self.block = self.source.block()?.ok_or_else(|| self.source.malformed(Problem::Truncated))?;
            self.at = 0;
        }
        let byte = self.block.0[self.at];
        self.at += 1;
        Ok(byte)
    }
}

/// Old GNU: four pieces in the header, more in continuation blocks that are not part of the contents.
fn old_gnu<R: Read>(source: &mut Source<R>, block: &Block, stored: u64, maximum: usize) -> Result<SparseMap, Error> {
    if block.dialect() != Dialect::Gnu {
        return Err(source.malformed(Problem::SparseMap));
    }
    let real_size = number::parse_unsigned(block.field(block::GNU_REAL_SIZE))
        .ok_or_else(|| source.malformed(Problem::SparseMap))?;
    let mut pieces = Vec::new();
    let mut complete =
        old_pieces(&mut pieces, block.field(block::GNU_SPARSE)).map_err(|which| source.malformed(which))?;
    let mut more = block.0[block::GNU_EXTENDED] != 0;
    while more {
        let next = source.block()?.ok_or_else(|| source.malformed(Problem::Truncated))?;
        let table = OLD_PIECES_PER_BLOCK * OLD_PIECE_BYTES;
        if !complete {
            complete = old_pieces(&mut pieces, next.field(0..table)).map_err(|which| source.malformed(which))?;
        }
        if pieces.len() > maximum {
            return Err(too_many(source.place(), maximum));
        }
        more = next.0[table] != 0;
        if complete && more {
            return Err(source.malformed(Problem::SparseMap));
        }
    }
    SparseMap::new(pieces, real_size, stored).map_err(|which| source.malformed(which))
}

/// Adds the pieces of a table; `true` when an empty slot ended it.
fn old_pieces(pieces: &mut Vec<Piece>, table: &[u8]) -> Result<bool, Problem> {
    for slot in table.chunks_exact(OLD_PIECE_BYTES) {
        if slot[0] == 0 || slot[12] == 0 {
            return Ok(true);
        }
        let (offset, length) = slot.split_at(12);
        pieces.push(Piece {
            offset: number::parse_unsigned(offset).ok_or(Problem::SparseMap)?,
            length: number::parse_unsigned(length).ok_or(Problem::SparseMap)?,
        });
    }
    Ok(false)
}
