//! Every check of the image suite can fail.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

use std::sync::Arc;

use cache_core::conformance::image::{CHECKS, ImageSubject};
use cache_core::conformance::{Fault, Faulty, SuiteClock, prove};
use cache_core::memory::{ManualClock, Memory};

const FAULTS: &[(&str, Fault)] = &[
    ("a_created_name_is_there", Fault::NamesAreLost),
    ("create_does_not_replace", Fault::CreateReplaces),
    ("update_replaces_target_and_labels", Fault::UpdateKeepsLabels),
    ("update_replaces_target_and_labels", Fault::UpdateCreatesAnew),
    ("update_does_not_create", Fault::UpdateCreates),
    ("a_deleted_name_is_gone", Fault::DeletesNoName),
    ("a_deleted_name_is_gone", Fault::DeleteSaysYesAlways),
    ("the_empty_name_is_invalid", Fault::AcceptsEmptyKey),
    ("names_are_opaque", Fault::FoldsCaseOfKeys),
    ("names_are_listed_sorted", Fault::ListsUnsorted),
    ("names_are_listed_sorted", Fault::OmitsName),
    ("an_absent_name_is_none", Fault::FindsAnyName),
    ("every_field_comes_back", Fault::ForgetsTargetFields),
    ("a_missing_target_is_not_found", Fault::NamesWhatIsMissing),
];

fn subject(fault: Fault) -> ImageSubject {
    let clock = Arc::new(ManualClock::default());
    let memory = Memory::new(clock.clone());
    let images = Faulty::new(memory.images, fault);
    ImageSubject::new(Arc::new(images), SuiteClock::Manual(clock)).with_content(memory.content, memory.leases)
}

#[test]
fn every_check_of_image_stores_can_fail() {
    assert_eq!(prove(CHECKS, FAULTS, subject).unwrap(), [""; 0]);
}
