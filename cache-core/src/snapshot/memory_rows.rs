//! Rows of snapshots in memory.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, DirBuilder};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;

use crate::error::{Error, ErrorKind, Result};
use crate::labels::{LabelChange, Labels, apply_label_changes, validate_labels};
use crate::ports::{Clock, Lease, LeaseManager, Pool, PoolExt, Resource, SnapshotInfo, SnapshotKind, Usage};
use crate::snapshot::rows::{NewSnapshot, SnapshotRow, SnapshotRows};
use crate::snapshot::scratch::ScratchTree;
use crate::snapshot::tree_removal::remove_tree;

/// Rows that end with the process. Their trees lie in a directory that the embedder gives and removes.
///
/// Leases may come from any [`LeaseManager`], unless they are [bound](Self::bound_to) to one. A lease holds the key just before
/// the row exists, so that a collector finds no moment in which nothing holds it.
#[derive(Debug)]
pub struct MemoryRows {
    shared: Arc<Shared>,
    leases: Option<Arc<dyn LeaseManager>>,
    snapshotter: String,
    pool: Arc<dyn Pool>,
    clock: Arc<dyn Clock>,
}

#[derive(Debug)]
struct Shared {
    directory: PathBuf,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    rows: BTreeMap<String, SnapshotRow>,
    /// Keys that are being created or committed to.
    claimed: BTreeSet<String>,
    last_id: i64,
    last_scratch: u64,
}

/// The right to give a free key to a snapshot; given back when it is dropped.
#[derive(Debug)]
struct Claim {
    shared: Arc<Shared>,
    key: String,
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.shared.lock().claimed.remove(&self.key);
    }
}

impl Shared {
    /// Every change is made in one go, so a poisoned lock still guards a sound state.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn claim(self: &Arc<Self>, operation: &'static str, key: &str) -> Result<Claim> {
        if key.is_empty() {
            return Err(Error::new(ErrorKind::Invalid, operation, "the empty key"));
        }
        let mut state = self.lock();
        if state.rows.contains_key(key) || !state.claimed.insert(key.to_owned()) {
            return Err(Error::new(ErrorKind::AlreadyExists, operation, key.escape_debug()));
        }
        Ok(Claim { shared: Arc::clone(self), key: key.to_owned() })
    }

    fn place(&self, id: i64) -> PathBuf {
        self.directory.join(id.to_string())
    }

    fn scratch_path(&self) -> PathBuf {
        let mut state = self.lock();
        state.last_scratch += 1;
        self.directory.join(format!("new-{}", state.last_scratch))
    }
}

impl State {
    fn require(&mut self, operation: &'static str, key: &str) -> Result<&mut SnapshotRow> {
        self.rows.get_mut(key).ok_or_else(|| Error::new(ErrorKind::NotFound, operation, key.escape_debug()))
    }

    fn check_parent(&self, operation: &'static str, parent: &SnapshotRow) -> Result<()> {
        let key = &parent.info.key;
        match self.rows.get(key).filter(|row| row.id == parent.id) {
            Some(row) if row.info.kind == SnapshotKind::Committed => Ok(()),
            Some(_) => Err(Error::new(ErrorKind::Invalid, operation, key.escape_debug())),
            None => Err(Error::new(ErrorKind::NotFound, operation, key.escape_debug())),
        }
    }
}

impl MemoryRows {
    /// No rows yet, of snapshots whose trees are to lie in `directory`, which must be there and empty.
    ///
    /// # Errors
    /// `Invalid` if it is not empty; the disk's failures.
    pub async fn open(
        directory: impl AsRef<Path>,
        snapshotter: impl Into<String>,
        pool: Arc<dyn Pool>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self> {
        let given = directory.as_ref().to_owned();
        let directory = pool
            .run(move || {
                let failed = |error| Error::io("open snapshots", given.display(), error);
                let directory = fs::canonicalize(&given).map_err(failed)?;
                match fs::read_dir(&directory).map_err(failed)?.next() {
                    None => Ok(directory),
                    Some(_) => Err(Error::new(ErrorKind::Invalid, "open snapshots", given.display())
                        .with_source("the directory is not empty")),
                }
            })
            .await?;
        let shared = Arc::new(Shared { directory, state: Mutex::default() });
        Ok(Self { shared, leases: None, snapshotter: snapshotter.into(), pool, clock })
    }

    /// The same, refusing leases of any manager but `leases`, as the rows of a store do.
    #[must_use]
    pub fn bound_to(mut self, leases: Arc<dyn LeaseManager>) -> Self {
        self.leases = Some(leases);
        self
    }

    fn check(&self, operation: &'static str, lease: &Lease) -> Result<()> {
        match &self.leases {
            Some(leases) if !std::ptr::addr_eq(Arc::as_ptr(leases), Arc::as_ptr(lease.manager())) => {
                Err(Error::new(ErrorKind::Invalid, operation, format_args!("foreign lease {}", lease.id())))
            }
            _ => Ok(()),
        }
    }

    fn resource(&self, key: &str) -> Resource {
        Resource::Snapshot { snapshotter: self.snapshotter.clone(), key: key.to_owned() }
    }

    /// Every lease of `lease`'s manager that holds `key`.
    async fn holders(&self, lease: &Lease, key: &str) -> Result<Vec<Lease>> {
        let (manager, resource) = (lease.manager(), self.resource(key));
        let mut holders = Vec::new();
        for info in manager.list().await? {
            // It may have ended since.
            if let Some(holder) = manager.get(&info.id).await? {
                match manager.resources(&holder).await {
                    Ok(held) if held.contains(&resource) => holders.push(holder),
                    Err(error) if error.kind() != ErrorKind::Invalid => return Err(error),
                    _ => {}
                }
            }
        }
        Ok(holders)
    }
}

#[async_trait]
impl SnapshotRows for MemoryRows {
    fn snapshotter(&self) -> &str {
        &self.snapshotter
    }

    fn directory(&self) -> &Path {
        &self.shared.directory
    }

    async fn scratch(&self) -> Result<ScratchTree> {
        let (path, pool) = (self.shared.scratch_path(), Arc::clone(&self.pool));
        self.pool
            .run(move || {
                let made = DirBuilder::new().mode(0o700).create(&path);
                made.map_err(|error| Error::io("make scratch", path.display(), error))?;
                Ok(ScratchTree::new(path, pool))
            })
            .await
    }

    async fn create(&self, lease: &Lease, new: NewSnapshot, tree: Option<ScratchTree>) -> Result<SnapshotRow> {
        const OPERATION: &str = "create snapshot";
        self.check(OPERATION, lease)?;
        validate_labels(&new.labels)?;
        let claim = self.shared.claim(OPERATION, &new.key)?;
        if let Some(parent) = &new.parent {
            self.shared.lock().check_parent(OPERATION, parent)?;
        }
        lease.manager().attach(lease, &[self.resource(&new.key)]).await?;
        let (shared, now) = (Arc::clone(&self.shared), self.clock.now());
        self.pool
            .run(move || {
                let mut state = shared.lock();
                if let Some(parent) = &new.parent {
                    state.check_parent(OPERATION, parent)?;
                }
                let id = state.last_id + 1;
                if let Some(tree) = tree {
                    fs::rename(tree.path(), shared.place(id))
                        .map_err(|error| Error::io(OPERATION, tree.path().display(), error))?;
                    tree.placed();
                }
                state.last_id = id;
                let (parent, parents) = match new.parent {
                    Some(row) => (Some(row.info.key), std::iter::once(row.id).chain(row.parents).collect()),
                    None => (None, Vec::new()),
                };
                let info = SnapshotInfo {
                    key: new.key.clone(),
                    kind: new.kind,
                    parent,
                    labels: new.labels,
                    created_at: now,
                    updated_at: now,
                };
                let row = SnapshotRow { id, info, parents, usage: Usage::default() };
                state.rows.insert(new.key, row.clone());
                drop(state);
                drop(claim);
                Ok(row)
            })
            .await
    }

    async fn get(&self, key: &str) -> Result<Option<SnapshotRow>> {
        Ok(self.shared.lock().rows.get(key).cloned())
    }

    async fn commit(
        &self,
        lease: &Lease,
        name: &str,
        active: &SnapshotRow,
        labels: Labels,
        usage: Usage,
    ) -> Result<()> {
        const OPERATION: &str = "commit snapshot";
        self.check(OPERATION, lease)?;
        validate_labels(&labels)?;
        let _claim = self.shared.claim(OPERATION, name)?;
        let key = &active.info.key;
        let (old, new) = ([self.resource(key)], [self.resource(name)]);
        lease.manager().attach(lease, &new).await?;
        let holders = self.holders(lease, key).await?;
        for holder in &holders {
            lease.manager().attach(holder, &new).await?;
        }
        {
            let mut state = self.shared.lock();
            let row = state.require(OPERATION, key)?;
            if row.id != active.id {
                return Err(Error::new(ErrorKind::NotFound, OPERATION, key.escape_debug()));
            }
            if row.info.kind != SnapshotKind::Active {
                return Err(Error::new(ErrorKind::Invalid, OPERATION, key.escape_debug()));
            }
            row.info.kind = SnapshotKind::Committed;
            row.info.labels = labels;
            row.info.updated_at = self.clock.now();
            row.info.key = name.to_owned();
            row.usage = usage;
            if let Some(row) = state.rows.remove(key) {
                state.rows.insert(name.to_owned(), row);
            }
        }
        for holder in &holders {
            lease.manager().detach(holder, &old).await?;
        }
        Ok(())
    }

    async fn change_labels(&self, key: &str, changes: &[LabelChange]) -> Result<SnapshotInfo> {
        let now = self.clock.now();
        let mut state = self.shared.lock();
        let row = state.require("change labels", key)?;
        apply_label_changes(&mut row.info.labels, changes)?;
        row.info.updated_at = now;
        Ok(row.info.clone())
    }

    async fn remove(&self, key: &str) -> Result<()> {
        const OPERATION: &str = "remove snapshot";
        let id = {
            let mut state = self.shared.lock();
            let id = state.require(OPERATION, key)?.id;
            if state.rows.values().any(|row| row.parents.first() == Some(&id)) {
                return Err(Error::new(ErrorKind::Busy, OPERATION, key.escape_debug()).with_source("it has children"));
            }
            state.rows.remove(key);
            id
        };
        let place = self.shared.place(id);
        self.pool.run(move || remove_tree(&place)).await
    }

    async fn list(&self) -> Result<Vec<SnapshotInfo>> {
        Ok(self.shared.lock().rows.values().map(|row| row.info.clone()).collect())
    }
}
