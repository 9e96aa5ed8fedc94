//! Every check of the content suite can fail.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

use std::sync::Arc;

use cache_core::conformance::content::{CHECKS, ContentSubject};
use cache_core::conformance::{Fault, Faulty, SuiteClock, prove};
use cache_core::memory::{ManualClock, Memory};

/// The check that says nothing of a store without files.
const OF_FILES: &str = "a_local_file_holds_the_blob";

const FAULTS: &[(&str, Fault)] = &[
    ("an_empty_key_is_invalid", Fault::AcceptsEmptyKey),
    ("a_dead_lease_is_invalid", Fault::AcceptsDeadLease),
    ("a_foreign_lease_is_invalid", Fault::AcceptsForeignLease),
    ("a_key_has_one_writer", Fault::AllowsSecondWriter),
    ("expected_content_that_exists_is_answered_at_once", Fault::OverlooksExistingContent),
    ("expected_content_that_exists_is_answered_at_once", Fault::LeaseNotAttached),
    ("a_dropped_begin_leaves_the_key_usable", Fault::DroppedBeginHoldsKey),
    ("keys_are_opaque", Fault::FoldsCaseOfKeys),
    ("five_writers_commit_side_by_side", Fault::ForgetsLabelsOfCommit),
    ("existing_content_is_said_to_be_there", Fault::SaysNewAlways),
    ("existing_content_leaves_the_key_empty", Fault::CommitLeavesIngest),
    ("existing_content_keeps_its_labels_and_gains_those_it_lacks", Fault::ForgetsLabelsOfCommit),
    ("a_wrong_digest_is_corrupt_and_keeps_the_bytes", Fault::IgnoresDigestOfCommit),
    ("a_wrong_digest_is_corrupt_and_keeps_the_bytes", Fault::ResumeForgetsOffset),
    ("a_digest_other_than_begun_with_is_corrupt", Fault::ForgetsWhatBeginExpected),
    ("whole_bytes_of_another_blob_are_dropped", Fault::RefusedCommitKeepsBytes),
    ("a_wrong_size_is_corrupt_and_keeps_the_bytes", Fault::ForgetsWhatBeginExpected),
    ("a_wrong_size_is_corrupt_and_keeps_the_bytes", Fault::ResumeForgetsOffset),
    ("the_algorithm_follows_what_is_expected", Fault::KnowsOnlySha256),
    ("the_empty_blob_is_a_blob", Fault::RefusesEmptyBlob),
    ("a_lease_that_died_meanwhile_is_invalid", Fault::AcceptsDeadLease),
    ("a_dropped_commit_is_whole_or_nothing", Fault::DroppedCommitHoldsKey),
    ("what_was_committed_is_what_is_known", Fault::InfoForgetsLabels),
    ("status_follows_every_write", Fault::OffsetStandsStill),
    ("a_write_past_the_expected_size_ends_the_writer", Fault::ForgetsWhatBeginExpected),
    ("abort_drops_the_bytes", Fault::AbortKeepsBytes),
    ("a_dropped_writer_gives_the_key_free", Fault::DroppedWriterHoldsKey),
    ("a_dropped_writer_gives_the_key_free", Fault::DroppedWriterCommits),
    ("keeps_offset_and_times", Fault::ResumeForgetsOffset),
    ("another_expectation_starts_at_zero", Fault::ResumesAnything),
    ("a_fresh_start_drops_what_was_kept", Fault::FreshStartResumes),
    ("continues_where_it_was_kept", Fault::ResumeForgetsOffset),
    ("takes_the_rest_from_a_reader", Fault::TruncatesReads),
    ("takes_the_rest_from_a_reader", Fault::ReadsFromBeginning),
    ("an_ingest_is_no_blob_before_its_commit", Fault::VisibleBeforeCommit),
    ("an_ingest_is_no_blob_before_its_commit", Fault::OmitsIngest),
    ("a_blob_is_no_ingest_after_its_commit", Fault::CommitLeavesIngest),
    ("what_is_not_there_is_none", Fault::OpensAnything),
    ("past_the_end_gives_the_blob", Fault::TruncatesReads),
    ("past_the_end_gives_the_blob", Fault::ReaderSizeIsZero),
    ("every_range_gives_its_bytes", Fault::ReadsFromBeginning),
    ("only_the_digest_is_required", Fault::NeedsSizeToOpen),
    (OF_FILES, Fault::NamesAnotherFile),
    ("change_key_by_key", Fault::ChangeReplacesAllLabels),
    ("change_all_or_none", Fault::ChangesLabelsOneByOne),
    ("limits_hold_at_commit", Fault::DropsLongLabels),
    ("of_a_missing_blob_is_not_found", Fault::ChangesLabelsOfNothing),
    ("names_every_blob_once", Fault::OmitsBlob),
    ("abort_by_key_answers_what_there_was", Fault::AbortSaysYesAlways),
    ("tells_what_the_writer_tells", Fault::OmitsIngest),
];

fn subject(fault: Fault) -> ContentSubject {
    let clock = Arc::new(ManualClock::default());
    let memory = Memory::new(clock.clone());
    let store = Faulty::new(memory.content, fault);
    ContentSubject::new(Arc::new(store), memory.leases, SuiteClock::Manual(clock))
}

#[test]
fn every_check_of_content_stores_can_fail() {
    assert_eq!(prove(CHECKS, FAULTS, subject).unwrap(), [OF_FILES], "proven below");
}

#[cfg(all(target_os = "linux", feature = "local"))]
#[test]
fn the_check_of_local_files_can_fail() {
    use cache_core::conformance::block_on;
    use cache_core::local::{Local, StoreOptions};

    let local = |fault| {
        let directory = tempfile::tempdir().unwrap();
        let clock = Arc::new(ManualClock::default());
        let pool = Arc::new(cache_core::ThreadPool::new());
        let store = block_on(Local::open(directory.path(), pool, StoreOptions::new(clock.clone()))).unwrap();
        let content = Faulty::new(store.content, fault);
        ContentSubject::new(Arc::new(content), store.leases, SuiteClock::Manual(clock)).keeping(directory)
    };
    let checks: Vec<_> = CHECKS.iter().copied().filter(|check| check.name == OF_FILES).collect();
    assert_eq!(prove(&checks, &[(OF_FILES, Fault::NamesAnotherFile)], local).unwrap(), [""; 0]);
}
