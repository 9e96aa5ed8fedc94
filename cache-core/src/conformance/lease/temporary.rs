//! Leases that end with their scope.

use crate::conformance::Outcome;
use crate::conformance::lease::LeaseSubject;
use crate::conformance::require::{require, require_equal, require_some};
use crate::ports::{LeaseKind, LeaseOptions, Resource, TemporaryLease};

/// A temporary lease is one of its kind until it is released, and is gone then.
pub async fn a_released_lease_is_gone(subject: LeaseSubject) -> Outcome {
    let leases = &subject.leases;
    let temporary = TemporaryLease::create(&**leases).await?;
    let listed: Vec<_> = leases.list().await?.into_iter().map(|info| info.kind).collect();
    require_equal(&listed, &vec![LeaseKind::Temporary], "a temporary lease is one")?;
    temporary.release().await?;
    require_equal(&leases.list().await?, &Vec::new(), "a released lease is gone")
}

/// A lease that nobody will delete is gone at the manager's next operation; the others stay.
pub async fn an_abandoned_lease_is_gone(subject: LeaseSubject) -> Outcome {
    let leases = &subject.leases;
    let stays = leases.create(LeaseOptions::new(LeaseKind::Temporary)).await?;
    let lease = leases.create(LeaseOptions::new(LeaseKind::Temporary)).await?;
    leases.abandon(lease.id());
    leases.abandon("never there");
    let listed: Vec<_> = leases.list().await?.into_iter().map(|info| info.id).collect();
    require_equal(&listed, &vec![stays.id().to_owned()], "an abandoned lease is gone, and it alone")?;
    require(leases.get(lease.id()).await?.is_none(), "an abandoned lease is not found")
}

/// A temporary lease that is dropped is abandoned.
pub async fn a_dropped_lease_is_gone(subject: LeaseSubject) -> Outcome {
    let leases = &subject.leases;
    drop(TemporaryLease::create(&**leases).await?);
    require_equal(&leases.list().await?, &Vec::new(), "a dropped temporary lease is gone")
}

/// The adopting lease holds what it held before and what the temporary one held.
pub async fn adoption_hands_over_what_is_held(subject: LeaseSubject) -> Outcome {
    let leases = &subject.leases;
    let target = leases.create(LeaseOptions::default().with_id("target")).await?;
    let [own, both, new] = ["own", "both", "new"].map(|key| Resource::Ingest(key.to_owned()));
    leases.attach(&target, &[own.clone(), both.clone()]).await?;
    let temporary = TemporaryLease::create(&**leases).await?;
    temporary.adopt_into(&target).await?;
    leases.attach(temporary.lease(), &[both.clone(), new.clone()]).await?;
    temporary.adopt_into(&target).await?;
    temporary.release().await?;
    let target = require_some(leases.get("target").await?, "the adopting lease lives")?;
    let mut held = leases.resources(&target).await?;
    held.sort();
    require_equal(&held, &vec![both, new, own], "adoption adds what the temporary lease held")
}
