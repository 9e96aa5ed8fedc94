//! The solver's side of a cache: records by key and link, results by record.

use std::fmt::{self, Debug};

use async_trait::async_trait;
use cache_core::{CompressionConfig, Digest, Result, Timestamp};

use crate::output_key::output_key;
use cache_blobs::remote::Remote;

/// A record's name in a storage. That of a source is its output key; that of any other record is the storage's choice.
/// Imported caches derive it from all that the record depends on, so it is the same in every cache and every process.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId(Digest);

impl KeyId {
    /// The name `digest`.
    pub fn new(digest: Digest) -> Self {
        Self(digest)
    }

    /// The digest that it is.
    pub fn digest(&self) -> &Digest {
        &self.0
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// A result's name in a storage.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ResultId(Digest);

impl ResultId {
    /// The name `digest`.
    pub fn new(digest: Digest) -> Self {
        Self(digest)
    }

    /// The digest that it is.
    pub fn digest(&self) -> &Digest {
        &self.0
    }
}

impl fmt::Display for ResultId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl Debug for ResultId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// A result of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct StoredResult {
    /// Its name.
    pub id: ResultId,
    /// When it was made.
    pub created_at: Timestamp,
}

/// How a record is reached from one of its inputs. Mirrors: BuildKit `solver/types.go`, `CacheInfoLink`, with digest and
/// output already made one key.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyLink {
    /// Which input.
    pub input: u32,
    /// Which part of the input counts; empty for all.
    pub selector: String,
    /// The output key of the record that is reached.
    pub key: Digest,
}

impl KeyLink {
    /// The link by which the `output` of an operation with `cache_map_digest` is reached from its `input`.
    pub fn new(input: u32, selector: impl Into<String>, cache_map_digest: &Digest, output: i64) -> Self {
        Self { input, selector: selector.into(), key: output_key(cache_map_digest, output) }
    }
}

/// Looks up records. Mirrors: BuildKit `solver/types.go`, `CacheKeyStorage`, its reading half: that an imported cache
/// cannot be written is a matter of types.
///
/// # Cancel safety
/// A dropped call holds nothing.
#[async_trait]
pub trait CacheKeyStorage: Send + Sync + Debug + 'static {
    /// Whether there is such a record.
    ///
    /// # Errors
    /// The backend's own failures.
    async fn exists(&self, key: &KeyId) -> Result<bool>;

    /// Every record, in any order.
    ///
    /// # Errors
    /// The backend's own failures.
    async fn keys(&self) -> Result<Vec<KeyId>>;

    /// The results of a record, in any order; none if there is no such record.
    ///
    /// # Errors
    /// The backend's own failures.
    async fn results(&self, key: &KeyId) -> Result<Vec<StoredResult>>;

    /// The result `result` of a record; `None` if it has no such result.
    ///
    /// # Errors
    /// The backend's own failures.
    async fn result(&self, key: &KeyId, result: &ResultId) -> Result<Option<StoredResult>>;

    /// The records that have the result, in any order.
    ///
    /// # Errors
    /// The backend's own failures.
    async fn keys_of_result(&self, result: &ResultId) -> Result<Vec<KeyId>>;

    /// The records that `link` leads to from a record, in any order.
    ///
    /// # Errors
    /// The backend's own failures.
    async fn links(&self, key: &KeyId, link: &KeyLink) -> Result<Vec<KeyId>>;

    /// The links that lead to a record, each with the record that it comes from, in any order.
    ///
    /// # Errors
    /// The backend's own failures.
    async fn backlinks(&self, key: &KeyId) -> Result<Vec<(KeyId, KeyLink)>>;
}

/// Adds records and takes results away.
///
/// # Cancel safety
/// A dropped call made its change as a whole or not at all.
#[async_trait]
pub trait CacheKeyWriter: CacheKeyStorage {
    /// Gives the record `key`, made if there is none, a result. One with the same name is replaced.
    ///
    /// # Errors
    /// The backend's own failures.
    async fn add_result(&self, key: &KeyId, result: StoredResult) -> Result<()>;

    /// Lets `link` lead from the record `key` to `target`; either is made if there is none.
    ///
    /// # Errors
    /// The backend's own failures.
    async fn add_link(&self, key: &KeyId, link: &KeyLink, target: &KeyId) -> Result<()>;

    /// Forgets a result, then every record that has neither results nor links to others, then what that leaves so.
    ///
    /// # Errors
    /// The backend's own failures.
    async fn release(&self, result: &ResultId) -> Result<()>;
}

/// Gives results as layers. Mirrors: BuildKit `solver/types.go`, `CacheResultStorage`, its reading half.
///
/// # Cancel safety
/// A dropped call holds nothing.
#[async_trait]
pub trait CacheResultStorage: Send + Sync + Debug + 'static {
    /// Whether there is such a result.
    ///
    /// # Errors
    /// The backend's own failures.
    async fn has_result(&self, result: &ResultId) -> Result<bool>;

    /// The result as remotes: all of them, or those in the wanted compression. A remote is in it if one of its layers
    /// is, or, where conversion is forced, if all are. Empty if there is no such result.
    ///
    /// # Errors
    /// The backend's own failures.
    async fn remotes(&self, result: &ResultId, wanted: Option<&CompressionConfig>) -> Result<Vec<Remote>>;
}

/// An input that a record is looked up by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InputKey {
    /// The record that the input comes from.
    pub source: KeyId,
    /// Which part of it counts; empty for all.
    pub selector: String,
}

/// The records of the output `key` that every input leads to by at least one of its links; for no inputs the source
/// `key` itself. Sorted.
///
/// # Errors
/// The backend's own failures.
pub async fn find_records(storage: &dyn CacheKeyStorage, key: &Digest, inputs: &[Vec<InputKey>]) -> Result<Vec<KeyId>> {
    if inputs.is_empty() {
        let source = KeyId::new(*key);
        return Ok(if storage.exists(&source).await? { vec![source] } else { Vec::new() });
    }
    let mut found: Option<std::collections::BTreeSet<KeyId>> = None;
    for (input, links) in (0..).zip(inputs) {
        let mut here = std::collections::BTreeSet::new();
        for link in links {
            let by = KeyLink { input, selector: link.selector.clone(), key: *key };
            here.extend(storage.links(&link.source, &by).await?);
        }
        let both = found.map_or_else(|| here.clone(), |found| &found & &here);
        if both.is_empty() {
            return Ok(Vec::new());
        }
        found = Some(both);
    }
    Ok(found.into_iter().flatten().collect())
}
