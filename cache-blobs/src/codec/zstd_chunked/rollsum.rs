//! The rolling checksum that finds where a file is cut, so that equal parts of files become equal chunks.

/// Bytes that the sum covers.
const WINDOW: usize = 64;
/// Added to every byte, so that zeros count, too.
const OFFSET: u32 = 31;

/// Low bits of the sum that must all be set where a chunk ends: one place in 64 KiB on average.
/// Mirrors: containers/storage `pkg/chunked/compressor/compressor.go`, `RollsumBits`.
pub(super) const SPLIT_BITS: u32 = 16;

/// bup's sum of the last 64 bytes; before a file lie zeros. Mirrors: containers/storage `pkg/chunked/compressor/rollsum.go`.
#[derive(Clone, Debug)]
pub(super) struct RollSum {
    /// Of the bytes.
    plain: u32,
    /// Of the bytes, the later the more.
    weighted: u32,
    window: [u8; WINDOW],
    /// Where the oldest byte is.
    oldest: usize,
}

impl RollSum {
    /// The sum after zeros alone, which is also the one at a file's beginning.
    pub(super) fn new() -> Self {
        let window = WINDOW as u32;
        Self { plain: window * OFFSET, weighted: window * (window - 1) * OFFSET, window: [0; WINDOW], oldest: 0 }
    }

    /// Takes `bytes` up to the first one at which a chunk ends, that one included; gives their number. `None` if no chunk ends in
    /// them, and all are taken.
    pub(super) fn next_split(&mut self, bytes: &[u8]) -> Option<usize> {
        const MASK: u32 = (1 << SPLIT_BITS) - 1;
        let (mut plain, mut weighted, mut oldest) = (self.plain, self.weighted, self.oldest);
        let found = bytes.iter().position(|byte| {
            let slot = &mut self.window[oldest % WINDOW];
            let dropped = u32::from(std::mem::replace(slot, *byte));
            oldest += 1;
            plain = plain.wrapping_add(u32::from(*byte)).wrapping_sub(dropped);
            weighted = weighted.wrapping_add(plain).wrapping_sub(WINDOW as u32 * (dropped + OFFSET));
            weighted & MASK == MASK
        });
        (self.plain, self.weighted, self.oldest) = (plain, weighted, oldest % WINDOW);
        found.map(|at| at + 1)
    }
}
