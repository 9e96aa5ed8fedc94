//! A snapshotter whose file systems are lists of texts.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use cache_core::memory::MemoryLeases;
use cache_core::ports::{
    Lease, LeaseManager, Mount, MountKind, Prepared, Resource, SnapshotInfo, SnapshotKind, Snapshotter, Usage,
};
use cache_core::{Error, ErrorKind, LabelChange, Labels, Result, Timestamp, apply_label_changes};

use super::Steps;

pub const NAME: &str = "texts";

#[derive(Debug)]
pub struct TestSnapshots {
    leases: Arc<MemoryLeases>,
    steps: Arc<Steps>,
    table: Mutex<BTreeMap<String, Snapshot>>,
}

#[derive(Clone, Debug)]
struct Snapshot {
    info: SnapshotInfo,
    texts: Vec<String>,
}

pub fn resource(key: &str) -> Resource {
    Resource::Snapshot { snapshotter: NAME.to_owned(), key: key.to_owned() }
}

impl TestSnapshots {
    pub fn new(leases: Arc<MemoryLeases>, steps: Arc<Steps>) -> Self {
        Self { leases, steps, table: Mutex::default() }
    }

    /// Writes through the mounts of an active snapshot.
    pub fn write(&self, mounts: &[Mount], text: &str) {
        let key = mounts[0].source.to_str().unwrap();
        assert!(mounts[0].options.contains(&"rw".to_owned()));
        self.table.lock().unwrap().get_mut(key).unwrap().texts.push(text.to_owned());
    }

    /// What the mounts show, bottom first.
    pub fn show(&self, mounts: &[Mount]) -> Vec<String> {
        let table = self.table.lock().unwrap();
        let mut next = Some(mounts[0].source.to_str().unwrap().to_owned());
        let mut layers = Vec::new();
        while let Some(snapshot) = next.and_then(|key| table.get(&key)) {
            layers.push(snapshot.texts.clone());
            next = snapshot.info.parent.clone();
        }
        layers.into_iter().rev().flatten().collect()
    }

    /// Every key, views left out.
    pub fn keys(&self) -> Vec<String> {
        let table = self.table.lock().unwrap();
        let kept = table.values().filter(|snapshot| snapshot.info.kind != SnapshotKind::View);
        kept.map(|snapshot| snapshot.info.key.clone()).collect()
    }

    pub fn count(&self) -> usize {
        self.table.lock().unwrap().len()
    }

    /// Loses a snapshot, as a disk does.
    pub fn lose(&self, key: &str) {
        self.table.lock().unwrap().remove(key).unwrap();
    }

    /// Removes all that neither a lease holds nor a kept snapshot stands on.
    pub async fn collect(&self) -> Result<u64> {
        let mut waiting = Vec::new();
        for info in self.leases.list().await? {
            let Some(lease) = self.leases.get(&info.id).await? else { continue };
            // A lease that is abandoned at this moment holds nothing more.
            waiting.extend(self.leases.resources(&lease).await.unwrap_or_default());
        }
        let mut table = self.table.lock().unwrap();
        let mut kept = BTreeMap::new();
        let mut keys: Vec<_> = waiting
            .into_iter()
            .filter_map(|resource| match resource {
                Resource::Snapshot { key, .. } => Some(key),
                _ => None,
            })
            .collect();
        while let Some(key) = keys.pop() {
            if let Some(snapshot) = table.remove(&key) {
                keys.extend(snapshot.info.parent.clone());
                kept.insert(key, snapshot);
            }
        }
        let lost = table.len() as u64;
        *table = kept;
        Ok(lost)
    }

    fn add(&self, kind: SnapshotKind, key: &str, parent: Option<&str>, labels: Labels) -> Result<Vec<Mount>> {
        let mut table = self.table.lock().unwrap();
        if table.contains_key(key) {
            return Err(Error::new(ErrorKind::AlreadyExists, "prepare", key));
        }
        if let Some(parent) = parent {
            let missing = || Error::new(ErrorKind::NotFound, "prepare over", parent);
            if table.get(parent).ok_or_else(missing)?.info.kind != SnapshotKind::Committed {
                return Err(Error::new(ErrorKind::Invalid, "prepare over", parent));
            }
        }
        let info = SnapshotInfo {
            key: key.to_owned(),
            kind,
            parent: parent.map(str::to_owned),
            labels,
            created_at: Timestamp::UNIX_EPOCH,
            updated_at: Timestamp::UNIX_EPOCH,
        };
        table.insert(key.to_owned(), Snapshot { info, texts: Vec::new() });
        Ok(mounts(key, kind))
    }

    async fn commit_now(&self, lease: &Lease, name: &str, key: &str, labels: Labels) -> Result<()> {
        let mut holders = vec![lease.clone()];
        for info in self.leases.list().await? {
            let Some(holder) = self.leases.get(&info.id).await? else { continue };
            if self.leases.resources(&holder).await.unwrap_or_default().contains(&resource(key)) {
                holders.push(holder);
            }
        }
        {
            let mut table = self.table.lock().unwrap();
            let missing = || Error::new(ErrorKind::NotFound, "commit", key);
            if table.get(key).ok_or_else(missing)?.info.kind != SnapshotKind::Active {
                return Err(Error::new(ErrorKind::Invalid, "commit", key));
            }
            if table.contains_key(name) {
                return Err(Error::new(ErrorKind::AlreadyExists, "commit", name));
            }
            let mut snapshot = table.remove(key).unwrap();
            snapshot.info.key = name.to_owned();
            snapshot.info.kind = SnapshotKind::Committed;
            snapshot.info.labels = labels;
            table.insert(name.to_owned(), snapshot);
        }
        for holder in holders {
            let moved = async {
                self.leases.attach(&holder, &[resource(name)]).await?;
                self.leases.detach(&holder, &[resource(key)]).await
            };
            match moved.await {
                Err(error) if holder.id() == lease.id() => return Err(error),
                // Another holder may be abandoned at this moment.
                Ok(()) | Err(_) => {}
            }
        }
        Ok(())
    }

    fn get(&self, key: &str) -> Result<Snapshot> {
        let table = self.table.lock().unwrap();
        table.get(key).cloned().ok_or_else(|| Error::new(ErrorKind::NotFound, "get snapshot", key))
    }
}

fn mounts(key: &str, kind: SnapshotKind) -> Vec<Mount> {
    let access = if kind == SnapshotKind::Active { "rw" } else { "ro" };
    vec![Mount {
        kind: MountKind::Other(NAME.to_owned()),
        source: PathBuf::from(key),
        options: vec![access.to_owned()],
    }]
}

#[async_trait]
impl Snapshotter for TestSnapshots {
    fn name(&self) -> &str {
        NAME
    }

    async fn prepare(&self, lease: &Lease, key: &str, parent: Option<&str>, labels: Labels) -> Result<Prepared> {
        self.steps.step("prepare").await?;
        self.steps.at_once(async {
            self.leases.attach(lease, &[resource(key)]).await?;
            self.add(SnapshotKind::Active, key, parent, labels).map(Prepared::Mounts)
        })
    }

    async fn view(&self, lease: &Lease, key: &str, parent: Option<&str>, labels: Labels) -> Result<Vec<Mount>> {
        self.steps.step("view").await?;
        self.steps.at_once(async {
            self.leases.attach(lease, &[resource(key)]).await?;
            self.add(SnapshotKind::View, key, parent, labels)
        })
    }

    async fn commit(&self, lease: &Lease, name: &str, key: &str, labels: Labels) -> Result<()> {
        self.steps.step("commit").await?;
        self.steps.at_once(self.commit_now(lease, name, key, labels))
    }

    async fn mounts(&self, key: &str) -> Result<Vec<Mount>> {
        let info = self.get(key)?.info;
        if info.kind == SnapshotKind::Committed {
            return Err(Error::new(ErrorKind::Invalid, "mounts", key));
        }
        Ok(mounts(key, info.kind))
    }

    async fn stat(&self, key: &str) -> Result<Option<SnapshotInfo>> {
        self.steps.step("stat").await?;
        Ok(self.get(key).ok().map(|snapshot| snapshot.info))
    }

    async fn change_labels(&self, key: &str, changes: &[LabelChange]) -> Result<SnapshotInfo> {
        let mut table = self.table.lock().unwrap();
        let snapshot = table.get_mut(key).ok_or_else(|| Error::new(ErrorKind::NotFound, "change labels", key))?;
        apply_label_changes(&mut snapshot.info.labels, changes)?;
        Ok(snapshot.info.clone())
    }

    async fn usage(&self, key: &str) -> Result<Usage> {
        let snapshot = self.get(key)?;
        let bytes = if snapshot.info.kind == SnapshotKind::View { 0 } else { snapshot.texts.concat().len() as u64 };
        Ok(Usage { bytes, inodes: snapshot.texts.len() as u64 })
    }

    async fn remove(&self, key: &str) -> Result<()> {
        self.get(key)?;
        let mut table = self.table.lock().unwrap();
        if table.values().any(|snapshot| snapshot.info.parent.as_deref() == Some(key)) {
            return Err(Error::new(ErrorKind::Busy, "remove snapshot", key));
        }
        table.remove(key);
        Ok(())
    }

    async fn list(&self) -> Result<Vec<SnapshotInfo>> {
        Ok(self.table.lock().unwrap().values().map(|snapshot| snapshot.info.clone()).collect())
    }
}
