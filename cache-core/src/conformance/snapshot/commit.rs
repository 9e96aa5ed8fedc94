//! How active snapshots become committed ones.

use crate::conformance::Outcome;
use crate::conformance::blob::labels;
use crate::conformance::require::{require_equal, require_kind};
use crate::conformance::snapshot::SnapshotSubject;
use crate::error::ErrorKind;
use crate::labels::Labels;
use crate::ports::SnapshotKind;

/// The key is gone, the name is there with the same parent, and the key is free. Mirrors: cases `Basic`,
/// `StatComitted`.
pub async fn a_commit_takes_the_key_and_gives_the_name(subject: SnapshotSubject) -> Outcome {
    let lease = subject.lease().await?;
    for (name, parent) in [("base", None), ("top", Some("base"))] {
        subject.prepare(&lease, "key", parent).await?;
        let active = subject.info("key").await?;
        subject.clock.tick().await;
        let window = subject.clock.window();
        subject.snapshotter.commit(&lease, name, "key", Labels::new()).await?;
        require_equal(&subject.snapshotter.stat("key").await?, &None, "a committed key is gone")?;
        let info = subject.info(name).await?;
        require_equal(&info.key.as_str(), &name, "a committed snapshot has its name")?;
        require_equal(&info.kind, &SnapshotKind::Committed, "a committed snapshot is one")?;
        require_equal(&info.parent.as_deref(), &parent, "a commit keeps the parent")?;
        require_equal(&info.created_at, &active.created_at, "a commit does not create the snapshot again")?;
        window.require(info.updated_at, "a commit moves the time of the update")?;
    }
    Ok(())
}

/// The labels are those of the commit; the active snapshot's are gone.
pub async fn a_commit_has_its_own_labels(subject: SnapshotSubject) -> Outcome {
    let lease = subject.lease().await?;
    for (number, wanted) in [labels([("kept", "new"), ("own", "1")]), Labels::new()].into_iter().enumerate() {
        let active = labels([("kept", "old"), ("gone", "1")]);
        subject.prepare_labelled(&lease, "key", None, active).await?;
        let name = format!("name {number}");
        subject.snapshotter.commit(&lease, &name, "key", wanted.clone()).await?;
        require_equal(&subject.info(&name).await?.labels, &wanted, "a commit has its own labels")?;
    }
    Ok(())
}

/// A name that a snapshot of any kind has as its name or key is refused. Mirrors: `CommitExist`.
pub async fn a_name_that_is_taken_is_refused(subject: SnapshotSubject) -> Outcome {
    let lease = subject.lease().await?;
    let there = subject.one_of_each(&lease).await?;
    subject.prepare(&lease, "key", None).await?;
    let before = subject.info("key").await?;
    for (name, ..) in there {
        let committed = subject.snapshotter.commit(&lease, name, "key", Labels::new()).await;
        require_kind(committed, ErrorKind::AlreadyExists, "a name that is taken is refused")?;
    }
    require_equal(&subject.info("key").await?, &before, "a refusal changes nothing")?;
    subject.snapshotter.commit(&lease, "free", "key", Labels::new()).await?;
    Ok(())
}

/// A view and a committed snapshot cannot be committed. Mirrors: `CommitCommitted`, `CommitViewFails`.
pub async fn only_an_active_snapshot_can_be_committed(subject: SnapshotSubject) -> Outcome {
    let lease = subject.lease().await?;
    subject.one_of_each(&lease).await?;
    for key in ["view", "top", "base"] {
        let before = subject.info(key).await?;
        let committed = subject.snapshotter.commit(&lease, "name", key, Labels::new()).await;
        require_kind(committed, ErrorKind::Invalid, "what is not active is not committed")?;
        require_equal(&subject.info(key).await?, &before, "a refusal changes nothing")?;
        require_equal(&subject.snapshotter.stat("name").await?, &None, "a refusal creates nothing")?;
    }
    Ok(())
}

/// What is not there cannot be committed. containerd's case of this name runs another one's body.
pub async fn a_missing_key_is_not_found(subject: SnapshotSubject) -> Outcome {
    let lease = subject.lease().await?;
    let committed = subject.snapshotter.commit(&lease, "name", "absent", Labels::new()).await;
    require_kind(committed, ErrorKind::NotFound, "what is not there is not committed")?;
    require_equal(&subject.snapshotter.stat("name").await?, &None, "a refusal creates nothing")
}

/// Each snapshot names the one right under it. Mirrors: case `TransitivityTest`; `ParentIDs`.
pub async fn parents_form_a_chain(subject: SnapshotSubject) -> Outcome {
    let lease = subject.lease().await?;
    let names = ["1", "2", "3", "4"];
    let parents = [None, Some("1"), Some("2"), Some("3")];
    for (name, parent) in names.into_iter().zip(parents) {
        subject.layer(&lease, name, parent).await?;
    }
    for (name, parent) in names.into_iter().zip(parents) {
        require_equal(&subject.info(name).await?.parent.as_deref(), &parent, "a snapshot names its parent")?;
    }
    Ok(())
}
