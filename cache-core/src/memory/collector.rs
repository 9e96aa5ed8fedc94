//! The memory collector.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;

use crate::error::{ErrorKind, Result};
use crate::memory::reach::Snapshots;
use crate::memory::state::Shared;
use crate::ports::{Collected, Collector, Resource, SnapshotInfo, Snapshotter};

/// Frees what nothing reaches in the memory backends and in the snapshotters that were [added](Self::add_snapshotter).
/// Bytes of blobs and ingests are counted as they are, not in blocks.
///
/// A snapshot that begins during a collection is kept. A blob that nothing but its labels reaches counts as reached
/// from the next collection on.
#[derive(Debug)]
pub struct MemoryCollector {
    shared: Arc<Shared>,
    snapshotters: Mutex<Vec<Arc<dyn Snapshotter>>>,
}

impl MemoryCollector {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared, snapshotters: Mutex::default() }
    }

    /// Lets the collector free snapshots of `snapshotter` too, whose leases are those of the memory backends.
    pub fn add_snapshotter(&self, snapshotter: Arc<dyn Snapshotter>) {
        self.snapshotters.lock().unwrap_or_else(PoisonError::into_inner).push(snapshotter);
    }

    /// Frees blobs and ingests, and gives what is reached.
    fn free_content(&self, snapshots: &Snapshots, collected: &mut Collected) -> Vec<Resource> {
        let mut state = self.shared.lock();
        let reached = state.reached(snapshots);
        state.blobs.retain(|digest, blob| {
            let stays = reached.contains(&Resource::Content(*digest));
            if !stays {
                collected.blobs += 1;
                collected.bytes += blob.info.size;
            }
            stays
        });
        state.ingests.retain(|key, ingest| {
            let stays = reached.contains(&Resource::Ingest(key.clone()));
            if !stays {
                collected.ingests += 1;
                collected.bytes += ingest.status.offset;
            }
            stays
        });
        reached.into_iter().filter(|resource| matches!(resource, Resource::Snapshot { .. })).collect()
    }
}

#[async_trait]
impl Collector for MemoryCollector {
    async fn collect(&self) -> Result<Collected> {
        let snapshotters = self.snapshotters.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mut snapshots = Snapshots::new();
        for snapshotter in &snapshotters {
            for info in snapshotter.list().await? {
                let snapshotter = snapshotter.name().to_owned();
                snapshots.insert(Resource::Snapshot { snapshotter, key: info.key.clone() }, info);
            }
        }
        let mut collected = Collected::default();
        for reached in self.free_content(&snapshots, &mut collected) {
            snapshots.remove(&reached);
        }
        for snapshotter in &snapshotters {
            let name = snapshotter.name();
            let mine = |resource: &Resource| match resource {
                Resource::Snapshot { snapshotter, .. } => snapshotter == name,
                Resource::Content(_) | Resource::Ingest(_) | Resource::Image(_) => false,
            };
            let unreached = snapshots.iter().filter(|(resource, _)| mine(resource)).map(|(_, info)| info);
            for key in children_first(unreached) {
                let Some(usage) = existing(snapshotter.usage(&key).await)? else { continue };
                if existing(snapshotter.remove(&key).await)?.is_some() {
                    collected.snapshots += 1;
                    collected.bytes += usage.bytes;
                }
            }
        }
        Ok(collected)
    }
}

/// What was done, unless the snapshot was removed, or built upon, since it was listed.
fn existing<T>(outcome: Result<T>) -> Result<Option<T>> {
    match outcome {
        Err(error) if [ErrorKind::NotFound, ErrorKind::Busy].contains(&error.kind()) => Ok(None),
        outcome => outcome.map(Some),
    }
}

/// The keys, every child before its parent.
fn children_first<'a>(snapshots: impl Iterator<Item = &'a SnapshotInfo>) -> Vec<String> {
    let parents: BTreeMap<_, _> = snapshots.map(|info| (info.key.as_str(), info.parent.as_deref())).collect();
    let depth = |key: &str| {
        let chain = std::iter::successors(Some(key), |key| parents.get(*key).copied().flatten());
        chain.take(parents.len() + 1).count()
    };
    let mut keys: Vec<_> = parents.keys().map(|key| (depth(key), (*key).to_owned())).collect();
    keys.sort_by(|a, b| b.cmp(a));
    keys.into_iter().map(|(_, key)| key).collect()
}
