//! Blobs that the lease of a record holds although the record does not name them.

use crate::cache::core::Core;
use crate::cache::record::Record;
use crate::cache::remove::Alone;
use crate::cache::usage::{Survey, Surveyed};
use crate::error::{ErrorKind, Result};
use crate::ports::{Lease, Resource};

impl Core {
    /// Lets the leases of records that nobody uses go of blobs that were never given to them; whether there were any.
    pub(super) async fn release_strays(&self, survey: &Survey) -> Result<bool> {
        let mut released = false;
        for surveyed in survey.refs.iter().filter(|surveyed| may_have_strays(surveyed, survey)) {
            if let Some(alone) = self.alone(&surveyed.usage.id).await? {
                released |= alone.release_strays().await?;
            }
        }
        Ok(released)
    }
}

/// Variants of the blob look like strays here, because a survey does not tell which lease holds a thing.
fn may_have_strays(surveyed: &Surveyed, survey: &Survey) -> bool {
    let record = surveyed.record.as_ref().filter(|_| !surveyed.usage.in_use);
    record.is_some_and(|record| survey.ledger.held(&surveyed.usage.id).any(|resource| is_stray(record, resource)))
}

fn is_stray(record: &Record, resource: &Resource) -> bool {
    let named = record.layer().map(|layer| layer.descriptor.digest);
    matches!(resource, Resource::Content(digest) if Some(*digest) != named)
}

impl Alone<'_> {
    /// Lets the record's lease go of blobs that the record does not name; whether there were any.
    ///
    /// Nobody can be about to name one: whoever gives the record a blob holds its lock. A process that was killed, or that
    /// dropped its manager, may have left a change of the record under way; so the record is written again first, after
    /// which such a change is refused.
    pub(super) async fn release_strays(&self) -> Result<bool> {
        let Some(record) = self.record().await?.filter(|record| !record.deleted) else { return Ok(false) };
        let Some(lease) = self.core().backends.leases.get(&record.id).await? else { return Ok(false) };
        if strays(&lease, &record).await?.is_empty() {
            return Ok(false);
        }
        let record = self.core().records.fence(&record.id).await?.record;
        let strays = strays(&lease, &record).await?;
        if strays.is_empty() {
            return Ok(false);
        }
        tracing::debug!(id = record.id, count = strays.len(), "blobs that were never given to a ref are let go of");
        self.core().backends.leases.detach(&lease, &strays).await?;
        Ok(true)
    }
}

async fn strays(lease: &Lease, record: &Record) -> Result<Vec<Resource>> {
    match lease.manager().resources(lease).await {
        Ok(held) => Ok(held.into_iter().filter(|resource| is_stray(record, resource)).collect()),
        // The lease has ended, and holds nothing.
        Err(error) if error.kind() == ErrorKind::Invalid => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}
