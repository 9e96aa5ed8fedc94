//! Removing snapshots.

use crate::conformance::Outcome;
use crate::conformance::require::{require_equal, require_kind};
use crate::conformance::snapshot::SnapshotSubject;
use crate::error::ErrorKind;
use crate::labels::Labels;
use crate::ports::SnapshotKind;

/// A key is free when its snapshot is removed, for every kind, also under the name of an old parent. Mirrors: case
/// `Remove`.
pub async fn a_removed_key_begins_anew(subject: SnapshotSubject) -> Outcome {
    let lease = subject.lease().await?;
    let snapshotter = &subject.snapshotter;
    subject.layer(&lease, "base", None).await?;
    subject.prepare(&lease, "key", Some("base")).await?;
    snapshotter.remove("key").await?;
    require_equal(&snapshotter.stat("key").await?, &None, "a removed snapshot is gone")?;
    subject.view(&lease, "key", Some("base")).await?;
    require_equal(&subject.info("key").await?.kind, &SnapshotKind::View, "a removed key begins anew")?;
    snapshotter.remove("key").await?;
    subject.prepare(&lease, "key", None).await?;
    snapshotter.remove("base").await?;
    require_equal(&snapshotter.stat("base").await?, &None, "a removed snapshot is gone")?;
    snapshotter.commit(&lease, "base", "key", Labels::new()).await?;
    require_equal(&subject.info("base").await?.parent, &None, "a name can be another snapshot's")?;
    require_equal(&snapshotter.list().await?.len(), &1, "removed snapshots are not listed")
}

/// What another snapshot has as its parent is `Busy` until that one is gone. Mirrors: `RemoveWithChildren`.
pub async fn a_parent_is_busy(subject: SnapshotSubject) -> Outcome {
    let lease = subject.lease().await?;
    let snapshotter = &subject.snapshotter;
    for (number, kind) in [SnapshotKind::Active, SnapshotKind::View, SnapshotKind::Committed].into_iter().enumerate() {
        let base = format!("base {number}");
        subject.layer(&lease, &base, None).await?;
        match kind {
            SnapshotKind::Active => drop(subject.prepare(&lease, "child", Some(&base)).await?),
            SnapshotKind::View => drop(subject.view(&lease, "child", Some(&base)).await?),
            SnapshotKind::Committed => subject.layer(&lease, "child", Some(&base)).await?,
        }
        let before = subject.info(&base).await?;
        require_kind(snapshotter.remove(&base).await, ErrorKind::Busy, "a parent is not removed")?;
        require_equal(&subject.info(&base).await?, &before, "a refusal changes nothing")?;
        snapshotter.remove("child").await?;
        snapshotter.remove(&base).await?;
        require_equal(&snapshotter.stat(&base).await?, &None, "without children a parent can be removed")?;
    }
    Ok(())
}

/// From the top to the bottom everything can be removed. Mirrors: case `RemoveIntermediateSnapshot`.
pub async fn a_chain_is_removed_from_the_top(subject: SnapshotSubject) -> Outcome {
    let lease = subject.lease().await?;
    subject.one_of_each(&lease).await?;
    for parent in ["base", "top"] {
        require_kind(subject.snapshotter.remove(parent).await, ErrorKind::Busy, "a parent is not removed")?;
    }
    for key in ["view", "active", "top", "base"] {
        subject.snapshotter.remove(key).await?;
    }
    require_equal(&subject.snapshotter.list().await?, &Vec::new(), "everything is removed")
}
