//! The key of one output of one operation.

use cache_core::Digest;

/// The output index of keys that stand for what an input contains ("slow keys").
pub const CONTENT_OUTPUT: i64 = -1;

/// The digest of a record: of the operation's cache-map digest and the index of its output.
/// Mirrors: BuildKit `solver/cachemanager.go`, `rootKey`.
pub fn output_key(cache_map_digest: &Digest, output: i64) -> Digest {
    Digest::of(format!("{cache_map_digest}@{output}"))
}

/// The digest of the record that stands for what an input contains, however it came about. Its links have no selector.
pub fn content_key(content: &Digest) -> Digest {
    output_key(content, CONTENT_OUTPUT)
}

/// The key of a record that a build made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RecordKey {
    /// One that is met again.
    Stable(Digest),
    /// One that is never met again (`random:…`, as of a local directory without content key): neither the record nor
    /// what depends on nothing else is worth exporting.
    Random,
}

impl RecordKey {
    /// The key of the `output` of an operation whose cache-map digest is written so; `None` if it is neither a digest
    /// nor `random:…`.
    pub fn parse(cache_map_digest: &str, output: i64) -> Option<Self> {
        if cache_map_digest.starts_with("random:") {
            return Some(Self::Random);
        }
        Some(Self::Stable(output_key(&cache_map_digest.parse().ok()?, output)))
    }
}

impl From<Digest> for RecordKey {
    /// The record whose output key is `digest`.
    fn from(digest: Digest) -> Self {
        Self::Stable(digest)
    }
}
