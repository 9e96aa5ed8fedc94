//! Bytes that look random and are the same in every run.

use bytes::Bytes;

/// `length` bytes that depend on `seed`.
pub(super) fn sample(seed: u64, length: usize) -> Bytes {
    // xorshift64 (Marsaglia 2003); its state must not be zero.
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(length);
    bytes.into()
}
