//! Labels of snapshots.

use crate::conformance::Outcome;
use crate::conformance::blob::labels;
use crate::conformance::require::{require_equal, require_kind};
use crate::conformance::snapshot::SnapshotSubject;
use crate::error::ErrorKind;
use crate::labels::{LabelChange, Labels, MAX_LABEL_BYTES};

/// Labels that no change names stay; only the time of the update moves. Mirrors: case `Update`.
pub async fn change_key_by_key(subject: SnapshotSubject) -> Outcome {
    let lease = subject.lease().await?;
    for (key, ..) in subject.one_of_each(&lease).await? {
        let before = subject.info(key).await?;
        let steps = [
            (vec![LabelChange::set("l1", "1"), LabelChange::set("l2", "2")], labels([("l1", "1"), ("l2", "2")])),
            (
                vec![LabelChange::set("l1", "updated"), LabelChange::remove("l3")],
                labels([("l1", "updated"), ("l2", "2")]),
            ),
            (vec![LabelChange::remove("l2"), LabelChange::set("l4", "")], labels([("l1", "updated"), ("l4", "")])),
            (vec![LabelChange::remove("l1"), LabelChange::remove("l4")], Labels::new()),
        ];
        for (changes, wanted) in steps {
            subject.clock.tick().await;
            let window = subject.clock.window();
            let info = subject.snapshotter.change_labels(key, &changes).await?;
            require_equal(&info.labels, &wanted, "labels change key by key")?;
            window.require(info.updated_at, "a change moves the time of the update")?;
            let unmoved = (&info.key, info.kind, &info.parent, info.created_at);
            let wanted = (&before.key, before.kind, &before.parent, before.created_at);
            require_equal(&unmoved, &wanted, "a change moves nothing else")?;
            require_equal(&subject.info(key).await?, &info, "the outcome is what is told")?;
        }
    }
    Ok(())
}

/// A change that is refused leaves those before it undone.
pub async fn change_all_or_none(subject: SnapshotSubject) -> Outcome {
    let lease = subject.lease().await?;
    for (key, ..) in subject.one_of_each(&lease).await? {
        subject.snapshotter.change_labels(key, &[LabelChange::set("k1", "v1")]).await?;
        let before = subject.info(key).await?;
        for (bad, kind) in
            [("x".repeat(MAX_LABEL_BYTES), ErrorKind::LimitExceeded), (String::new(), ErrorKind::Invalid)]
        {
            let changes = [LabelChange::set("k2", "v2"), LabelChange::remove("k1"), LabelChange::set(bad, "v")];
            let changed = subject.snapshotter.change_labels(key, &changes).await;
            require_kind(changed, kind, "a label out of bounds is refused")?;
            require_equal(&subject.info(key).await?, &before, "a refused change changes nothing")?;
        }
    }
    Ok(())
}

/// Labels out of bounds are refused wherever they are given.
pub async fn limits_hold_when_a_snapshot_begins_and_commits(subject: SnapshotSubject) -> Outcome {
    let lease = subject.lease().await?;
    let snapshotter = &subject.snapshotter;
    subject.prepare(&lease, "active", None).await?;
    let long = "v".repeat(MAX_LABEL_BYTES);
    for (label, kind) in [(("k", long.as_str()), ErrorKind::LimitExceeded), (("", "v"), ErrorKind::Invalid)] {
        let bad = labels([label]);
        let prepared = snapshotter.prepare(&lease, "key", None, bad.clone()).await;
        require_kind(prepared, kind, "a label out of bounds is refused")?;
        require_kind(
            snapshotter.view(&lease, "key", None, bad.clone()).await,
            kind,
            "a label out of bounds is refused",
        )?;
        let committed = snapshotter.commit(&lease, "name", "active", bad).await;
        require_kind(committed, kind, "a label out of bounds is refused")?;
        let keys: Vec<_> = snapshotter.list().await?.into_iter().map(|info| info.key).collect();
        require_equal(&keys, &vec!["active".to_owned()], "a refusal changes nothing")?;
    }
    Ok(())
}
