//! Roots of mounted snapshots, and what can be done below them.

use std::fs;
use std::os::unix::fs::MetadataExt;

use crate::conformance::Outcome;
use crate::conformance::require::{require, require_equal};
use crate::conformance::snapshot::SnapshotSubject;
use crate::conformance::tree::{Change, Ticks, apply, is_root, observe, require_tree};
use crate::labels::Labels;
use crate::ports::Access;

/// The root of an active snapshot and of a view, over nothing and over others, has mode 0755. Mirrors: case
/// `RootPermission`.
pub async fn the_root_has_mode_0755(subject: SnapshotSubject) -> Outcome {
    subject.trees()?;
    let lease = subject.lease().await?;
    let mut parent = None;
    for name in ["one", "two", "three"] {
        for (key, is_view) in [("view", true), ("active", false)] {
            let mounts = match is_view {
                true => subject.view(&lease, key, parent).await?,
                false => subject.prepare(&lease, key, parent).await?,
            };
            let tree = subject.mount(&mounts, Access::ReadOnly).await?;
            let metadata = fs::metadata(tree.path())?;
            require(metadata.is_dir(), "a root is a directory")?;
            require_equal(&format!("{:o}", metadata.mode() & 0o7777).as_str(), &"755", "a root has mode 0755")?;
        }
        subject.snapshotter.remove("view").await?;
        subject.snapshotter.commit(&lease, name, "active", Labels::new()).await?;
        parent = Some(name);
    }
    Ok(())
}

/// A view refuses every change, whatever access its mount asks for, and stays as it is. Mirrors: case `ViewReadonly`.
pub async fn a_view_cannot_be_written_to(subject: SnapshotSubject) -> Outcome {
    subject.trees()?;
    let lease = subject.lease().await?;
    let mut parent = None;
    for name in ["one", "two", "three"] {
        let mounts = subject.prepare(&lease, "active", parent).await?;
        let tree = subject.mount(&mounts, Access::ReadWrite).await?;
        let changes = [Change::file(name, "content", 0o644), Change::directory(&format!("{name}.d"), 0o755)];
        apply(&tree.path(), &changes, &mut Ticks::default())?;
        let wanted = observe(&tree.path())?;
        drop(tree);
        subject.snapshotter.commit(&lease, name, "active", Labels::new()).await?;
        let mounts = subject.view(&lease, "view", Some(name)).await?;
        for access in [Access::ReadOnly, Access::ReadWrite] {
            // A mounter may also refuse to give write access.
            let Ok(tree) = subject.trees()?.0.mount(&mounts, access).await else {
                require(access == Access::ReadWrite, "a view can be read")?;
                continue;
            };
            // Without the right to mount nobody can be kept from writing to files of his own.
            if access == Access::ReadOnly && !is_root() {
                require_tree(&tree.path(), &wanted, "a view shows what was committed")?;
                continue;
            }
            let root = tree.path();
            let tries = [
                Change::file("new", "", 0o644),
                Change::file(name, "other", 0o644),
                Change::directory("new.d", 0o755),
                Change::remove(name),
                Change::rename(name, "renamed"),
                Change::mode(name, 0o600),
                Change::hard_link("linked", name),
                Change::file(&format!("{name}.d/new"), "", 0o644),
            ];
            for change in tries {
                let tried = apply(&root, std::slice::from_ref(&change), &mut Ticks::default());
                require(tried.is_err(), &format!("a view refuses {change:?}"))?;
            }
            require_tree(&root, &wanted, "a view stays as it is")?;
        }
        subject.snapshotter.remove("view").await?;
        parent = Some(name);
    }
    Ok(())
}

/// What is changed in one of two snapshots over the same parent is not seen in the other, in the parent or in views.
pub async fn snapshots_over_one_parent_are_apart(subject: SnapshotSubject) -> Outcome {
    subject.trees()?;
    let lease = subject.lease().await?;
    let mut ticks = Ticks::default();
    let mounts = subject.prepare(&lease, "active", None).await?;
    let tree = subject.mount(&mounts, Access::ReadWrite).await?;
    apply(&tree.path(), &[Change::file("shared", "parent", 0o644), Change::file("kept", "", 0o644)], &mut ticks)?;
    let wanted = observe(&tree.path())?;
    drop(tree);
    subject.snapshotter.commit(&lease, "parent", "active", Labels::new()).await?;
    let mut trees = Vec::new();
    for key in ["first", "second"] {
        let mounts = subject.prepare(&lease, key, Some("parent")).await?;
        trees.push((key, subject.mount(&mounts, Access::ReadWrite).await?));
    }
    let view = subject.view(&lease, "view", Some("parent")).await?;
    let view = subject.mount(&view, Access::ReadOnly).await?;
    for (key, tree) in &trees {
        let changes = [Change::file("shared", key, 0o600), Change::file(key, "own", 0o644), Change::remove("kept")];
        apply(&tree.path(), &changes, &mut ticks)?;
    }
    for (key, tree) in &trees {
        let names: Vec<_> = observe(&tree.path())?.paths().map(|path| path.to_string_lossy().into_owned()).collect();
        require_equal(&names, &vec![(*key).to_owned(), "shared".to_owned()], "a snapshot has its own changes alone")?;
        let content = fs::read_to_string(tree.path().join("shared"))?;
        require_equal(&content.as_str(), key, "a snapshot has its own contents")?;
    }
    require_tree(&view.path(), &wanted, "a view of the parent shows no change of its children")
}
