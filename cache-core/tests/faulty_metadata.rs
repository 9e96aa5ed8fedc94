//! Every check of the metadata suite can fail.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

use std::sync::Arc;

use cache_core::conformance::metadata::{CHECKS, MetadataSubject};
use cache_core::conformance::{Fault, Faulty, prove};
use cache_core::memory::MemoryMetadata;

const FAULTS: &[(&str, Fault)] = &[
    ("what_was_put_is_there", Fault::ForgetsIndexEntries),
    ("what_was_put_is_there", Fault::PutKeepsIndexEntries),
    ("keys_and_values_are_opaque", Fault::FoldsCaseOfKeys),
    ("keys_and_values_are_opaque", Fault::ValuesAreText),
    ("an_absent_record_is_none", Fault::FoldsCaseOfKeys),
    ("every_change_raises_the_revision", Fault::RevisionStandsStill),
    ("every_change_raises_the_revision", Fault::RevisionCountsDown),
    ("no_later_record_has_an_earlier_revision", Fault::RevisionStandsStill),
    ("a_deleted_record_is_gone", Fault::DeletesNoRecord),
    ("a_deleted_record_is_gone", Fault::DeleteNeedsRecord),
    ("a_large_value_is_whole", Fault::CutsValues),
    ("changes_are_made_in_their_order", Fault::BatchBackwards),
    ("a_refused_batch_changes_nothing", Fault::BatchNotAtomic),
    ("a_refusal_names_the_key", Fault::RefusalNamesNoKey),
    ("every_precondition_is_heeded", Fault::IgnoresPreconditions),
    ("preconditions_see_earlier_changes", Fault::ChecksBeforeBatch),
    ("an_empty_batch_is_applied", Fault::RefusesEmptyBatch),
    ("of_many_writers_each_change_counts", Fault::IgnoresPreconditions),
    ("a_dropped_batch_is_whole_or_nothing", Fault::BatchNotAtomic),
    ("exact_values_are_found", Fault::ExactMeansPrefix),
    ("exact_values_are_found", Fault::OmitsFound),
    ("prefixes_are_found", Fault::PrefixMeansExact),
    ("prefixes_are_found", Fault::OmitsFound),
    ("prefixes_are_no_patterns", Fault::PrefixesArePatterns),
    ("keys_are_found_by_prefix", Fault::OmitsFound),
    ("what_is_found_is_sorted_and_told_once", Fault::FindsUnsorted),
    ("what_is_found_is_sorted_and_told_once", Fault::FindsTwice),
    ("entries_follow_their_record", Fault::PutKeepsIndexEntries),
    ("a_unique_value_is_taken_once", Fault::IgnoresUniqueness),
    ("a_unique_value_excludes_shared_ones", Fault::UniquenessForgetsShared),
    ("a_unique_value_can_change_hands_in_a_batch", Fault::BatchBackwards),
];

fn subject(fault: Fault) -> MetadataSubject {
    MetadataSubject::new(Arc::new(Faulty::new(Arc::<MemoryMetadata>::default(), fault)))
}

#[test]
fn every_check_of_metadata_stores_can_fail() {
    assert_eq!(prove(CHECKS, FAULTS, subject).unwrap(), [""; 0]);
}
