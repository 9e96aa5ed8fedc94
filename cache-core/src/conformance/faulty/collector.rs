//! Faulty collectors.

use std::sync::Arc;

use async_trait::async_trait;

use crate::conformance::faulty::{Fault, Faulty};
use crate::error::Result;
use crate::ports::{Collected, Collector, LeaseManager};

impl<T: ?Sized> Faulty<T> {
    /// The same with the leases that a collector overlooks where its [`Fault`] is to collect what is leased.
    #[must_use]
    pub fn overlooking(mut self, leases: Arc<dyn LeaseManager>) -> Self {
        self.overlooked = Some(leases);
        self
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl<T: Collector + ?Sized> Collector for Faulty<T> {
    async fn collect(&self) -> Result<Collected> {
        match (self.fault, &self.overlooked) {
            (Fault::CollectsNothing, _) => return Ok(Collected::default()),
            (Fault::CollectsLeased, Some(leases)) => {
                for lease in leases.list().await? {
                    leases.delete(&lease.id).await?;
                }
            }
            _ => {}
        }
        let collected = self.inner.collect().await?;
        match self.fault {
            Fault::CountsOneMore => Ok(Collected { blobs: collected.blobs + 1, ..collected }),
            _ => Ok(collected),
        }
    }
}
