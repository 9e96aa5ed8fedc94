//! Every check of the export suite can fail.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

use std::sync::Arc;

use cache_core::conformance::export::{CHECKS, ExportSubject};
use cache_core::conformance::{Fault, Faulty, block_on, prove};
use cache_core::memory::{ManualClock, Memory, MemoryRemote};
use cache_core::ports::{LeaseManager, LeaseOptions, Leased};

const FAULTS: &[(&str, Fault)] = &[
    ("what_is_committed_is_readable", Fault::TruncatesReads),
    ("blobs_are_written_side_by_side", Fault::TruncatesReads),
    ("an_empty_blob_is_a_blob", Fault::RefusesEmptyBlob),
    ("what_is_there_is_not_written_again", Fault::OverlooksExistingContent),
    ("a_key_is_used_again", Fault::DroppedWriterHoldsKey),
    ("nothing_is_visible_before_its_commit", Fault::VisibleBeforeCommit),
    ("other_bytes_are_corrupt", Fault::IgnoresDigestOfCommit),
    ("other_bytes_are_corrupt", Fault::ForgetsWhatBeginExpected),
    ("a_refused_blob_is_not_resumed", Fault::RefusedCommitKeepsBytes),
    ("too_few_bytes_are_corrupt", Fault::ForgetsWhatBeginExpected),
    ("too_many_bytes_are_refused", Fault::ForgetsWhatBeginExpected),
    ("an_aborted_blob_is_not_there", Fault::AbortCommits),
    ("a_dropped_writer_leaves_nothing_visible", Fault::DroppedWriterCommits),
];

fn leased(fault: Fault) -> ExportSubject {
    let memory = Memory::new(Arc::new(ManualClock::default()));
    let lease = block_on(memory.leases.create(LeaseOptions::default())).unwrap();
    let target = Faulty::new(Arc::new(Leased::new(memory.content.clone(), lease)), fault);
    ExportSubject::with_provider(Arc::new(target), Arc::new(Faulty::new(memory.content, fault)))
}

fn remote(fault: Fault) -> ExportSubject {
    let remote = Arc::new(MemoryRemote::new(Arc::new(ManualClock::default())));
    let target = Faulty::new(Arc::clone(&remote), fault);
    ExportSubject::with_fetcher(Arc::new(target), Arc::new(Faulty::new(remote, fault)))
}

#[test]
fn every_check_of_export_targets_can_fail_on_a_leased_store() {
    assert_eq!(prove(CHECKS, FAULTS, leased).unwrap(), [""; 0]);
}

#[test]
fn every_check_of_export_targets_can_fail_on_a_remote() {
    // This remote gives every upload a place of its own, so that none can hold a key or keep bytes.
    let faults = FAULTS.iter().copied().map(|(check, fault)| match fault {
        Fault::DroppedWriterHoldsKey | Fault::RefusedCommitKeepsBytes => (check, Fault::TruncatesReads),
        fault => (check, fault),
    });
    assert_eq!(prove(CHECKS, &faults.collect::<Vec<_>>(), remote).unwrap(), [""; 0]);
}
