//! What a reader of a table of contents accepts at most.

/// Bounds that keep a hostile blob from using up memory or time. All are on by default.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TocLimits {
    /// Bytes of the table of contents, as JSON, and compressed. Default 128 MiB, enough for about 400 000 files.
    pub toc_bytes: u64,
    /// Bytes of a chunk, which is held in memory until its digest is known, and of what is inflated before it. Default 64 MiB.
    pub chunk_bytes: u64,
}

impl Default for TocLimits {
    fn default() -> Self {
        Self { toc_bytes: 128 << 20, chunk_bytes: 64 << 20 }
    }
}

impl TocLimits {
    /// Other bound on [`toc_bytes`](Self::toc_bytes).
    #[must_use]
    pub fn with_toc_bytes(mut self, bytes: u64) -> Self {
        self.toc_bytes = bytes;
        self
    }

    /// Other bound on [`chunk_bytes`](Self::chunk_bytes).
    #[must_use]
    pub fn with_chunk_bytes(mut self, bytes: u64) -> Self {
        self.chunk_bytes = bytes;
        self
    }
}
