//! Locks by name among all processes that share a backend.

use std::fmt::Debug;

use async_trait::async_trait;

use crate::error::Result;

/// How a lock is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LockMode {
    /// Beside other shared holders.
    Shared,
    /// Alone.
    Exclusive,
}

/// A held lock; dropping it lets go at once. The operating system lets go when the process dies.
pub trait LockGuard: Send + Sync + Debug + 'static {}

/// Gives out locks.
///
/// # Cancel safety
/// A dropped call holds nothing.
#[async_trait]
pub trait Locks: Send + Sync + Debug + 'static {
    /// Waits for the lock `name`.
    ///
    /// # Errors
    /// `Invalid` for an empty name; the backend's own failures.
    async fn acquire(&self, name: &str, mode: LockMode) -> Result<Box<dyn LockGuard>>;

    /// The lock `name`, if it can be had now.
    ///
    /// # Errors
    /// As [`acquire`](Self::acquire).
    async fn try_acquire(&self, name: &str, mode: LockMode) -> Result<Option<Box<dyn LockGuard>>>;

    /// How somebody holds the lock `name` now, in whatever process; `None` if nobody does. It only looks: because of it no
    /// [`try_acquire`](Self::try_acquire) is refused and no other look sees a holder.
    ///
    /// # Errors
    /// As [`acquire`](Self::acquire).
    async fn holder(&self, name: &str) -> Result<Option<LockMode>>;
}
