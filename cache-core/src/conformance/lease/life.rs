//! How leases begin and end.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::conformance::Outcome;
use crate::conformance::blob::labels;
use crate::conformance::lease::LeaseSubject;
use crate::conformance::require::{require, require_equal, require_kind, require_some};
use crate::error::ErrorKind;
use crate::ports::{LeaseKind, LeaseOptions, Resource};

/// Leases without a wanted name have names that nobody else has.
pub async fn fresh_names_differ(subject: LeaseSubject) -> Outcome {
    let mut names = BTreeSet::new();
    for _ in 0..20 {
        let lease = subject.leases.create(LeaseOptions::default()).await?;
        require(names.insert(lease.id().to_owned()), "a fresh lease has a name of its own")?;
    }
    let listed: BTreeSet<_> = subject.leases.list().await?.into_iter().map(|info| info.id).collect();
    require_equal(&listed, &names, "every lease is listed")
}

/// A name that a live lease has is `AlreadyExists`, and that lease is not disturbed.
pub async fn a_wanted_name_is_given_once(subject: LeaseSubject) -> Outcome {
    let leases = &subject.leases;
    for name in ["a", "A", "with space", "../x", "ключ", "'; --"] {
        let options = LeaseOptions::default().with_id(name).with_labels(labels([("first", "1")]));
        let lease = leases.create(options).await?;
        require_equal(&lease.id(), &name, "a lease has the name that was wanted")?;
        let held = [Resource::Ingest("held".to_owned())];
        leases.attach(&lease, &held).await?;
        let again = leases.create(LeaseOptions::new(LeaseKind::Flat).with_id(name)).await;
        require_kind(again, ErrorKind::AlreadyExists, "a name that is taken is refused")?;
        require_equal(&leases.resources(&lease).await?.as_slice(), &held.as_slice(), "the first lease holds on")?;
        let listed = leases.list().await?.into_iter().find(|info| info.id == name);
        let listed = require_some(listed, "the first lease is listed")?;
        require_equal(&listed.labels, &labels([("first", "1")]), "the first lease keeps its labels")?;
    }
    Ok(())
}

/// A lease that takes the name of a deleted one holds nothing of it.
pub async fn the_name_of_a_dead_lease_begins_anew(subject: LeaseSubject) -> Outcome {
    let leases = &subject.leases;
    let first = leases.create(LeaseOptions::default().with_id("name")).await?;
    leases.attach(&first, &[Resource::Ingest("held".to_owned())]).await?;
    leases.delete("name").await?;
    let second = leases.create(LeaseOptions::default().with_id("name")).await?;
    require_equal(&leases.resources(&second).await?, &Vec::new(), "a new lease holds nothing")
}

/// Kind, labels and times are as wanted.
pub async fn what_was_wanted_is_listed(subject: LeaseSubject) -> Outcome {
    let leases = &subject.leases;
    let wanted = labels([("a", "1"), ("b/c.d", "")]);
    for kind in [LeaseKind::Permanent, LeaseKind::Flat, LeaseKind::Temporary] {
        for expires_after in [None, Some(Duration::from_secs(3600))] {
            let mut options = LeaseOptions::new(kind).with_labels(wanted.clone());
            options.expires_after = expires_after;
            let window = subject.clock.window();
            let lease = leases.create(options).await?;
            let info = leases.list().await?.into_iter().find(|info| info.id == lease.id());
            let info = require_some(info, "every lease is listed")?;
            require_equal(&info.kind, &kind, "a lease is of its kind")?;
            require_equal(&info.labels, &wanted, "a lease has its labels")?;
            window.require(info.created_at, "a lease is created when it is")?;
            let expires_at = expires_after.and_then(|after| info.created_at.checked_add(after));
            require_equal(&info.expires_at, &expires_at, "an expiry counts from the creation")?;
            subject.clock.tick().await;
        }
    }
    Ok(())
}

/// A deleted lease is neither found nor listed, and cannot be deleted again; others stay.
pub async fn a_deleted_lease_is_gone(subject: LeaseSubject) -> Outcome {
    let leases = &subject.leases;
    let lease = leases.create(LeaseOptions::default()).await?;
    let other = leases.create(LeaseOptions::default()).await?;
    require_equal(&leases.delete(lease.id()).await?, &true, "there was a lease to delete")?;
    require(leases.get(lease.id()).await?.is_none(), "a deleted lease is not found")?;
    let listed: Vec<_> = leases.list().await?.into_iter().map(|info| info.id).collect();
    require_equal(&listed, &vec![other.id().to_owned()], "the others stay, and they alone")?;
    require_equal(&leases.delete(lease.id()).await?, &false, "a lease is deleted once")
}

/// Dropping every handle of a lease changes nothing; it is found by name and holds what it held.
pub async fn a_lease_outlives_its_handles(subject: LeaseSubject) -> Outcome {
    let leases = &subject.leases;
    let lease = leases.create(LeaseOptions::default().with_id("name")).await?;
    let held = [Resource::Ingest("held".to_owned())];
    leases.attach(&lease, &held).await?;
    drop(lease.clone());
    drop(lease);
    let found = require_some(leases.get("name").await?, "a lease is found by its name")?;
    require_equal(&found.id(), &"name", "the found lease has the name")?;
    require_equal(&leases.resources(&found).await?.as_slice(), &held.as_slice(), "the found lease holds what it held")
}

/// There is no lease of a name that was never given.
pub async fn an_absent_lease_is_none(subject: LeaseSubject) -> Outcome {
    subject.leases.create(LeaseOptions::default().with_id("name")).await?;
    for absent in ["", "nam", "name2", "NAME"] {
        require(subject.leases.get(absent).await?.is_none(), "an absent lease is none")?;
        require_equal(&subject.leases.delete(absent).await?, &false, "there is nothing to delete")?;
    }
    require(subject.leases.get("name").await?.is_some(), "the lease that there is stays")
}
