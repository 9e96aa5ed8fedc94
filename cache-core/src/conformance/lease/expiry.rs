//! Leases that end by themselves.

use std::time::Duration;

use crate::conformance::Outcome;
use crate::conformance::lease::LeaseSubject;
use crate::conformance::lease::resource::refuses;
use crate::conformance::require::{require, require_equal, require_some};
use crate::ports::{LeaseKind, LeaseOptions, Resource};

/// Long enough for a manager that keeps whole seconds, short enough to wait for where the clock is real.
pub(in crate::conformance) const EXPIRY: Duration = Duration::from_secs(4);
/// Part of it.
pub(in crate::conformance) const HALF: Duration = Duration::from_secs(2);
/// Past it.
pub(in crate::conformance) const LONGER: Duration = Duration::from_secs(5);

/// After its time a lease is neither found nor listed, every operation on it is `Invalid`, and its name is free.
pub async fn an_expired_lease_is_dead(subject: LeaseSubject) -> Outcome {
    let leases = &subject.leases;
    let options = LeaseOptions::new(LeaseKind::Permanent).with_id("name").with_expiry(EXPIRY);
    let lease = leases.create(options).await?;
    leases.attach(&lease, &[Resource::Ingest("held".to_owned())]).await?;
    subject.clock.pass(HALF).await;
    require(leases.get("name").await?.is_some(), "a lease lives until its time")?;
    subject.clock.pass(LONGER).await;
    require(leases.get("name").await?.is_none(), "an expired lease is not found")?;
    require_equal(&leases.list().await?, &Vec::new(), "an expired lease is not listed")?;
    refuses(&**leases, &lease).await?;
    let again = leases.create(LeaseOptions::default().with_id("name")).await?;
    require_equal(&leases.resources(&again).await?, &Vec::new(), "the name of an expired lease begins anew")
}

/// A lease without a time does not end by itself, also when it is renewed.
pub async fn a_lease_without_expiry_stays(subject: LeaseSubject) -> Outcome {
    let leases = &subject.leases;
    let lease = leases.create(LeaseOptions::default()).await?;
    subject.clock.pass(LONGER).await;
    leases.renew(&lease).await?;
    subject.clock.pass(LONGER).await;
    require(leases.get(lease.id()).await?.is_some(), "a lease without expiry stays")?;
    let listed = leases.list().await?.into_iter().map(|info| info.expires_at).collect::<Vec<_>>();
    require_equal(&listed, &vec![None], "a renewal gives no expiry")
}

/// A renewed lease lives its whole time from then on.
pub async fn renewal_counts_from_now(subject: LeaseSubject) -> Outcome {
    let leases = &subject.leases;
    let lease = leases.create(LeaseOptions::default().with_expiry(EXPIRY)).await?;
    for _ in 0..3 {
        subject.clock.pass(HALF).await;
        let before = subject.clock.now();
        leases.renew(&lease).await?;
        let info = leases.list().await?.into_iter().find(|info| info.id == lease.id());
        let expires_at = require_some(info, "a renewed lease lives")?.expires_at;
        require(expires_at >= before.checked_add(EXPIRY), "a renewal counts from now")?;
    }
    subject.clock.pass(LONGER).await;
    require(leases.get(lease.id()).await?.is_none(), "a renewed lease ends all the same")
}
