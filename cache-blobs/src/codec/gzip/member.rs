//! The frame of a gzip member (RFC 1952).

use cache_core::{Error, ErrorKind, Result};
use libdeflater::Compressor;

/// Bytes of [`header`].
const HEADER_BYTES: usize = 20;
/// CRC-32 and length, four bytes each.
const TRAILER_BYTES: usize = 8;

/// The most bytes that a member of `block_bytes` bytes takes.
pub(super) fn bound(compressor: &mut Compressor, block_bytes: usize) -> usize {
    HEADER_BYTES + compressor.deflate_compress_bound(block_bytes) + TRAILER_BYTES
}

/// `block` as one member.
pub(super) fn compress(compressor: &mut Compressor, block: &[u8]) -> Result<Vec<u8>> {
    let failure = |what: &str| Error::new(ErrorKind::LimitExceeded, "compress gzip member", what);
    let mut member = vec![0; bound(compressor, block.len())];
    let deflated = member.get_mut(HEADER_BYTES..).ok_or_else(|| failure("without room"))?;
    let deflated_bytes = compressor
        .deflate_compress(block, deflated)
        .map_err(|source| failure("past the bound of deflate").with_source(source))?;
    member.truncate(HEADER_BYTES + deflated_bytes);
    member.extend_from_slice(&crc32fast::hash(block).to_le_bytes());
    let block_bytes = u32::try_from(block.len()).map_err(|_| failure("of more than 4 GiB"))?;
    member.extend_from_slice(&block_bytes.to_le_bytes());
    let member_bytes = u32::try_from(member.len()).map_err(|_| failure("of more than 4 GiB"))?;
    member.splice(..HEADER_BYTES, header(member_bytes));
    member.shrink_to_fit();
    Ok(member)
}

/// The header of a member of `member_bytes` bytes: no time, no name, unknown operating system (as Go writes it), and one
/// extra field `LC` with the member's whole length.
fn header(member_bytes: u32) -> [u8; HEADER_BYTES] {
    const FEXTRA: u8 = 4;
    const UNKNOWN_OS: u8 = 255;
    let [a, b, c, d] = member_bytes.to_le_bytes();
    [0x1f, 0x8b, 8, FEXTRA, 0, 0, 0, 0, 0, UNKNOWN_OS, 8, 0, b'L', b'C', 4, 0, a, b, c, d]
}
