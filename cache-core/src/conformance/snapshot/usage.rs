//! Disk that snapshots take.

use std::fs::File;

use crate::conformance::Outcome;
use crate::conformance::require::{require, require_equal};
use crate::conformance::snapshot::SnapshotSubject;
use crate::conformance::tree::{Change, Ticks, apply};
use crate::labels::Labels;
use crate::ports::{Access, Usage};

const FILE_BYTES: usize = 1 << 20;

/// What an active snapshot takes grows with what is written to it; a second name of a file takes nothing.
pub async fn an_active_snapshot_is_measured_now(subject: SnapshotSubject) -> Outcome {
    subject.trees()?;
    let lease = subject.lease().await?;
    let mounts = subject.prepare(&lease, "key", None).await?;
    let empty = subject.snapshotter.usage("key").await?;
    let tree = subject.mount(&mounts, Access::ReadWrite).await?;
    let mut ticks = Ticks::default();
    apply(&tree.path(), &[Change::File("file".into(), vec![1; FILE_BYTES], 0o644)], &mut ticks)?;
    // A file system may count the blocks of a file only when it has written them.
    File::open(tree.path().join("file"))?.sync_all()?;
    let one = subject.snapshotter.usage("key").await?;
    require(one.bytes >= empty.bytes + FILE_BYTES as u64, "the bytes of a file are counted")?;
    require_equal(&one.inodes, &(empty.inodes + 1), "a file is counted")?;
    apply(&tree.path(), &[Change::hard_link("linked", "file")], &mut ticks)?;
    let linked = subject.snapshotter.usage("key").await?;
    require_equal(&linked.inodes, &one.inodes, "a second name is no second file")?;
    require(linked.bytes < one.bytes + FILE_BYTES as u64, "a second name takes no second place")
}

/// A committed snapshot tells what the active one took, a view nothing.
pub async fn a_committed_snapshot_tells_what_it_took(subject: SnapshotSubject) -> Outcome {
    subject.trees()?;
    let lease = subject.lease().await?;
    let mounts = subject.prepare(&lease, "key", None).await?;
    let tree = subject.mount(&mounts, Access::ReadWrite).await?;
    let changes = [Change::directory("d", 0o755), Change::File("d/file".into(), vec![1; FILE_BYTES], 0o644)];
    apply(&tree.path(), &changes, &mut Ticks::default())?;
    File::open(tree.path().join("d/file"))?.sync_all()?;
    drop(tree);
    let active = subject.snapshotter.usage("key").await?;
    subject.snapshotter.commit(&lease, "name", "key", Labels::new()).await?;
    let committed = subject.snapshotter.usage("name").await?;
    require_equal(&committed, &active, "a committed snapshot tells what it took")?;
    require(committed.bytes >= FILE_BYTES as u64, "the bytes of a file are counted")?;
    subject.view(&lease, "view", Some("name")).await?;
    require_equal(&subject.snapshotter.usage("view").await?, &Usage::default(), "a view takes nothing")?;
    require_equal(&subject.snapshotter.usage("name").await?, &committed, "what was told is told again")
}
