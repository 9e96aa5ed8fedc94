//! Records in memory, for a build tool that keeps none elsewhere.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use cache_core::Result;

use crate::key_storage::{CacheKeyStorage, CacheKeyWriter, KeyId, KeyLink, ResultId, StoredResult};

/// A key storage in memory. Mirrors: BuildKit `solver/memorycachestorage.go`.
#[derive(Debug, Default)]
pub struct MemoryKeys {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    keys: BTreeMap<KeyId, Entry>,
    by_result: BTreeMap<ResultId, BTreeSet<KeyId>>,
}

#[derive(Debug, Default)]
struct Entry {
    results: BTreeMap<ResultId, StoredResult>,
    links: BTreeMap<KeyLink, BTreeSet<KeyId>>,
    backlinks: BTreeSet<(KeyId, KeyLink)>,
}

impl MemoryKeys {
    /// A storage without records.
    pub fn new() -> Self {
        Self::default()
    }

    /// Nothing panics under the lock, so a poisoned one guards a sound state.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Removes `key`, if it is of no use, and then those of its sources that are of none without it.
    fn prune(&mut self, key: KeyId) {
        let mut queue = vec![key];
        while let Some(key) = queue.pop() {
            let idle = |entry: &Entry| entry.results.is_empty() && entry.links.is_empty();
            if !self.keys.get(&key).is_some_and(idle) {
                continue;
            }
            for (source, link) in self.keys.remove(&key).into_iter().flat_map(|entry| entry.backlinks) {
                let Some(entry) = self.keys.get_mut(&source) else { continue };
                if let Some(targets) = entry.links.get_mut(&link) {
                    targets.remove(&key);
                    if targets.is_empty() {
                        entry.links.remove(&link);
                    }
                }
                queue.push(source);
            }
        }
    }
}

#[async_trait]
impl CacheKeyStorage for MemoryKeys {
    async fn exists(&self, key: &KeyId) -> Result<bool> {
        Ok(self.lock().keys.contains_key(key))
    }

    async fn keys(&self) -> Result<Vec<KeyId>> {
        Ok(self.lock().keys.keys().copied().collect())
    }

    async fn results(&self, key: &KeyId) -> Result<Vec<StoredResult>> {
        let state = self.lock();
        Ok(state.keys.get(key).map(|entry| entry.results.values().copied().collect()).unwrap_or_default())
    }

    async fn result(&self, key: &KeyId, result: &ResultId) -> Result<Option<StoredResult>> {
        Ok(self.lock().keys.get(key).and_then(|entry| entry.results.get(result)).copied())
    }

    async fn keys_of_result(&self, result: &ResultId) -> Result<Vec<KeyId>> {
        Ok(self.lock().by_result.get(result).into_iter().flatten().copied().collect())
    }

    async fn links(&self, key: &KeyId, link: &KeyLink) -> Result<Vec<KeyId>> {
        let state = self.lock();
        let targets = state.keys.get(key).and_then(|entry| entry.links.get(link));
        Ok(targets.into_iter().flatten().copied().collect())
    }

    async fn backlinks(&self, key: &KeyId) -> Result<Vec<(KeyId, KeyLink)>> {
        Ok(self.lock().keys.get(key).into_iter().flat_map(|entry| entry.backlinks.iter().cloned()).collect())
    }
}

#[async_trait]
impl CacheKeyWriter for MemoryKeys {
    async fn add_result(&self, key: &KeyId, result: StoredResult) -> Result<()> {
        let mut state = self.lock();
        state.keys.entry(*key).or_default().results.insert(result.id, result);
        state.by_result.entry(result.id).or_default().insert(*key);
        Ok(())
    }

    async fn add_link(&self, key: &KeyId, link: &KeyLink, target: &KeyId) -> Result<()> {
        let mut state = self.lock();
        state.keys.entry(*key).or_default().links.entry(link.clone()).or_default().insert(*target);
        state.keys.entry(*target).or_default().backlinks.insert((*key, link.clone()));
        Ok(())
    }

    async fn release(&self, result: &ResultId) -> Result<()> {
        let mut state = self.lock();
        for key in state.by_result.remove(result).unwrap_or_default() {
            if let Some(entry) = state.keys.get_mut(&key) {
                entry.results.remove(result);
            }
            state.prune(key);
        }
        Ok(())
    }
}
