//! From header blocks to a [`Header`].

use std::collections::BTreeMap;

use super::block::{self, Block, Dialect};
use super::reader::malformed;
use super::{Error, Header, Kind, Limit, Place, Problem, ReadLimits, Timestamp, number, pax};

/// What stood in front of a header block and belongs to it.
#[derive(Debug, Default)]
pub(super) struct Extended {
    pub(super) has_records: bool,
    pub(super) records: BTreeMap<Vec<u8>, Vec<u8>>,
    /// `GNU.sparse.offset` and `GNU.sparse.numbytes` of format 0.0, the only keys that repeat, in their order.
    pub(super) sparse_numbers: Vec<(SparseNumber, u64)>,
    pub(super) long_path: Option<Vec<u8>>,
    pub(super) long_link: Option<Vec<u8>>,
    pub(super) bytes: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SparseNumber {
    Offset,
    Length,
}

impl Extended {
    pub(super) fn is_empty(&self) -> bool {
        !self.has_records && self.long_path.is_none() && self.long_link.is_none()
    }

    /// A record's value; an empty one means that the record is taken back.
    pub(super) fn value(&self, key: &[u8]) -> Option<&[u8]> {
        self.records.get(key).map(Vec::as_slice).filter(|value| !value.is_empty())
    }
}

/// Parses the records of the extended header at `place`.
pub(super) fn parse_records(mut data: &[u8], limits: &ReadLimits, place: &Place) -> Result<Extended, Error> {
    let exceeded =
        |limit, maximum: usize| Error::LimitExceeded { place: place.clone(), limit, maximum: maximum as u64 };
    let broken = |problem| malformed(place, problem);
    let mut extended = Extended { has_records: true, ..Extended::default() };
    let mut count = 0;
    while !data.is_empty() {
        let pax::Record { key, value, rest } = pax::take_record(data).map_err(broken)?;
        data = rest;
        if key.len() > limits.key_bytes {
            return Err(exceeded(Limit::KeyBytes, limits.key_bytes));
        }
        let repeated = match key {
            b"GNU.sparse.offset" => Some(SparseNumber::Offset),
            b"GNU.sparse.numbytes" => Some(SparseNumber::Length),
            _ => None,
        };
        if let Some(which) = repeated {
            let number = pax::parse_decimal(value).ok_or_else(|| broken(Problem::SparseMap))?;
            extended.sparse_numbers.push((which, number));
            continue;
        }
        count += 1;
        if count > limits.records {
            return Err(exceeded(Limit::Records, limits.records));
        }
        if extended.records.insert(key.to_vec(), value.to_vec()).is_some() {
            return Err(broken(Problem::DuplicateKey));
        }
    }
    Ok(extended)
}

/// The header that a block and its extensions describe. `size` is still that of the stored contents.
pub(super) fn decode(block: &Block, extended: &Extended) -> Result<Header, DecodeError> {
    let dialect = block.dialect();
    let mut path = block_path(block, dialect);
    if let Some(long) = extended.long_path.as_ref().filter(|long| !long.is_empty()) {
        path.clone_from(long);
    }
    if let Some(value) = extended.value(pax::PATH) {
        path = value.to_vec();
    }
    let kind = kind_of(block.0[block::TYPE_FLAG], &path)?;
    let mut header = Header::new(kind, path);
    header.mode = u32::try_from(unsigned(block, block::MODE)? & 0o7777).expect("four octal digits fit 32 bits");
    header.uid = number_or(extended, pax::UID, block, block::UID)?;
    header.gid = number_or(extended, pax::GID, block, block::GID)?;
    header.modified = match extended.value(pax::MODIFIED) {
        Some(text) => pax::parse_time(text).ok_or(Problem::Number)?,
        None => Timestamp::from_seconds(number::parse(block.field(block::MODIFIED)).ok_or(Problem::Number)?),
    };
    header.size = stored_size(block, extended)?;
    if kind != Kind::File && header.size != 0 {
        return Err(Problem::SizeWithoutContents.into());
    }
    header.link = block.text(block::LINK).to_vec();
    if let Some(long) = extended.long_link.as_ref().filter(|long| !long.is_empty()) {
        header.link.clone_from(long);
    }
    if dialect != Dialect::V7 {
        header.user_name = block.text(block::USER_NAME).to_vec();
        header.group_name = block.text(block::GROUP_NAME).to_vec();
    }
    if dialect != Dialect::V7 && matches!(kind, Kind::CharDevice | Kind::BlockDevice) {
        header.device_major = device(block, block::DEVICE_MAJOR)?;
        header.device_minor = device(block, block::DEVICE_MINOR)?;
    }
    take_records(&mut header, extended);
    Ok(header)
}

/// Why a block gives no header.
pub(super) enum DecodeError {
    Problem(Problem),
    Unsupported(u8),
}

impl From<Problem> for DecodeError {
    fn from(problem: Problem) -> Self {
        Self::Problem(problem)
    }
}

fn kind_of(type_flag: u8, path: &[u8]) -> Result<Kind, DecodeError> {
    Ok(match type_flag {
        // Before ustar a directory was a file whose name ends with a slash.
        0 if path.ends_with(b"/") => Kind::Directory,
        // '7' is a contiguous file; 'S' an old GNU sparse one.
        0 | b'0' | b'7' | b'S' => Kind::File,
        b'1' => Kind::HardLink,
        b'2' => Kind::Symlink,
        b'3' => Kind::CharDevice,
        b'4' => Kind::BlockDevice,
        b'5' => Kind::Directory,
        b'6' => Kind::Fifo,
        other => return Err(DecodeError::Unsupported(other)),
    })
}

fn block_path(block: &Block, dialect: Dialect) -> Vec<u8> {
    let name = block.text(block::NAME);
    let prefix = match dialect {
        Dialect::Posix => block.text(block::PREFIX),
        // star keeps two times in the last 24 bytes of the prefix.
        Dialect::Star => block.text(block::PREFIX.start..block::PREFIX.end - 24),
        Dialect::Gnu => misplaced_prefix(block),
        Dialect::V7 => b"",
    };
    if prefix.is_empty() { name.to_vec() } else { [prefix, b"/", name].concat() }
}

/// Go before 1.8 put a prefix into GNU headers, where it overlays two times, and Docker wrote images with it.
fn misplaced_prefix(block: &Block) -> &[u8] {
    let prefix = block.text(block::PREFIX);
    let time = block.field(block::PREFIX.start..block::PREFIX.start + 12);
    if !prefix.is_empty() && number::parse(time).is_none() && prefix.is_ascii() { prefix } else { b"" }
}

fn stored_size(block: &Block, extended: &Extended) -> Result<u64, Problem> {
    /// The largest octal number of eleven digits: libarchive writes it when the size does not fit.
    const SATURATED: u64 = 0o77_777_777_777;
    let short = unsigned(block, block::SIZE)?;
    let Some(text) = extended.value(pax::SIZE) else {
        return Ok(short);
    };
    let long = pax::parse_decimal(text).filter(|size| i64::try_from(*size).is_ok()).ok_or(Problem::Number)?;
    let agrees = short == long || short == 0 || (short == SATURATED && long > short);
    if agrees { Ok(long) } else { Err(Problem::SizeMismatch) }
}

fn unsigned(block: &Block, field: std::ops::Range<usize>) -> Result<u64, Problem> {
    number::parse_unsigned(block.field(field)).ok_or(Problem::Number)
}

fn device(block: &Block, field: std::ops::Range<usize>) -> Result<u32, Problem> {
    u32::try_from(unsigned(block, field)?).map_err(|_| Problem::Number)
}

fn number_or(extended: &Extended, key: &[u8], block: &Block, field: std::ops::Range<usize>) -> Result<u64, Problem> {
    match extended.value(key) {
        Some(text) => pax::parse_decimal(text).ok_or(Problem::Number),
        None => unsigned(block, field),
    }
}

fn take_records(header: &mut Header, extended: &Extended) {
    for (key, value) in &extended.records {
        // An empty attribute is a real one; for every other key an empty value takes the record back.
        if let Some(name) = key.strip_prefix(pax::XATTR_PREFIX) {
            header.xattrs.insert(name.to_vec(), value.clone());
            continue;
        }
        match key.as_slice() {
            _ if value.is_empty() => {}
            pax::LINK => header.link.clone_from(value),
            pax::USER_NAME => header.user_name.clone_from(value),
            pax::GROUP_NAME => header.group_name.clone_from(value),
            pax::PATH | pax::SIZE | pax::UID | pax::GID | pax::MODIFIED => {}
            key if key.starts_with(pax::SPARSE_PREFIX) => {}
            _ => {
                header.records.insert(key.clone(), value.clone());
            }
        }
    }
}
