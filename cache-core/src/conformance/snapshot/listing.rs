//! What is told of snapshots.

use crate::conformance::Outcome;
use crate::conformance::require::{require_equal, require_kind};
use crate::conformance::snapshot::SnapshotSubject;
use crate::error::ErrorKind;
use crate::labels::LabelChange;

/// Every snapshot is listed once, as `stat` tells it. Mirrors: cases `Walk`, `StatInWalk`.
pub async fn every_snapshot_is_listed_as_it_is_told(subject: SnapshotSubject) -> Outcome {
    require_equal(&subject.snapshotter.list().await?, &Vec::new(), "nothing is listed at first")?;
    let lease = subject.lease().await?;
    let there = subject.one_of_each(&lease).await?;
    let mut listed = subject.snapshotter.list().await?;
    listed.sort_by(|a, b| a.key.cmp(&b.key));
    let mut wanted = Vec::new();
    for (key, kind, parent) in there {
        let info = subject.info(key).await?;
        require_equal(&(info.kind, info.parent.as_deref()), &(kind, parent), "a snapshot is told as it was made")?;
        wanted.push(info);
    }
    wanted.sort_by(|a, b| a.key.cmp(&b.key));
    require_equal(&listed, &wanted, "every snapshot is listed once, as it is told")
}

/// What is not there has no info, and everything else about it is `NotFound`. Mirrors: `GetInfoNotExist`,
/// `GetInfoEmptyDB`, `GetSnapshotNotExist`, `RemoveNotExist`.
pub async fn what_is_not_there_is_none_or_not_found(subject: SnapshotSubject) -> Outcome {
    let snapshotter = &subject.snapshotter;
    for created in [false, true] {
        if created {
            let lease = subject.lease().await?;
            subject.one_of_each(&lease).await?;
        }
        for absent in ["absent", "bas", "base2", "BASE"] {
            const PROMISE: &str = "what is not there is not found";
            require_equal(&snapshotter.stat(absent).await?, &None, "what is not there has no info")?;
            require_kind(snapshotter.mounts(absent).await, ErrorKind::NotFound, PROMISE)?;
            require_kind(snapshotter.usage(absent).await, ErrorKind::NotFound, PROMISE)?;
            require_kind(snapshotter.remove(absent).await, ErrorKind::NotFound, PROMISE)?;
            for changes in [vec![], vec![LabelChange::set("a", "1")]] {
                require_kind(snapshotter.change_labels(absent, &changes).await, ErrorKind::NotFound, PROMISE)?;
            }
        }
    }
    Ok(())
}
