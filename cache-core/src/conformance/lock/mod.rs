//! The suite for locks.

pub mod exclusion;
pub mod look;
pub mod name;
pub mod waiting;

use std::any::Any;
use std::sync::Arc;

use crate::conformance::Unmet;
use crate::conformance::require::{require, require_some};
use crate::ports::{LockGuard, LockMode, Locks};

/// Locks that nobody holds.
#[derive(Debug)]
pub struct LockSubject {
    first: Arc<dyn Locks>,
    second: Arc<dyn Locks>,
    _keep: Option<Box<dyn Any + Send + Sync>>,
}

impl LockSubject {
    /// `locks`, of which nobody holds any.
    pub fn new(locks: Arc<dyn Locks>) -> Self {
        Self { second: Arc::clone(&locks), first: locks, _keep: None }
    }

    /// The same, where every second holder comes through `other`, which is opened on the same storage as another
    /// process would open it.
    #[must_use]
    pub fn with_other_handle(mut self, other: Arc<dyn Locks>) -> Self {
        self.second = other;
        self
    }

    /// The same, holding `keep` (a temporary directory, a server) until the check has ended.
    #[must_use]
    pub fn keeping(mut self, keep: impl Any + Send + Sync) -> Self {
        self._keep = Some(Box::new(keep));
        self
    }
}

/// A lock that can be had now.
async fn had(locks: &dyn Locks, name: &str, mode: LockMode) -> Result<Box<dyn LockGuard>, Unmet> {
    require_some(locks.try_acquire(name, mode).await?, "a lock that nobody excludes can be had now")
}

/// Requires that a lock cannot be had now.
async fn refused(locks: &dyn Locks, name: &str, mode: LockMode) -> Result<(), Unmet> {
    require(locks.try_acquire(name, mode).await?.is_none(), "a lock that somebody excludes cannot be had now")
}

suite! {
    ($)
    /// One `#[test]` for every check of [`conformance::lock`](crate::conformance::lock), each on a fresh subject of the
    /// given factory.
    lock_conformance, lock, LockSubject;
    exclusion::an_exclusive_holder_is_alone,
    exclusion::shared_holders_stand_beside_each_other,
    exclusion::a_dropped_guard_lets_go_at_once,
    look::a_look_tells_how_a_lock_is_held,
    look::a_look_is_no_holder,
    name::every_name_is_a_lock_of_its_own,
    name::the_empty_name_is_invalid,
    waiting::acquire_waits_for_its_turn,
    waiting::acquire_does_not_wait_without_need,
    waiting::a_dropped_wait_holds_nothing,
    waiting::of_many_tasks_one_is_inside,
}
