//! Gzip members (RFC 1952).

use cache_core::{Error, ErrorKind, Result};

use super::deflater::Deflater;
use super::noise::{self, Content};

/// Bytes of [`header`].
pub(super) const HEADER_BYTES: usize = 20;
/// CRC-32 and length, four bytes each.
pub(super) const TRAILER_BYTES: usize = 8;

/// The most bytes that the members of `block_bytes` bytes take.
pub(in crate::codec) fn bound(deflater: &mut Deflater, block_bytes: usize) -> usize {
    let members = block_bytes.div_ceil(noise::PART_BYTES).max(1);
    let of_each = HEADER_BYTES + deflater.bound(1) + TRAILER_BYTES;
    deflater.bound(block_bytes) + members * of_each
}

/// `block` as members.
pub(in crate::codec) fn compress(deflater: &mut Deflater, block: &[u8]) -> Result<Vec<u8>> {
    let mut members = Vec::new();
    append(deflater, block, &mut members)?;
    members.shrink_to_fit();
    Ok(members)
}

/// Appends `block` to `members`, which grows by at most [`bound`] while that is done: one member, or several where the block has
/// parts that are best stored.
pub(in crate::codec) fn append(deflater: &mut Deflater, block: &[u8], members: &mut Vec<u8>) -> Result<()> {
    noise::runs(block).into_iter().try_for_each(|(content, bytes)| append_one(deflater, content, bytes, members))
}

/// `bytes` as one member, whatever they are: of eStargz's table of contents readers read no more than that.
#[cfg(feature = "estargz")]
pub(in crate::codec) fn one(deflater: &mut Deflater, bytes: &[u8]) -> Result<Vec<u8>> {
    let mut member = Vec::new();
    append_one(deflater, Content::Dense, bytes, &mut member)?;
    member.shrink_to_fit();
    Ok(member)
}

fn append_one(deflater: &mut Deflater, content: Content, bytes: &[u8], members: &mut Vec<u8>) -> Result<()> {
    let begin = members.len();
    match content {
        Content::Dense => deflate(deflater, bytes, members)?,
        Content::Noise => store(bytes, members),
    }
    members.extend_from_slice(&crc32fast::hash(bytes).to_le_bytes());
    members.extend_from_slice(&u32::try_from(bytes.len()).map_err(|_| failure("of more than 4 GiB"))?.to_le_bytes());
    let member_bytes = u32::try_from(members.len() - begin).map_err(|_| failure("of more than 4 GiB"))?;
    let header_place = members.get_mut(begin..begin + HEADER_BYTES).ok_or_else(|| failure("without room"))?;
    header_place.copy_from_slice(&header(member_bytes));
    Ok(())
}

fn failure(what: &str) -> Error {
    Error::new(ErrorKind::LimitExceeded, "compress gzip member", what)
}

/// Appends room for a header and what `deflater` makes of `bytes`.
fn deflate(deflater: &mut Deflater, bytes: &[u8], members: &mut Vec<u8>) -> Result<()> {
    let begin = members.len();
    let room = HEADER_BYTES + deflater.bound(bytes.len()) + TRAILER_BYTES;
    match begin {
        // Fresh pages need not be zeroed.
        0 if members.capacity() < room => *members = vec![0; room],
        _ => members.resize(begin + room, 0),
    }
    let deflated = members.get_mut(begin + HEADER_BYTES..).ok_or_else(|| failure("without room"))?;
    let deflated_bytes = deflater.deflate(bytes, deflated)?;
    members.truncate(begin + HEADER_BYTES + deflated_bytes);
    Ok(())
}

/// Appends room for a header and `bytes` in stored blocks (RFC 1951, 3.2.4).
fn store(bytes: &[u8], members: &mut Vec<u8>) {
    members.resize(members.len() + HEADER_BYTES, 0);
    let mut pieces = bytes.chunks(usize::from(u16::MAX)).peekable();
    while let Some(piece) = pieces.next() {
        let is_last = pieces.peek().is_none();
        // Pieces are no longer than the type's largest value.
        let length = piece.len() as u16;
        members.push(u8::from(is_last));
        members.extend_from_slice(&length.to_le_bytes());
        members.extend_from_slice(&(!length).to_le_bytes());
        members.extend_from_slice(piece);
    }
}

/// The header of a member of `member_bytes` bytes: no time, no name, unknown operating system (as Go writes it), and one
/// extra field `LC` with the member's whole length.
fn header(member_bytes: u32) -> [u8; HEADER_BYTES] {
    const FEXTRA: u8 = 4;
    const UNKNOWN_OS: u8 = 255;
    let [a, b, c, d] = member_bytes.to_le_bytes();
    [0x1f, 0x8b, 8, FEXTRA, 0, 0, 0, 0, 0, UNKNOWN_OS, 8, 0, b'L', b'C', 4, 0, a, b, c, d]
}

/// The length that `header` tells; `None` if it is not one of ours.
pub(super) fn member_bytes(head: &[u8; HEADER_BYTES]) -> Option<u32> {
    let [.., a, b, c, d] = *head;
    let member_bytes = u32::from_le_bytes([a, b, c, d]);
    (*head == header(member_bytes)).then_some(member_bytes)
}
