//! Every check of the lease suite can fail.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

use std::sync::Arc;

use cache_core::conformance::lease::{CHECKS, LeaseSubject};
use cache_core::conformance::{Fault, Faulty, SuiteClock, prove};
use cache_core::memory::{ManualClock, Memory};

const FAULTS: &[(&str, Fault)] = &[
    ("fresh_names_differ", Fault::FreshLeasesShareAName),
    ("fresh_names_differ", Fault::OmitsLease),
    ("a_wanted_name_is_given_once", Fault::GivesNamesTwice),
    ("the_name_of_a_dead_lease_begins_anew", Fault::DeletesNoLease),
    ("what_was_wanted_is_listed", Fault::ForgetsLeaseKind),
    ("what_was_wanted_is_listed", Fault::ForgetsLeaseLabels),
    ("what_was_wanted_is_listed", Fault::ForgetsExpiry),
    ("a_deleted_lease_is_gone", Fault::DeletesNoLease),
    ("a_deleted_lease_is_gone", Fault::DeleteSaysYesAlways),
    ("a_deleted_lease_is_gone", Fault::ListsDeadLeases),
    ("a_lease_outlives_its_handles", Fault::FindsNoLease),
    ("an_absent_lease_is_none", Fault::FindsAnyLease),
    ("every_kind_is_held", Fault::AttachOmitsOne),
    ("every_kind_is_held", Fault::OmitsResource),
    ("what_is_detached_is_held_no_more", Fault::DetachesEverything),
    ("each_lease_holds_its_own", Fault::AttachesToEveryLease),
    ("a_dead_lease_is_refused", Fault::AcceptsDeadLease),
    ("a_foreign_lease_is_refused", Fault::AcceptsDeadLease),
    ("an_expired_lease_is_dead", Fault::ForgetsExpiry),
    ("an_expired_lease_is_dead", Fault::ListsDeadLeases),
    ("a_lease_without_expiry_stays", Fault::ExpiresAlways),
    ("renewal_counts_from_now", Fault::RenewsNothing),
    ("renewal_counts_from_now", Fault::ForgetsExpiry),
    ("a_released_lease_is_gone", Fault::ListsDeadLeases),
    ("a_released_lease_is_gone", Fault::ForgetsLeaseKind),
    ("an_abandoned_lease_is_gone", Fault::AbandonsNothing),
    ("a_dropped_lease_is_gone", Fault::ListsDeadLeases),
    ("adoption_hands_over_what_is_held", Fault::OmitsResource),
];

fn subject(fault: Fault) -> LeaseSubject {
    let clock = Arc::new(ManualClock::default());
    let memory = Memory::new(clock.clone());
    LeaseSubject::new(Arc::new(Faulty::new(memory.leases, fault)), SuiteClock::Manual(clock))
}

#[test]
fn every_check_of_lease_managers_can_fail() {
    assert_eq!(prove(CHECKS, FAULTS, subject).unwrap(), [""; 0]);
}
