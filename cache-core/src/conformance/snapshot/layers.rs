//! A chain of snapshots beside a plain directory in which the same changes are made.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::Arc;

use crate::conformance::snapshot::SnapshotSubject;
use crate::conformance::tree::{Change, Ticks, Tree, apply, is_root, observe, require_tree};
use crate::conformance::{Outcome, Unmet};
use crate::error::ErrorKind;
use crate::labels::Labels;
use crate::ports::{Access, Lease, Mount, MountedTree, Mounter};

impl SnapshotSubject {
    pub(super) fn trees(&self) -> Result<(&Arc<dyn Mounter>, &PathBuf), Unmet> {
        let (mounter, scratch) = self.trees.as_ref().ok_or(Unmet::needs("a mounter"))?;
        Ok((mounter, scratch))
    }

    pub(super) async fn mount(&self, mounts: &[Mount], access: Access) -> Result<Arc<dyn MountedTree>, Unmet> {
        match self.trees()?.0.mount(mounts, access).await {
            Err(error) if error.kind() == ErrorKind::PermissionDenied && !is_root() => {
                Err(Unmet::needs("the right to mount"))
            }
            mounted => Ok(mounted?),
        }
    }
}

/// The chain and the directory.
pub(super) struct Layers {
    subject: SnapshotSubject,
    lease: Lease,
    plain: PathBuf,
    ticks: Ticks,
    committed: usize,
}

impl Layers {
    /// No snapshot yet, and an empty directory.
    pub(super) async fn new(subject: SnapshotSubject) -> Result<Self, Unmet> {
        let plain = subject.trees()?.1.join("plain");
        fs::create_dir(&plain)?;
        fs::set_permissions(&plain, fs::Permissions::from_mode(0o755))?;
        let lease = subject.lease().await?;
        Ok(Self { subject, lease, plain, ticks: Ticks::default(), committed: 0 })
    }

    /// The chain's snapshots, for checks of more than trees.
    pub(super) fn subject(&self) -> &SnapshotSubject {
        &self.subject
    }

    /// The name of the snapshot with so many under it.
    pub(super) fn name(number: usize) -> String {
        format!("layer {number}")
    }

    fn parent(&self) -> Option<String> {
        self.committed.checked_sub(1).map(Self::name)
    }

    fn wanted(&self) -> Result<Tree, Unmet> {
        Ok(observe(&self.plain)?)
    }

    /// Commits one more snapshot in which `changes` were made. It must begin as the one before it, show every change
    /// when it is made, and show the same when it is viewed and when it is built upon.
    pub(super) async fn add(&mut self, changes: &[Change]) -> Outcome {
        let subject = &self.subject;
        let mounts = subject.prepare(&self.lease, "active", self.parent().as_deref()).await?;
        let tree = subject.mount(&mounts, Access::ReadWrite).await?;
        require_tree(&tree.path(), &self.wanted()?, "a snapshot begins as its parent")?;
        apply(&self.plain, changes, &mut self.ticks.clone())?;
        apply(&tree.path(), changes, &mut self.ticks)?;
        require_tree(&tree.path(), &self.wanted()?, "a snapshot shows the changes that are made in it")?;
        drop(tree);
        subject.snapshotter.commit(&self.lease, &Self::name(self.committed), "active", Labels::new()).await?;
        self.committed += 1;
        let mounts = subject.view(&self.lease, "view", self.parent().as_deref()).await?;
        let tree = subject.mount(&mounts, Access::ReadOnly).await?;
        require_tree(&tree.path(), &self.wanted()?, "a view shows what was committed")?;
        drop(tree);
        Ok(subject.snapshotter.remove("view").await?)
    }

    /// As [`add`](Self::add), for each of `layers`, and then once without changes.
    pub(super) async fn add_all(&mut self, layers: &[&[Change]]) -> Outcome {
        for changes in layers {
            self.add(changes).await?;
        }
        self.add(&[]).await
    }
}

/// Skips a check that gives files away or makes devices.
pub(super) fn need_root() -> Outcome {
    if is_root() { Ok(()) } else { Err(Unmet::needs("root")) }
}
