//! What a reader accepts at most.

/// Bounds that keep a hostile archive from using up memory. All are on by default.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReadLimits {
    /// Bytes of extended headers and GNU long names in front of one entry, together. Default 1 MiB, which is also
    /// the most that Go's writer produces.
    pub header_bytes: u64,
    /// Bytes of a path or a link target. Default 32 KiB, eight times Linux's `PATH_MAX`.
    pub path_bytes: usize,
    /// PAX records of one entry. Default 4096.
    pub records: usize,
    /// Bytes of the key of a PAX record. Default 1024; the longest that occurs is libarchive's, 17 bytes and three for each of the
    /// 255 that the name of an attribute may have.
    pub key_bytes: usize,
    /// Pieces of one sparse file. Default 65536, a map of 1 MiB.
    pub sparse_pieces: usize,
}

impl Default for ReadLimits {
    fn default() -> Self {
        Self { header_bytes: 1 << 20, path_bytes: 32 << 10, records: 4096, key_bytes: 1024, sparse_pieces: 1 << 16 }
    }
}

impl ReadLimits {
    /// Other bound on [`header_bytes`](Self::header_bytes).
    #[must_use]
    pub fn with_header_bytes(mut self, bytes: u64) -> Self {
        self.header_bytes = bytes;
        self
    }

    /// Other bound on [`path_bytes`](Self::path_bytes).
    #[must_use]
    pub fn with_path_bytes(mut self, bytes: usize) -> Self {
        self.path_bytes = bytes;
        self
    }

    /// Other bound on [`records`](Self::records).
    #[must_use]
    pub fn with_records(mut self, records: usize) -> Self {
        self.records = records;
        self
    }

    /// Other bound on [`key_bytes`](Self::key_bytes).
    #[must_use]
    pub fn with_key_bytes(mut self, bytes: usize) -> Self {
        self.key_bytes = bytes;
        self
    }

    /// Other bound on [`sparse_pieces`](Self::sparse_pieces).
    #[must_use]
    pub fn with_sparse_pieces(mut self, pieces: usize) -> Self {
        self.sparse_pieces = pieces;
        self
    }
}
