//! The suite for metadata stores.

pub mod batch;
pub mod index;
pub mod record;

use std::any::Any;
use std::sync::Arc;

use bytes::Bytes;

use crate::conformance::Unmet;
use crate::conformance::require::require_equal;
use crate::ports::{BatchOutcome, IndexEntry, MetadataChange, MetadataRecord, MetadataStore, Precondition, Uniqueness};

/// An empty metadata store.
#[derive(Debug)]
pub struct MetadataSubject {
    store: Arc<dyn MetadataStore>,
    _keep: Option<Box<dyn Any + Send + Sync>>,
}

impl MetadataSubject {
    /// `store`, which is empty.
    pub fn new(store: Arc<dyn MetadataStore>) -> Self {
        Self { store, _keep: None }
    }

    /// The same, holding `keep` (a temporary directory, a server) until the check has ended.
    #[must_use]
    pub fn keeping(mut self, keep: impl Any + Send + Sync) -> Self {
        self._keep = Some(Box::new(keep));
        self
    }

    /// Makes changes that nothing may refuse.
    async fn apply(&self, changes: Vec<MetadataChange>) -> Result<(), Unmet> {
        let outcome = self.store.apply(changes).await?;
        require_equal(&outcome, &BatchOutcome::Applied, "a batch that contradicts nothing is applied")
    }

    /// The record `key`, its index entries and its value, which must be there.
    async fn record(&self, key: &str) -> Result<MetadataRecord, Unmet> {
        super::require::require_some(self.store.get(key).await?, "a record that was put is there")
    }

    /// The values of records, by key, as text.
    async fn values(&self, keys: &[&str]) -> Result<Vec<Option<Bytes>>, Unmet> {
        let mut values = Vec::new();
        for key in keys {
            values.push(self.store.get(key).await?.map(|record| record.value));
        }
        Ok(values)
    }
}

fn put(key: &str, value: &str, precondition: Precondition) -> MetadataChange {
    put_indexed(key, value, Vec::new(), precondition)
}

fn put_indexed(key: &str, value: &str, indexes: Vec<IndexEntry>, precondition: Precondition) -> MetadataChange {
    MetadataChange::Put { key: key.to_owned(), value: Bytes::copy_from_slice(value.as_bytes()), indexes, precondition }
}

fn delete(key: &str, precondition: Precondition) -> MetadataChange {
    MetadataChange::Delete { key: key.to_owned(), precondition }
}

fn check(key: &str, precondition: Precondition) -> MetadataChange {
    MetadataChange::Check { key: key.to_owned(), precondition }
}

fn shared(index: &str, value: &str) -> IndexEntry {
    IndexEntry { index: index.to_owned(), value: value.to_owned(), uniqueness: Uniqueness::Shared }
}

fn unique(index: &str, value: &str) -> IndexEntry {
    IndexEntry { index: index.to_owned(), value: value.to_owned(), uniqueness: Uniqueness::Unique }
}

suite! {
    ($)
    /// One `#[test]` for every check of [`conformance::metadata`](crate::conformance::metadata), each on a fresh
    /// subject of the given factory.
    metadata_conformance, metadata, MetadataSubject;
    record::what_was_put_is_there,
    record::keys_and_values_are_opaque,
    record::an_absent_record_is_none,
    record::every_change_raises_the_revision,
    record::no_later_record_has_an_earlier_revision,
    record::a_deleted_record_is_gone,
    record::a_large_value_is_whole,
    batch::changes_are_made_in_their_order,
    batch::a_refused_batch_changes_nothing,
    batch::a_refusal_names_the_key,
    batch::every_precondition_is_heeded,
    batch::preconditions_see_earlier_changes,
    batch::an_empty_batch_is_applied,
    batch::of_many_writers_each_change_counts,
    batch::a_dropped_batch_is_whole_or_nothing,
    index::exact_values_are_found,
    index::prefixes_are_found,
    index::prefixes_are_no_patterns,
    index::keys_are_found_by_prefix,
    index::what_is_found_is_sorted_and_told_once,
    index::entries_follow_their_record,
    index::a_unique_value_is_taken_once,
    index::a_unique_value_excludes_shared_ones,
    index::a_unique_value_can_change_hands_in_a_batch,
}
