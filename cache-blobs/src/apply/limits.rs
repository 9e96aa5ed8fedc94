//! What a layer may cost at most.

/// Bounds on what one layer may create. All are on by default.
///
/// Bytes that are zero cost nothing against the ratio, because blocks of zeros are left as holes and take up no room:
/// an honest layer of zeros passes however well it was compressed.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ApplyLimits {
    /// Entries. Default 4 million, several times what the largest known images hold.
    pub entries: u64,
    /// Bytes of contents with their holes, and bytes of the stream. Default 1 TiB.
    pub bytes: u64,
    /// Bytes written per compressed byte, once [`allowance`](Self::allowance) is used up. Default 2048: deflate
    /// cannot exceed 1032, so this stops only what other codecs blow up. Needs
    /// [`ApplyOptions::compressed`](super::ApplyOptions::compressed).
    pub ratio: u64,
    /// Bytes written that the ratio does not count. Default 1 GiB.
    pub allowance: u64,
    /// Components of a path. Default 512.
    pub depth: usize,
}

impl Default for ApplyLimits {
    fn default() -> Self {
        Self { entries: 4_000_000, bytes: 1 << 40, ratio: 2048, allowance: 1 << 30, depth: 512 }
    }
}

impl ApplyLimits {
    /// Other bound on [`entries`](Self::entries).
    #[must_use]
    pub fn with_entries(mut self, entries: u64) -> Self {
        self.entries = entries;
        self
    }

    /// Other bound on [`bytes`](Self::bytes).
    #[must_use]
    pub fn with_bytes(mut self, bytes: u64) -> Self {
        self.bytes = bytes;
        self
    }

    /// Other bound on [`ratio`](Self::ratio), beyond the first `allowance` bytes.
    #[must_use]
    pub fn with_ratio(mut self, ratio: u64, allowance: u64) -> Self {
        self.ratio = ratio;
        self.allowance = allowance;
        self
    }

    /// Other bound on [`depth`](Self::depth).
    #[must_use]
    pub fn with_depth(mut self, depth: usize) -> Self {
        self.depth = depth;
        self
    }
}
