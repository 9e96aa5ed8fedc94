//! Several caches as one.

use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;
use cache_blobs::remote::Remote;
use cache_core::{CompressionConfig, Result};

use crate::imported::ImportedCache;
use crate::key_storage::{CacheKeyStorage, CacheResultStorage, KeyId, KeyLink, ResultId, StoredResult};

/// Several imported caches, asked as one. A record that is in several has the results and links of all.
/// Mirrors: BuildKit `solver/combinedcache.go`, which keeps one cache's record and hides the others' results.
#[derive(Clone, Debug, Default)]
pub struct CombinedCache {
    caches: Vec<Arc<ImportedCache>>,
}

impl CombinedCache {
    /// `caches`, those first whose remotes are to be tried first.
    pub fn new(caches: Vec<Arc<ImportedCache>>) -> Self {
        Self { caches }
    }

    /// The caches.
    pub fn caches(&self) -> &[Arc<ImportedCache>] {
        &self.caches
    }
}

#[async_trait]
impl CacheKeyStorage for CombinedCache {
    async fn exists(&self, key: &KeyId) -> Result<bool> {
        for cache in &self.caches {
            if cache.exists(key).await? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    async fn keys(&self) -> Result<Vec<KeyId>> {
        let mut keys = BTreeSet::new();
        for cache in &self.caches {
            keys.extend(cache.keys().await?);
        }
        Ok(keys.into_iter().collect())
    }

    async fn results(&self, key: &KeyId) -> Result<Vec<StoredResult>> {
        let mut results: Vec<StoredResult> = Vec::new();
        for cache in &self.caches {
            let new = cache.results(key).await?;
            results.extend(new.into_iter().filter(|new| !results.contains(new)).collect::<Vec<_>>());
        }
        Ok(results)
    }

    async fn result(&self, key: &KeyId, result: &ResultId) -> Result<Option<StoredResult>> {
        for cache in &self.caches {
            if let Some(found) = cache.result(key, result).await? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    async fn keys_of_result(&self, result: &ResultId) -> Result<Vec<KeyId>> {
        let mut keys = BTreeSet::new();
        for cache in &self.caches {
            keys.extend(cache.keys_of_result(result).await?);
        }
        Ok(keys.into_iter().collect())
    }

    async fn links(&self, key: &KeyId, link: &KeyLink) -> Result<Vec<KeyId>> {
        let mut keys = BTreeSet::new();
        for cache in &self.caches {
            keys.extend(cache.links(key, link).await?);
        }
        Ok(keys.into_iter().collect())
    }

    async fn backlinks(&self, key: &KeyId) -> Result<Vec<(KeyId, KeyLink)>> {
        let mut links = BTreeSet::new();
        for cache in &self.caches {
            links.extend(cache.backlinks(key).await?);
        }
        Ok(links.into_iter().collect())
    }
}

#[async_trait]
impl CacheResultStorage for CombinedCache {
    async fn has_result(&self, result: &ResultId) -> Result<bool> {
        for cache in &self.caches {
            if cache.has_result(result).await? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    async fn remotes(&self, result: &ResultId, wanted: Option<&CompressionConfig>) -> Result<Vec<Remote>> {
        let mut remotes = Vec::new();
        for cache in &self.caches {
            remotes.extend(cache.remotes(result, wanted).await?);
        }
        Ok(remotes)
    }
}
