//! How snapshots begin.

use std::sync::Arc;

use crate::conformance::Outcome;
use crate::conformance::blob::labels;
use crate::conformance::require::{require, require_equal, require_kind};
use crate::conformance::snapshot::SnapshotSubject;
use crate::error::ErrorKind;
use crate::labels::Labels;
use crate::memory::{ManualClock, Memory};
use crate::ports::{Lease, LeaseManager, LeaseOptions, SnapshotKind};

/// Kind, parent, labels and times are as wanted. Mirrors: cases `StatActive`, `Update`; `CreateActive`.
pub async fn what_was_wanted_is_there(subject: SnapshotSubject) -> Outcome {
    let lease = subject.lease().await?;
    subject.layer(&lease, "base", None).await?;
    let wanted = labels([("a", "1"), ("containerd.io/snapshot/x", "")]);
    for (parent, suffix) in [(None, "alone"), (Some("base"), "over base")] {
        for kind in [SnapshotKind::Active, SnapshotKind::View] {
            subject.clock.tick().await;
            let window = subject.clock.window();
            let key = format!("{kind:?} {suffix}");
            let mounts = match kind {
                SnapshotKind::View => subject.snapshotter.view(&lease, &key, parent, wanted.clone()).await?,
                _ => subject.prepare_labelled(&lease, &key, parent, wanted.clone()).await?,
            };
            require(!mounts.is_empty(), "a snapshot has mounts")?;
            let info = subject.info(&key).await?;
            require_equal(&info.key, &key, "a snapshot has its key")?;
            require_equal(&info.kind, &kind, "a snapshot is of its kind")?;
            require_equal(&info.parent.as_deref(), &parent, "a snapshot has its parent")?;
            require_equal(&info.labels, &wanted, "a snapshot has its labels")?;
            window.require(info.created_at, "a snapshot is created when it is")?;
            require_equal(&info.updated_at, &info.created_at, "a new snapshot was not updated")?;
        }
    }
    Ok(())
}

/// Whatever has a key, nothing else can have it. Mirrors: case `PreareViewFailingtest`; `CreateActiveExist`.
pub async fn a_key_is_taken_by_a_snapshot_of_any_kind(subject: SnapshotSubject) -> Outcome {
    let lease = subject.lease().await?;
    for (key, kind, parent) in subject.one_of_each(&lease).await? {
        let before = subject.info(key).await?;
        for other in [None, Some("base"), Some("top")] {
            let prepared = subject.snapshotter.prepare(&lease, key, other, Labels::new()).await;
            require_kind(prepared, ErrorKind::AlreadyExists, &format!("no {kind:?} snapshot is prepared over"))?;
            let viewed = subject.snapshotter.view(&lease, key, other, Labels::new()).await;
            require_kind(viewed, ErrorKind::AlreadyExists, &format!("no {kind:?} snapshot is viewed over"))?;
        }
        require_equal(&before.parent.as_deref(), &parent, "a snapshot has its parent")?;
        require_equal(&subject.info(key).await?, &before, "a refusal changes nothing")?;
    }
    Ok(())
}

/// What is not there is no parent. Mirrors: `CreateActiveNotExist`.
pub async fn a_missing_parent_is_not_found(subject: SnapshotSubject) -> Outcome {
    let lease = subject.lease().await?;
    let snapshotter = &subject.snapshotter;
    let prepared = snapshotter.prepare(&lease, "key", Some("absent"), Labels::new()).await;
    require_kind(prepared, ErrorKind::NotFound, "a missing parent is refused")?;
    let viewed = snapshotter.view(&lease, "key", Some("absent"), Labels::new()).await;
    require_kind(viewed, ErrorKind::NotFound, "a missing parent is refused")?;
    require_equal(&snapshotter.list().await?, &Vec::new(), "a refusal creates nothing")
}

/// An active snapshot and a view are no parents. Mirrors: `CreateActiveFromActive`.
pub async fn a_parent_must_be_committed(subject: SnapshotSubject) -> Outcome {
    let lease = subject.lease().await?;
    let snapshotter = &subject.snapshotter;
    subject.one_of_each(&lease).await?;
    for parent in ["active", "view"] {
        let prepared = snapshotter.prepare(&lease, "key", Some(parent), Labels::new()).await;
        require_kind(prepared, ErrorKind::Invalid, "a parent that is not committed is refused")?;
        let viewed = snapshotter.view(&lease, "key", Some(parent), Labels::new()).await;
        require_kind(viewed, ErrorKind::Invalid, "a parent that is not committed is refused")?;
    }
    require_equal(&snapshotter.stat("key").await?, &None, "a refusal creates nothing")
}

/// Different texts are different keys and names.
pub async fn keys_are_opaque(subject: SnapshotSubject) -> Outcome {
    let lease = subject.lease().await?;
    let long = "k".repeat(2000);
    let keys = [".", "..", "../x", "/x", "a/b", "A", "a", "a b", "ключ", "a\u{301}", "\u{e1}", "%", "_", long.as_str()];
    for key in keys {
        let own = Labels::from([("key".to_owned(), key.to_owned())]);
        subject.prepare_labelled(&lease, key, None, own).await?;
    }
    for key in keys {
        let own = Labels::from([("key".to_owned(), key.to_owned())]);
        require(subject.info(key).await?.labels == own, "no two keys are one")?;
        subject.snapshotter.commit(&lease, &format!("committed {key}"), key, own).await?;
    }
    require_equal(&subject.snapshotter.list().await?.len(), &keys.len(), "every key is a snapshot of its own")
}

/// The mounts of an active snapshot and of a view are those that it began with; a committed one has none.
/// Mirrors: `GetSnapshot`, `GetSnapshotCommitted`.
pub async fn mounts_can_be_asked_for_again(subject: SnapshotSubject) -> Outcome {
    let lease = subject.lease().await?;
    subject.layer(&lease, "base", None).await?;
    for (key, parent) in [("alone", None), ("over base", Some("base"))] {
        let mounts = subject.prepare(&lease, key, parent).await?;
        require_equal(&subject.snapshotter.mounts(key).await?, &mounts, "an active snapshot keeps its mounts")?;
        let key = format!("view {key}");
        let mounts = subject.view(&lease, &key, parent).await?;
        require_equal(&subject.snapshotter.mounts(&key).await?, &mounts, "a view keeps its mounts")?;
    }
    require_kind(subject.snapshotter.mounts("base").await, ErrorKind::Invalid, "a committed snapshot has no mounts")
}

/// A deleted lease is `Invalid`, to begin and to commit, and nothing is created.
pub async fn a_dead_lease_is_invalid(subject: SnapshotSubject) -> Outcome {
    let (lease, dead) = (subject.lease().await?, subject.lease().await?);
    subject.leases.delete(dead.id()).await?;
    refuses(&subject, &lease, &dead).await?;
    let committed = subject.snapshotter.commit(&dead, "name", "active", Labels::new()).await;
    require_kind(committed, ErrorKind::Invalid, "a dead lease is refused")?;
    require_equal(&subject.info("active").await?.kind, &SnapshotKind::Active, "a refusal commits nothing")
}

/// The lease of another manager is `Invalid`, also where the own manager has one of the same name.
pub async fn a_foreign_lease_is_invalid(subject: SnapshotSubject) -> Outcome {
    let lease = subject.lease().await?;
    let elsewhere = Memory::new(Arc::new(ManualClock::default()));
    let foreign = elsewhere.leases.create(LeaseOptions::default().with_id(lease.id())).await?;
    refuses(&subject, &lease, &foreign).await
}

async fn refuses(subject: &SnapshotSubject, good: &Lease, bad: &Lease) -> Outcome {
    subject.one_of_each(good).await?;
    let prepared = subject.snapshotter.prepare(bad, "key", Some("top"), Labels::new()).await;
    require_kind(prepared, ErrorKind::Invalid, "prepare refuses the lease")?;
    let viewed = subject.snapshotter.view(bad, "key", Some("top"), Labels::new()).await;
    require_kind(viewed, ErrorKind::Invalid, "view refuses the lease")?;
    require_equal(&subject.snapshotter.stat("key").await?, &None, "a refusal creates nothing")
}
