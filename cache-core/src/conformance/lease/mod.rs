//! The suite for lease managers. What leases keep is in the suite for [collectors](crate::conformance::collector).
//! Mirrors: containerd `core/metadata/leases_test.go`.

pub mod expiry;
pub mod life;
pub mod resource;
pub mod temporary;

use std::any::Any;
use std::sync::Arc;

use crate::conformance::SuiteClock;
use crate::ports::LeaseManager;

/// A lease manager without leases.
#[derive(Debug)]
pub struct LeaseSubject {
    leases: Arc<dyn LeaseManager>,
    clock: SuiteClock,
    _keep: Option<Box<dyn Any + Send + Sync>>,
}

impl LeaseSubject {
    /// `leases`, which has none, and the clock from which it takes its times.
    pub fn new(leases: Arc<dyn LeaseManager>, clock: SuiteClock) -> Self {
        Self { leases, clock, _keep: None }
    }

    /// The same, holding `keep` (a temporary directory, a server) until the check has ended.
    #[must_use]
    pub fn keeping(mut self, keep: impl Any + Send + Sync) -> Self {
        self._keep = Some(Box::new(keep));
        self
    }
}

suite! {
    ($)
    /// One `#[test]` for every check of [`conformance::lease`](crate::conformance::lease), each on a fresh subject of
    /// the given factory.
    lease_conformance, lease, LeaseSubject;
    life::fresh_names_differ,
    life::a_wanted_name_is_given_once,
    life::the_name_of_a_dead_lease_begins_anew,
    life::what_was_wanted_is_listed,
    life::a_deleted_lease_is_gone,
    life::a_lease_outlives_its_handles,
    life::an_absent_lease_is_none,
    resource::every_kind_is_held,
    resource::what_is_detached_is_held_no_more,
    resource::each_lease_holds_its_own,
    resource::a_dead_lease_is_refused,
    resource::a_foreign_lease_is_refused,
    expiry::an_expired_lease_is_dead,
    expiry::a_lease_without_expiry_stays,
    expiry::renewal_counts_from_now,
    temporary::a_released_lease_is_gone,
    temporary::an_abandoned_lease_is_gone,
    temporary::a_dropped_lease_is_gone,
    temporary::adoption_hands_over_what_is_held,
}
