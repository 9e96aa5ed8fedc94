//! The suite for content stores. Mirrors: containerd `core/content/testsuite`.

pub mod begin;
pub mod commit;
pub mod label;
pub mod listing;
pub mod reading;
pub mod resume;
pub mod visibility;
pub mod writer;

use std::any::Any;
use std::sync::Arc;

use crate::conformance::SuiteClock;
use crate::error::Result;
use crate::ports::{ContentStore, Lease, LeaseManager, LeaseOptions};

/// An empty content store and what its contract needs around it.
#[derive(Debug)]
pub struct ContentSubject {
    store: Arc<dyn ContentStore>,
    leases: Arc<dyn LeaseManager>,
    clock: SuiteClock,
    _keep: Option<Box<dyn Any + Send + Sync>>,
}

impl ContentSubject {
    /// `store`, which is empty, the manager of its leases, and the clock from which it takes its times.
    pub fn new(store: Arc<dyn ContentStore>, leases: Arc<dyn LeaseManager>, clock: SuiteClock) -> Self {
        Self { store, leases, clock, _keep: None }
    }

    /// The same, holding `keep` (a temporary directory, a server) until the check has ended.
    #[must_use]
    pub fn keeping(mut self, keep: impl Any + Send + Sync) -> Self {
        self._keep = Some(Box::new(keep));
        self
    }

    async fn lease(&self) -> Result<Lease> {
        self.leases.create(LeaseOptions::default()).await
    }
}

suite! {
    ($)
    /// One `#[test]` for every check of [`conformance::content`](crate::conformance::content), each on a fresh subject
    /// of the given factory.
    content_conformance, content, ContentSubject;
    begin::an_empty_key_is_invalid,
    begin::a_dead_lease_is_invalid,
    begin::a_foreign_lease_is_invalid,
    begin::a_key_has_one_writer,
    begin::expected_content_that_exists_is_answered_at_once,
    begin::a_dropped_begin_leaves_the_key_usable,
    begin::keys_are_opaque,
    commit::five_writers_commit_side_by_side,
    commit::existing_content_is_said_to_be_there,
    commit::existing_content_leaves_the_key_empty,
    commit::existing_content_keeps_its_labels_and_gains_those_it_lacks,
    commit::a_wrong_digest_is_corrupt_and_keeps_the_bytes,
    commit::a_digest_other_than_begun_with_is_corrupt,
    commit::whole_bytes_of_another_blob_are_dropped,
    commit::a_wrong_size_is_corrupt_and_keeps_the_bytes,
    commit::the_algorithm_follows_what_is_expected,
    commit::the_empty_blob_is_a_blob,
    commit::a_lease_that_died_meanwhile_is_invalid,
    commit::a_dropped_commit_is_whole_or_nothing,
    commit::what_was_committed_is_what_is_known,
    writer::status_follows_every_write,
    writer::a_write_past_the_expected_size_ends_the_writer,
    writer::abort_drops_the_bytes,
    writer::a_dropped_writer_gives_the_key_free,
    resume::keeps_offset_and_times,
    resume::another_expectation_starts_at_zero,
    resume::a_fresh_start_drops_what_was_kept,
    resume::continues_where_it_was_kept,
    resume::takes_the_rest_from_a_reader,
    visibility::an_ingest_is_no_blob_before_its_commit,
    visibility::a_blob_is_no_ingest_after_its_commit,
    visibility::what_is_not_there_is_none,
    reading::past_the_end_gives_the_blob,
    reading::every_range_gives_its_bytes,
    reading::only_the_digest_is_required,
    reading::a_local_file_holds_the_blob,
    label::change_key_by_key,
    label::change_all_or_none,
    label::limits_hold_at_commit,
    label::of_a_missing_blob_is_not_found,
    listing::names_every_blob_once,
    listing::abort_by_key_answers_what_there_was,
    listing::tells_what_the_writer_tells,
}
