//! Skippable frames (RFC 8878), which every zstd reader passes over.

use cache_core::{Error, ErrorKind, Result};

/// Bytes of a frame's header.
pub(super) const HEADER_BYTES: u64 = 8;

const MAGIC: [u8; 4] = [0x50, 0x2a, 0x4d, 0x18];

/// The header of a frame of `bytes` bytes; `None` if no frame can be so long.
pub(super) fn header(bytes: u64) -> Option<[u8; 8]> {
    let [a, b, c, d] = u32::try_from(bytes).ok()?.to_le_bytes();
    let [e, f, g, h] = MAGIC;
    Some([e, f, g, h, a, b, c, d])
}

/// Appends `content` as a frame to `out`.
pub(super) fn append(content: &[u8], out: &mut Vec<u8>) -> Result<()> {
    let too_long = || Error::new(ErrorKind::LimitExceeded, "write", "a skippable frame of more than 4 GiB");
    out.extend_from_slice(&header(content.len() as u64).ok_or_else(too_long)?);
    out.extend_from_slice(content);
    Ok(())
}
