//! A shared result with the lease under which it was made.

use std::sync::Arc;

use crate::error::Result;
use crate::ports::{Lease, TemporaryLease};

/// The outcome of shared work with the temporary lease that holds what the work created. Each caller lets its own lease
/// adopt it; the temporary lease ends with the last clone. Mirrors: BuildKit `util/leaseutil.LeaseRef`.
#[derive(Clone, Debug)]
pub struct Held<T> {
    value: T,
    lease: Option<Arc<TemporaryLease>>,
}

impl<T> Held<T> {
    /// `value`, of which `lease` holds what was created.
    pub fn new(value: T, lease: TemporaryLease) -> Self {
        Self { value, lease: Some(Arc::new(lease)) }
    }

    /// `value`, for which nothing was created.
    pub fn found(value: T) -> Self {
        Self { value, lease: None }
    }

    /// The value, before it is adopted.
    pub fn value(&self) -> &T {
        &self.value
    }

    /// Lets `lease` hold what was created, and gives the value.
    ///
    /// # Errors
    /// `Invalid` if `lease` is dead; the backend's own failures.
    ///
    /// # Cancel safety
    /// A dropped call either adopted or not; the other callers keep theirs.
    pub async fn adopt_into(self, lease: &Lease) -> Result<T> {
        if let Some(temporary) = &self.lease {
            temporary.adopt_into(lease).await?;
        }
        Ok(self.value)
    }
}
