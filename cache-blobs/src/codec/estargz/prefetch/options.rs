//! Which files come first.

/// What becomes of prioritised files that the tar has not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MissingFiles {
    /// The tar is refused.
    #[default]
    Refuse,
    /// They are [told](super::PrefetchOrder::missing): one list may be for all layers of an image.
    Tell,
}

/// Which files come first. The default is none, and a landmark that says so.
/// Mirrors: stargz-snapshotter `estargz/build.go`, `WithPrioritizedFiles`, `WithAllowPrioritizeNotFound`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PrefetchOptions {
    /// Their names, in the order in which they are wanted. `a`, `/a`, `./a` and `../a` are one name. A directory comes without
    /// what is in it.
    pub prioritized: Vec<Vec<u8>>,
    /// What becomes of those that the tar has not.
    pub missing: MissingFiles,
    /// Bytes that may be held to know the entries of a tar: their names part by part, and 192 for each. Default 64 MiB,
    /// enough for 300 000 files.
    pub index_bytes: u64,
}

impl Default for PrefetchOptions {
    fn default() -> Self {
        Self { prioritized: Vec::new(), missing: MissingFiles::default(), index_bytes: 64 << 20 }
    }
}

impl PrefetchOptions {
    /// Other files that come first.
    #[must_use]
    pub fn with_prioritized(mut self, names: impl IntoIterator<Item = impl Into<Vec<u8>>>) -> Self {
        self.prioritized = names.into_iter().map(Into::into).collect();
        self
    }

    /// Another answer to missing ones.
    #[must_use]
    pub fn with_missing(mut self, missing: MissingFiles) -> Self {
        self.missing = missing;
        self
    }

    /// Other bound on [`index_bytes`](Self::index_bytes).
    #[must_use]
    pub fn with_index_bytes(mut self, bytes: u64) -> Self {
        self.index_bytes = bytes;
        self
    }
}
