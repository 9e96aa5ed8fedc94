//! Leases of snapshots.

use std::collections::BTreeSet;

use crate::conformance::Outcome;
use crate::conformance::require::require_equal;
use crate::conformance::snapshot::SnapshotSubject;
use crate::error::Result;
use crate::labels::Labels;
use crate::ports::{Lease, Resource};

impl SnapshotSubject {
    pub(super) fn resource(&self, key: &str) -> Resource {
        Resource::Snapshot { snapshotter: self.snapshotter.name().to_owned(), key: key.to_owned() }
    }

    async fn held(&self, lease: &Lease) -> Result<BTreeSet<Resource>> {
        Ok(self.leases.resources(lease).await?.into_iter().collect())
    }

    fn resources(&self, keys: &[&str]) -> BTreeSet<Resource> {
        keys.iter().map(|key| self.resource(key)).collect()
    }
}

/// The lease that creates a snapshot holds it, and no other does. Mirrors: `TestSnapshotterWithRef`.
pub async fn what_is_prepared_or_viewed_is_held(subject: SnapshotSubject) -> Outcome {
    let (making, other) = (subject.lease().await?, subject.lease().await?);
    subject.layer(&making, "base", None).await?;
    require_equal(&subject.held(&making).await?, &subject.resources(&["base"]), "a lease holds what it commits")?;
    subject.prepare(&other, "active", Some("base")).await?;
    subject.view(&other, "view", Some("base")).await?;
    let wanted = subject.resources(&["active", "view"]);
    require_equal(&subject.held(&other).await?, &wanted, "a lease holds what it creates")?;
    require_equal(&subject.held(&making).await?, &subject.resources(&["base"]), "another lease holds nothing of it")
}

/// After a commit, whoever held the key holds the name, and so does the committing lease.
pub async fn a_commit_hands_the_leases_over(subject: SnapshotSubject) -> Outcome {
    let (making, holding, committing, other) =
        (subject.lease().await?, subject.lease().await?, subject.lease().await?, subject.lease().await?);
    subject.prepare(&making, "key", None).await?;
    subject.leases.attach(&holding, &[subject.resource("key")]).await?;
    subject.snapshotter.commit(&committing, "name", "key", Labels::new()).await?;
    let wanted = subject.resources(&["name"]);
    for lease in [&making, &holding, &committing] {
        require_equal(&subject.held(lease).await?, &wanted, "what held the key holds the name")?;
    }
    require_equal(&subject.held(&other).await?, &subject.resources(&[]), "what did not hold the key holds nothing")
}
