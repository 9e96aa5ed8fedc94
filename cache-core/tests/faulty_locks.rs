//! Every check of the lock suite can fail.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

use std::sync::Arc;

use cache_core::conformance::lock::{CHECKS, LockSubject};
use cache_core::conformance::{Fault, Faulty, prove};
use cache_core::memory::MemoryLocks;

const FAULTS: &[(&str, Fault)] = &[
    ("an_exclusive_holder_is_alone", Fault::LocksOnlyShared),
    ("shared_holders_stand_beside_each_other", Fault::LocksOnlyExclusive),
    ("a_dropped_guard_lets_go_at_once", Fault::NeverUnlocks),
    ("a_look_tells_how_a_lock_is_held", Fault::SeesNoHolder),
    ("a_look_tells_how_a_lock_is_held", Fault::SeesOnlyExclusive),
    ("a_look_is_no_holder", Fault::LooksByTaking),
    ("every_name_is_a_lock_of_its_own", Fault::FoldsCaseOfKeys),
    ("the_empty_name_is_invalid", Fault::AcceptsEmptyKey),
    ("acquire_waits_for_its_turn", Fault::AcquireDoesNotWait),
    ("acquire_does_not_wait_without_need", Fault::LocksOnlyShared),
    ("a_dropped_wait_holds_nothing", Fault::DroppedWaitHolds),
    ("of_many_tasks_one_is_inside", Fault::AcquireDoesNotWait),
];

fn subject(fault: Fault) -> LockSubject {
    LockSubject::new(Arc::new(Faulty::new(Arc::<MemoryLocks>::default(), fault)))
}

#[test]
fn every_check_of_locks_can_fail() {
    assert_eq!(prove(CHECKS, FAULTS, subject).unwrap(), [""; 0]);
}
