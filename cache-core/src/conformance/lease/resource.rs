//! What leases hold.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::conformance::Outcome;
use crate::conformance::lease::LeaseSubject;
use crate::conformance::require::{require_equal, require_kind};
use crate::digest::{Algorithm, Digest, DigestHasher};
use crate::error::ErrorKind;
use crate::memory::{ManualClock, Memory};
use crate::ports::{Lease, LeaseManager, LeaseOptions, Resource};

/// One or more of every kind, with names of every sort. None of them exists.
fn resources() -> Vec<Resource> {
    let snapshot =
        |snapshotter: &str, key: &str| Resource::Snapshot { snapshotter: snapshotter.to_owned(), key: key.to_owned() };
    vec![
        Resource::Content(Digest::of("one")),
        Resource::Content(DigestHasher::new(Algorithm::Sha512).finish()),
        Resource::Ingest("key".to_owned()),
        Resource::Ingest("a/b c\n".to_owned()),
        snapshot("overlayfs", "key"),
        snapshot("native", "key"),
        snapshot("native", "a/b"),
        Resource::Image("example.com/name:tag".to_owned()),
        Resource::Image("key".to_owned()),
    ]
}

async fn held(leases: &dyn LeaseManager, lease: &Lease) -> crate::Result<Vec<Resource>> {
    let mut held = leases.resources(lease).await?;
    held.sort();
    Ok(held)
}

/// Every kind of resource is held, once however often it is attached, whether or not it exists.
pub async fn every_kind_is_held(subject: LeaseSubject) -> Outcome {
    let leases = &subject.leases;
    let lease = leases.create(LeaseOptions::default()).await?;
    require_equal(&leases.resources(&lease).await?, &Vec::new(), "a new lease holds nothing")?;
    let wanted: BTreeSet<_> = resources().into_iter().collect();
    leases.attach(&lease, &resources()).await?;
    leases.attach(&lease, &resources()).await?;
    leases.attach(&lease, &[]).await?;
    require_equal(&held(&**leases, &lease).await?, &wanted.into_iter().collect(), "everything attached is held once")
}

/// What is detached is held no more, the rest is; what was not held is no error.
pub async fn what_is_detached_is_held_no_more(subject: LeaseSubject) -> Outcome {
    let leases = &subject.leases;
    let lease = leases.create(LeaseOptions::default()).await?;
    leases.attach(&lease, &resources()).await?;
    let mut left = resources();
    left.sort();
    for resource in resources() {
        leases.detach(&lease, std::slice::from_ref(&resource)).await?;
        leases.detach(&lease, std::slice::from_ref(&resource)).await?;
        left.retain(|other| *other != resource);
        require_equal(&held(&**leases, &lease).await?, &left, "a lease holds what was not detached")?;
    }
    Ok(())
}

/// Attaching and detaching concern one lease.
pub async fn each_lease_holds_its_own(subject: LeaseSubject) -> Outcome {
    let leases = &subject.leases;
    let first = leases.create(LeaseOptions::default()).await?;
    let second = leases.create(LeaseOptions::default()).await?;
    let (shared, own) = (Resource::Ingest("shared".to_owned()), Resource::Ingest("own".to_owned()));
    leases.attach(&first, &[shared.clone(), own.clone()]).await?;
    leases.attach(&second, std::slice::from_ref(&shared)).await?;
    require_equal(&held(&**leases, &second).await?, &vec![shared.clone()], "a lease holds what was attached to it")?;
    leases.detach(&first, std::slice::from_ref(&shared)).await?;
    require_equal(&held(&**leases, &first).await?, &vec![own], "a lease holds what was not detached from it")?;
    require_equal(&held(&**leases, &second).await?, &vec![shared], "the other lease holds on")
}

/// Every operation on a deleted lease is `Invalid`.
pub async fn a_dead_lease_is_refused(subject: LeaseSubject) -> Outcome {
    let lease = subject.leases.create(LeaseOptions::default()).await?;
    subject.leases.delete(lease.id()).await?;
    refuses(&*subject.leases, &lease).await
}

/// Every operation on the lease of another manager is `Invalid`, also where the own manager has one of the same name.
pub async fn a_foreign_lease_is_refused(subject: LeaseSubject) -> Outcome {
    let own = subject.leases.create(LeaseOptions::default()).await?;
    let elsewhere = Memory::new(Arc::new(ManualClock::default()));
    let foreign = elsewhere.leases.create(LeaseOptions::default().with_id(own.id())).await?;
    refuses(&*subject.leases, &foreign).await?;
    require_equal(&subject.leases.resources(&own).await?, &Vec::new(), "the own lease is not touched")
}

pub(super) async fn refuses(leases: &dyn LeaseManager, lease: &Lease) -> Outcome {
    let resource = [Resource::Ingest("key".to_owned())];
    require_kind(leases.attach(lease, &resource).await, ErrorKind::Invalid, "attach refuses the lease")?;
    require_kind(leases.detach(lease, &resource).await, ErrorKind::Invalid, "detach refuses the lease")?;
    require_kind(leases.resources(lease).await, ErrorKind::Invalid, "resources refuses the lease")?;
    require_kind(leases.renew(lease).await, ErrorKind::Invalid, "renew refuses the lease")
}
