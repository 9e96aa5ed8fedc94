//! Metadata records with revisions and indexes.

use std::fmt::Debug;

use async_trait::async_trait;
use bytes::Bytes;

use crate::error::Result;

/// A value under which a record can be found.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IndexEntry {
    /// The index.
    pub index: String,
    /// The record's value in it.
    pub value: String,
    /// Whether no other record may have this value in this index.
    pub uniqueness: Uniqueness,
}

/// Whether a value may stand in an index more than once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Uniqueness {
    /// Any number of records may have it.
    Shared,
    /// One record at most has it.
    Unique,
}

/// A record as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetadataRecord {
    /// Its key.
    pub key: String,
    /// The caller's bytes.
    pub value: Bytes,
    /// A number that every change of the record raises, and that no later record of the same key has again.
    pub revision: u64,
    /// Its index entries, sorted.
    pub indexes: Vec<IndexEntry>,
}

/// What is looked for in an index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IndexQuery {
    /// Records whose value in `index` is `value`.
    Exact {
        /// The index.
        index: String,
        /// The value.
        value: String,
    },
    /// Records whose value in `index` starts with `prefix`.
    Prefix {
        /// The index.
        index: String,
        /// How the value starts; empty for every record of the index.
        prefix: String,
    },
    /// Every record whose key starts with `prefix`.
    Keys {
        /// How the key starts; empty for all.
        prefix: String,
    },
}

/// What must hold for a record, or the whole batch is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Precondition {
    /// Nothing.
    Any,
    /// There is no such record.
    Absent,
    /// The record is there in this revision.
    Revision(u64),
    /// The record is there.
    Present,
}

/// One step of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MetadataChange {
    /// Writes a record with all its index entries.
    Put {
        /// The key.
        key: String,
        /// The bytes.
        value: Bytes,
        /// The index entries; earlier ones of the record are gone.
        indexes: Vec<IndexEntry>,
        /// What must hold before.
        precondition: Precondition,
    },
    /// Removes a record and its index entries; one that is not there is no error.
    Delete {
        /// The key.
        key: String,
        /// What must hold before.
        precondition: Precondition,
    },
    /// Changes nothing.
    Check {
        /// The key.
        key: String,
        /// What must hold.
        precondition: Precondition,
    },
}

/// How a batch ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BatchOutcome {
    /// Every change was made, durably.
    Applied,
    /// A precondition did not hold, or a unique value is taken; nothing was changed.
    Refused {
        /// The key of the change that was refused.
        key: String,
    },
}

/// Keeps records.
///
/// # Cancel safety
/// A dropped call changed all records that it was to change, or none.
#[async_trait]
pub trait MetadataStore: Send + Sync + Debug + 'static {
    /// The record; `None` if there is none.
    ///
    /// # Errors
    /// The backend's own failures.
    async fn get(&self, key: &str) -> Result<Option<MetadataRecord>>;

    /// The records that `query` finds, sorted by key.
    ///
    /// # Errors
    /// The backend's own failures.
    async fn find(&self, query: &IndexQuery) -> Result<Vec<MetadataRecord>>;

    /// Makes all `changes` in their order, or none. Preconditions see the state before the batch, with its earlier changes.
    ///
    /// # Errors
    /// The backend's own failures; nothing was changed then.
    async fn apply(&self, changes: Vec<MetadataChange>) -> Result<BatchOutcome>;
}
