//! Faulty snapshotters.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use rustix::fs::{AtFlags, CWD, Timespec, Timestamps, lremovexattr, utimensat};

use crate::conformance::faulty::{Fault, Faulty};
use crate::conformance::tree::observe;
use crate::error::{Error, ErrorKind, Result};
use crate::labels::{LabelChange, Labels};
use crate::ports::{Lease, LeaseOptions, Mount, Prepared, Resource, SnapshotInfo, SnapshotKind, Snapshotter, Usage};
use crate::timestamp::Timestamp;

impl<T: Snapshotter + ?Sized> Faulty<T> {
    /// The key as a snapshotter that is careless with keys has it.
    fn snapshot_key(&self, key: &str) -> String {
        if self.has(Fault::FoldsCaseOfKeys) { key.to_lowercase() } else { key.to_owned() }
    }

    async fn lease_for(&self, lease: &Lease) -> Result<Lease> {
        match (self.fault, self.accepted.get()) {
            (Fault::AcceptsForeignLease, Some(accepted)) => return Ok(accepted.clone()),
            (Fault::AcceptsDeadLease, _) => return lease.manager().create(LeaseOptions::default()).await,
            _ => {}
        }
        let _ = self.accepted.set(lease.clone());
        Ok(lease.clone())
    }

    /// The parent as the fault has it.
    async fn parent_for(&self, parent: Option<&str>) -> Result<Option<String>> {
        let Some(parent) = parent else { return Ok(None) };
        let info = self.inner.stat(parent).await?;
        Ok(match (self.fault, info) {
            (Fault::AcceptsMissingParent, None) | (Fault::ForgetsParent, _) => None,
            (Fault::SkipsLayer, Some(SnapshotInfo { parent: Some(below), .. })) => Some(below),
            (Fault::BuildsOnAnyKind, Some(info)) if info.kind != SnapshotKind::Committed => info.parent,
            _ => Some(parent.to_owned()),
        })
    }

    /// What is done after a snapshot began.
    async fn began(&self, lease: &Lease, key: &str, mounts: Vec<Mount>) -> Result<Vec<Mount>> {
        if self.has(Fault::LeaseNotAttached) {
            lease.manager().detach(lease, &[self.held(key)]).await?;
        }
        if let (Fault::PrivateRoot, Some(root)) = (self.fault, mounts.first().and_then(upper)) {
            let failed = |error| Error::io("change mode", root.display(), error);
            fs::set_permissions(&root, Permissions::from_mode(0o700)).map_err(failed)?;
        }
        Ok(mounts)
    }

    fn held(&self, key: &str) -> Resource {
        Resource::Snapshot { snapshotter: self.inner.name().to_owned(), key: key.to_owned() }
    }

    fn changed_info(&self, mut info: SnapshotInfo) -> SnapshotInfo {
        match self.fault {
            Fault::InfoForgetsParent => info.parent = None,
            Fault::InfoForgetsLabels => info.labels.clear(),
            Fault::UpdatesMoveNoTime => info.updated_at = info.created_at,
            _ => {}
        }
        info
    }

    /// Loses part of the tree of the active snapshot `key`.
    async fn lose(&self, key: &str) -> Result<()> {
        let Some(root) = self.inner.mounts(key).await?.first().and_then(upper) else { return Ok(()) };
        let failed = |error| Error::io("lose part of", root.display(), error);
        let tree = observe(&root).map_err(failed)?;
        for path in tree.paths() {
            lose_of(self.fault, &root.join(path)).map_err(failed)?;
        }
        Ok(())
    }
}

/// The directory into which changes of a mount go.
fn upper(mount: &Mount) -> Option<PathBuf> {
    let option = mount.options.iter().find_map(|option| option.strip_prefix("upperdir="));
    match option {
        Some(upper) => Some(upper.into()),
        None if mount.options.iter().any(|option| option.starts_with("lowerdir=")) => None,
        None => Some(mount.source.clone()),
    }
}

fn lose_of(fault: Fault, path: &Path) -> std::io::Result<()> {
    let metadata = fs::symlink_metadata(path)?;
    match fault {
        Fault::LosesAttributes => {
            for name in [c"user.file", c"user.empty", c"user.directory"] {
                // Most files have none of them.
                let _ = lremovexattr(path, name);
            }
        }
        Fault::LosesTimes => {
            let time = Timespec { tv_sec: 0, tv_nsec: 0 };
            let times = Timestamps { last_access: time, last_modification: time };
            utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW)?;
        }
        Fault::LosesModes if !metadata.is_symlink() => fs::set_permissions(path, Permissions::from_mode(0o711))?,
        Fault::LosesOwners => std::os::unix::fs::lchown(path, Some(0), Some(0))?,
        Fault::LosesFiles if metadata.is_file() => fs::remove_file(path)?,
        _ => {}
    }
    Ok(())
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl<T: Snapshotter + ?Sized> Snapshotter for Faulty<T> {
    fn name(&self) -> &str {
        self.inner.name()
    }

    async fn prepare(&self, lease: &Lease, key: &str, parent: Option<&str>, labels: Labels) -> Result<Prepared> {
        let (key, lease, parent) =
            (self.snapshot_key(key), self.lease_for(lease).await?, self.parent_for(parent).await?);
        let labels = self.labels(labels);
        match self.inner.prepare(&lease, &key, parent.as_deref(), labels.clone()).await {
            Err(error) if error.kind() == ErrorKind::AlreadyExists && self.has(Fault::PreparesOverTaken) => {
                Ok(Prepared::Mounts(Vec::new()))
            }
            Ok(Prepared::Mounts(mounts)) => Ok(Prepared::Mounts(self.began(&lease, &key, mounts).await?)),
            prepared => prepared,
        }
    }

    async fn view(&self, lease: &Lease, key: &str, parent: Option<&str>, labels: Labels) -> Result<Vec<Mount>> {
        let (key, lease, parent) =
            (self.snapshot_key(key), self.lease_for(lease).await?, self.parent_for(parent).await?);
        let labels = self.labels(labels);
        if self.has(Fault::ViewsAreWritable) {
            let prepared = self.inner.prepare(&lease, &key, parent.as_deref(), labels).await?;
            return Ok(match prepared {
                Prepared::Mounts(mounts) => mounts,
                Prepared::AlreadyCommitted => Vec::new(),
            });
        }
        let mounts = self.inner.view(&lease, &key, parent.as_deref(), labels).await?;
        self.began(&lease, &key, mounts).await
    }

    async fn commit(&self, lease: &Lease, name: &str, key: &str, labels: Labels) -> Result<()> {
        let (name, key, lease) = (self.snapshot_key(name), self.snapshot_key(key), self.lease_for(lease).await?);
        let mut labels = self.labels(labels);
        let info = self.inner.stat(&key).await?;
        match (self.fault, &info) {
            (Fault::CommitKeepsLabels, Some(info)) => labels.extend(info.labels.clone()),
            (Fault::ForgetsLabelsOfCommit, _) => labels.clear(),
            (Fault::CommitsAnyKind, Some(info)) if info.kind != SnapshotKind::Active => return Ok(()),
            (Fault::CommitsNothing, None) => return Ok(()),
            _ => {}
        }
        if info.is_some_and(|info| info.kind == SnapshotKind::Active) {
            self.lose(&key).await?;
        }
        match self.inner.commit(&lease, &name, &key, labels).await {
            Err(error) if error.kind() == ErrorKind::AlreadyExists && self.has(Fault::CommitsOverTaken) => Ok(()),
            Ok(()) if self.has(Fault::LeaseNotAttached) => lease.manager().detach(&lease, &[self.held(&name)]).await,
            committed => committed,
        }
    }

    async fn mounts(&self, key: &str) -> Result<Vec<Mount>> {
        match self.inner.mounts(&self.snapshot_key(key)).await {
            Err(error) if error.kind() == ErrorKind::Invalid && self.has(Fault::MountsCommitted) => Ok(Vec::new()),
            mounts => mounts,
        }
    }

    async fn stat(&self, key: &str) -> Result<Option<SnapshotInfo>> {
        let info = self.inner.stat(&self.snapshot_key(key)).await?;
        Ok(info.map(|info| self.changed_info(info)))
    }

    async fn change_labels(&self, key: &str, changes: &[LabelChange]) -> Result<SnapshotInfo> {
        let key = self.snapshot_key(key);
        match self.fault {
            Fault::ChangeReplacesAllLabels => {
                let info = self.inner.stat(&key).await?;
                let others = info.into_iter().flat_map(|info| info.labels.into_keys()).map(LabelChange::remove);
                let changes: Vec<_> = others.chain(changes.iter().cloned()).collect();
                self.inner.change_labels(&key, &changes).await
            }
            Fault::ChangesLabelsOneByOne => {
                let mut outcome = self.inner.change_labels(&key, &[]).await?;
                for change in changes {
                    outcome = self.inner.change_labels(&key, std::slice::from_ref(change)).await?;
                }
                Ok(outcome)
            }
            Fault::ChangesLabelsOfNothing => match self.inner.change_labels(&key, changes).await {
                Err(error) if error.kind() == ErrorKind::NotFound => Ok(SnapshotInfo {
                    key,
                    kind: SnapshotKind::Active,
                    parent: None,
                    labels: Labels::new(),
                    created_at: Timestamp::UNIX_EPOCH,
                    updated_at: Timestamp::UNIX_EPOCH,
                }),
                changed => changed,
            },
            _ => Ok(self.changed_info(self.inner.change_labels(&key, changes).await?)),
        }
    }

    async fn usage(&self, key: &str) -> Result<Usage> {
        let usage = self.inner.usage(&self.snapshot_key(key)).await?;
        Ok(if self.has(Fault::MeasuresNothing) { Usage::default() } else { usage })
    }

    async fn remove(&self, key: &str) -> Result<()> {
        match (self.inner.remove(&self.snapshot_key(key)).await, self.fault) {
            (Err(error), Fault::RemovesParents) if error.kind() == ErrorKind::Busy => Ok(()),
            (Ok(()), Fault::RemovesNothing) => {
                let (lease, key) = (self.accepted.get(), self.snapshot_key(key));
                if let Some(lease) = lease {
                    self.inner.prepare(lease, &key, None, Labels::new()).await?;
                }
                Ok(())
            }
            (removed, _) => removed,
        }
    }

    async fn list(&self) -> Result<Vec<SnapshotInfo>> {
        let mut snapshots = self.inner.list().await?;
        if self.has(Fault::OmitsSnapshot) {
            snapshots.pop();
        }
        Ok(snapshots.into_iter().map(|info| self.changed_info(info)).collect())
    }
}

impl<T: ?Sized> Faulty<T> {
    fn labels(&self, mut labels: Labels) -> Labels {
        if self.has(Fault::DropsLongLabels) {
            labels.retain(|key, value| crate::labels::validate_labels([(key, &*value)]).is_ok());
        }
        labels
    }
}
