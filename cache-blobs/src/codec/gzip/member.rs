//! The frame of a gzip member (RFC 1952).

use cache_core::{Error, ErrorKind, Result};
use libdeflater::Compressor;

/// Bytes of [`header`].
pub(super) const HEADER_BYTES: usize = 20;
/// CRC-32 and length, four bytes each.
pub(super) const TRAILER_BYTES: usize = 8;

/// The most bytes that a member of `block_bytes` bytes takes.
pub(in crate::codec) fn bound(compressor: &mut Compressor, block_bytes: usize) -> usize {
    HEADER_BYTES + compressor.deflate_compress_bound(block_bytes) + TRAILER_BYTES
}

/// `block` as one member.
pub(in crate::codec) fn compress(compressor: &mut Compressor, block: &[u8]) -> Result<Vec<u8>> {
    let mut member = Vec::new();
    append(compressor, block, &mut member)?;
    member.shrink_to_fit();
    Ok(member)
}

/// Appends `block` as one member to `members`, which grows by [`bound`] while that is done.
pub(in crate::codec) fn append(compressor: &mut Compressor, block: &[u8], members: &mut Vec<u8>) -> Result<()> {
    let failure = |what: &str| Error::new(ErrorKind::LimitExceeded, "compress gzip member", what);
    let begin = members.len();
    let room = bound(compressor, block.len());
    match begin {
        // Fresh pages need not be zeroed.
        0 if members.capacity() < room => *members = vec![0; room],
        _ => members.resize(begin + room, 0),
    }
    let deflated = members.get_mut(begin + HEADER_BYTES..).ok_or_else(|| failure("without room"))?;
    let deflated_bytes = compressor
        .deflate_compress(block, deflated)
        .map_err(|source| failure("past the bound of deflate").with_source(source))?;
    members.truncate(begin + HEADER_BYTES + deflated_bytes);
    members.extend_from_slice(&crc32fast::hash(block).to_le_bytes());
    let block_bytes = u32::try_from(block.len()).map_err(|_| failure("of more than 4 GiB"))?;
    members.extend_from_slice(&block_bytes.to_le_bytes());
    let member_bytes = u32::try_from(members.len() - begin).map_err(|_| failure("of more than 4 GiB"))?;
    let header_place = members.get_mut(begin..begin + HEADER_BYTES).ok_or_else(|| failure("without room"))?;
    header_place.copy_from_slice(&header(member_bytes));
    Ok(())
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
