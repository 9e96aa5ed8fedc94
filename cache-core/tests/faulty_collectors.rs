//! Every check of the collector suite can fail.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

use std::sync::Arc;

use cache_core::conformance::collector::{CHECKS, CollectorSubject};
use cache_core::conformance::{Fault, Faulty, SuiteClock, prove};
use cache_core::memory::{ManualClock, Memory};

const FAULTS: &[(&str, Fault)] = &[
    ("what_nobody_holds_is_gone", Fault::CollectsNothing),
    ("an_empty_store_has_nothing_to_free", Fault::CountsOneMore),
    ("a_second_collection_frees_nothing", Fault::CountsOneMore),
    ("a_second_collection_frees_nothing", Fault::CollectsLeased),
    ("what_was_freed_can_be_committed_again", Fault::CollectsNothing),
    ("an_open_reader_reads_on", Fault::ReaderDiesWithBlob),
    ("a_kept_ingest_goes_with_its_lease", Fault::CollectsNothing),
    ("what_an_abandoned_lease_held_is_gone", Fault::AbandonsNothing),
    ("a_blob_stays_until_its_last_lease_ends", Fault::CollectsLeased),
    ("a_blob_stays_until_its_last_lease_ends", Fault::LeaseNotAttached),
    ("what_was_there_already_is_held", Fault::LeaseNotAttached),
    ("what_is_attached_stays_and_what_is_detached_goes", Fault::CollectsLeased),
    ("what_is_attached_stays_and_what_is_detached_goes", Fault::AttachOmitsOne),
    ("a_kept_ingest_stays_with_its_lease", Fault::CollectsLeased),
    ("an_open_writer_is_not_disturbed", Fault::CollectsLeased),
    ("an_ingest_keeps_what_it_expects", Fault::ForgetsWhatBeginExpected),
    ("a_lease_may_hold_what_is_not_there", Fault::AttachOmitsOne),
    ("an_expired_lease_holds_nothing", Fault::ForgetsExpiry),
    ("an_expired_lease_holds_nothing", Fault::CollectsLeased),
    ("a_renewed_lease_holds_on", Fault::RenewsNothing),
    ("a_flat_lease_follows_no_labels", Fault::ForgetsLeaseKind),
    ("a_flat_lease_beside_another_changes_nothing", Fault::ForgetsLabelsOfCommit),
    ("references_are_followed_to_their_end", Fault::ForgetsLabelsOfCommit),
    ("only_labels_of_the_right_form_are_references", Fault::CollectsNothing),
    ("a_cycle_stays_while_it_is_reached", Fault::CollectsNothing),
    ("a_cycle_stays_while_it_is_reached", Fault::CollectsLeased),
    ("a_root_stays_without_a_lease", Fault::ForgetsLabelsOfCommit),
    ("a_changed_label_counts_at_once", Fault::ChangeReplacesAllLabels),
    ("a_name_keeps_its_target", Fault::NamesAreLost),
    ("a_name_keeps_its_target", Fault::DeletesNoName),
    ("labels_of_a_name_are_references", Fault::NamesAreLost),
    ("labels_of_a_name_are_references", Fault::UpdateKeepsLabels),
    ("an_updated_name_keeps_its_new_target", Fault::NamesAreLost),
];

fn subject(fault: Fault) -> CollectorSubject {
    let clock = Arc::new(ManualClock::default());
    let memory = Memory::new(clock.clone());
    let collector = Faulty::new(memory.collector, fault).overlooking(memory.leases.clone());
    CollectorSubject::new(
        Arc::new(collector),
        Arc::new(Faulty::new(memory.content, fault)),
        Arc::new(Faulty::new(memory.leases, fault)),
        SuiteClock::Manual(clock),
    )
    .with_images(Arc::new(Faulty::new(memory.images, fault)))
}

#[test]
fn every_check_of_collectors_can_fail() {
    assert_eq!(prove(CHECKS, FAULTS, subject).unwrap(), [""; 0]);
}
