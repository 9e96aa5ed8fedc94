//! A cache that was read: its records as they were written, and as a solver looks them up.

use std::collections::{BTreeSet, HashMap, HashSet};

use async_trait::async_trait;
use cache_blobs::remote::Remote;
use cache_core::{CompressionConfig, Conversion, Descriptor, Digest, Result, Timestamp};

use crate::chains::{CacheChains, ItemId, RecordId};
use crate::config::CacheConfig;
use crate::importer::ConfigSchema;
use crate::key_storage::{CacheKeyStorage, CacheResultStorage, KeyId, KeyLink, ResultId, StoredResult};
use crate::layer_forest::NodeId;
use crate::manifest::CacheManifest;
use crate::parse::Parsed;
use crate::warning::CacheWarning;

/// An imported cache. Nothing of it changes any more.
/// Mirrors: BuildKit `cache/remotecache/v1/cachestorage.go`, with a reverse index of links.
#[derive(Debug)]
pub struct ImportedCache {
    root: Descriptor,
    manifest: CacheManifest,
    config: CacheConfig,
    schema: ConfigSchema,
    chains: CacheChains,
    records: Vec<Option<RecordId>>,
    warnings: Vec<CacheWarning>,
    ids: Vec<Option<KeyId>>,
    /// More than one only where merging left records that are equal all the way down.
    items: HashMap<KeyId, Vec<ItemId>>,
    results: HashMap<ResultId, Vec<ItemId>>,
    chain_ids: Vec<ResultId>,
    nodes: HashMap<ResultId, NodeId>,
}

/// A result of a record in an imported cache.
#[derive(Clone, Debug)]
pub struct ImportedResult {
    /// Its name.
    pub id: ResultId,
    /// When it was made.
    pub created_at: Timestamp,
    /// Its layers.
    pub remote: Remote,
}

impl ImportedCache {
    pub(crate) fn new(
        root: Descriptor,
        manifest: CacheManifest,
        config: CacheConfig,
        schema: ConfigSchema,
        parsed: Parsed,
    ) -> Self {
        let Parsed { chains, records, warnings } = parsed;
        let ids: Vec<_> = chains.record_digests().into_iter().map(|digest| digest.map(KeyId::new)).collect();
        let chain_ids: Vec<_> = chains.layers.chain_digests().into_iter().map(ResultId::new).collect();
        let nodes = chains.layers.nodes().map(|node| (chain_ids[node.index()], node)).collect();
        let mut items: HashMap<_, Vec<_>> = HashMap::new();
        let mut results: HashMap<_, Vec<_>> = HashMap::new();
        for item in chains.graph.items() {
            items.entry(ids[item.index()].expect("every living record has a digest")).or_default().push(item);
            for result in chains.item_results(item) {
                results.entry(chain_ids[result.node.index()]).or_default().push(item);
            }
        }
        Self { root, manifest, config, schema, chains, records, warnings, ids, items, results, chain_ids, nodes }
    }

    /// The manifest or index that was read.
    pub fn descriptor(&self) -> &Descriptor {
        &self.root
    }

    /// Its content.
    pub fn manifest(&self) -> &CacheManifest {
        &self.manifest
    }

    /// The config as it was written; for [`ConfigSchema::Legacy`] what it became.
    pub fn config(&self) -> &CacheConfig {
        &self.config
    }

    /// The schema that the config was written in.
    pub fn schema(&self) -> &ConfigSchema {
        &self.schema
    }

    /// The records as a builder, to export them again.
    pub fn chains(&self) -> &CacheChains {
        &self.chains
    }

    /// What was left out.
    pub fn warnings(&self) -> &[CacheWarning] {
        &self.warnings
    }

    /// For each record of [`config`](Self::config) its name; `None` if it was left out.
    pub fn keys_in_config(&self) -> Vec<Option<KeyId>> {
        self.records.iter().map(|record| self.ids[self.chains.item((*record)?).ok()?.index()]).collect()
    }

    /// The records of the output key `digest`, however they are reached. Sorted.
    pub fn keys_of(&self, digest: &Digest) -> Vec<KeyId> {
        let of = |item: &ItemId| self.chains.graph.digest(*item) == *digest;
        distinct(self.chains.graph.items().filter(of).filter_map(|item| self.ids[item.index()]))
    }

    /// The results of a record, newest first.
    pub fn results_of(&self, key: &KeyId) -> Vec<ImportedResult> {
        let items = self.items_of(key);
        let results = items.flat_map(|item| self.chains.item_results(item)).map(|result| ImportedResult {
            id: self.chain_ids[result.node.index()],
            created_at: result.created_at,
            remote: self.chains.layers.remote(result.node),
        });
        let mut results: Vec<_> = results.collect();
        results.sort_by_key(|result| std::cmp::Reverse(result.created_at));
        results
    }

    /// The results of `key` and of all that it depends on which are the lower part of the layers of `result`, or all of
    /// them, shortest first. Who loads `result` has these too.
    /// Mirrors: BuildKit `cache/remotecache/v1/cachestorage.go`, `LoadWithParents`.
    pub fn results_below(&self, key: &KeyId, result: &ResultId) -> Vec<(KeyId, StoredResult)> {
        let Some(top) = self.nodes.get(result) else { return Vec::new() };
        let lower: HashMap<_, _> =
            self.chains.layers.down(*top).map(|node| (node, self.chains.layers.length(node))).collect();
        let mut queue: Vec<_> = self.items_of(key).collect();
        let mut seen: HashSet<_> = queue.iter().copied().collect();
        let mut found = Vec::new();
        while let Some(item) = queue.pop() {
            for result in self.chains.item_results(item) {
                if let (Some(length), Some(key)) = (lower.get(&result.node), self.ids[item.index()]) {
                    let id = self.chain_ids[result.node.index()];
                    found.push((*length, key, StoredResult { id, created_at: result.created_at }));
                }
            }
            let sources = self.chains.graph.slots(item).iter().flatten().map(|(source, _)| *source);
            queue.extend(sources.filter(|source| seen.insert(*source)));
        }
        found.sort_by_key(|(length, key, result)| (*length, *key, result.id));
        found.into_iter().map(|(_, key, result)| (key, result)).collect()
    }

    fn items_of(&self, key: &KeyId) -> impl Iterator<Item = ItemId> + '_ {
        self.items.get(key).into_iter().flatten().copied()
    }

    fn stored(&self, item: ItemId) -> impl Iterator<Item = StoredResult> + '_ {
        let results = self.chains.item_results(item).iter();
        results.map(|it| StoredResult { id: self.chain_ids[it.node.index()], created_at: it.created_at })
    }
}

#[async_trait]
impl CacheKeyStorage for ImportedCache {
    async fn exists(&self, key: &KeyId) -> Result<bool> {
        Ok(self.items.contains_key(key))
    }

    async fn keys(&self) -> Result<Vec<KeyId>> {
        Ok(self.items.keys().copied().collect())
    }

    async fn results(&self, key: &KeyId) -> Result<Vec<StoredResult>> {
        let mut results: Vec<_> = Vec::new();
        for stored in self.items_of(key).flat_map(|item| self.stored(item)) {
            if !results.contains(&stored) {
                results.push(stored);
            }
        }
        Ok(results)
    }

    async fn result(&self, key: &KeyId, result: &ResultId) -> Result<Option<StoredResult>> {
        let mut stored = self.items_of(key).flat_map(|item| self.stored(item));
        Ok(stored.find(|stored| stored.id == *result))
    }

    async fn keys_of_result(&self, result: &ResultId) -> Result<Vec<KeyId>> {
        let items = self.results.get(result).into_iter().flatten();
        Ok(distinct(items.filter_map(|item| self.ids[item.index()])))
    }

    async fn links(&self, key: &KeyId, link: &KeyLink) -> Result<Vec<KeyId>> {
        let follow = |source| self.chains.graph.follow(source, &link.key, link.input, &link.selector);
        let found = self.items_of(key).flat_map(follow);
        Ok(distinct(found.filter_map(|item| self.ids[item.index()])))
    }

    async fn backlinks(&self, key: &KeyId) -> Result<Vec<(KeyId, KeyLink)>> {
        let mut links = Vec::new();
        for item in self.items_of(key) {
            let digest = self.chains.graph.digest(item);
            for (input, slot) in (0..).zip(self.chains.graph.slots(item)) {
                for (source, selector) in slot {
                    let selector = self.chains.graph.selector_text(*selector).to_string();
                    if let Some(source) = self.ids[source.index()] {
                        links.push((source, KeyLink { input, selector, key: digest }));
                    }
                }
            }
        }
        Ok(distinct(links.into_iter()))
    }
}

#[async_trait]
impl CacheResultStorage for ImportedCache {
    async fn has_result(&self, result: &ResultId) -> Result<bool> {
        Ok(self.results.contains_key(result))
    }

    async fn remotes(&self, result: &ResultId, wanted: Option<&CompressionConfig>) -> Result<Vec<Remote>> {
        let Some(node) = self.results.get(result).and_then(|_| self.nodes.get(result)) else { return Ok(Vec::new()) };
        let remote = self.chains.layers.remote(*node);
        Ok(if wanted.is_none_or(|wanted| is_in(&remote, wanted)) { vec![remote] } else { Vec::new() })
    }
}

fn distinct<T: Ord>(values: impl Iterator<Item = T>) -> Vec<T> {
    values.collect::<BTreeSet<_>>().into_iter().collect()
}

/// Media types do not tell eStargz from gzip, nor zstd:chunked from zstd, so either stands for both.
fn is_in(remote: &Remote, wanted: &CompressionConfig) -> bool {
    use cache_core::Compression::{self, EStargz, Gzip, Zstd};
    let named = |compression: &Compression| match compression {
        EStargz => Gzip,
        chunked if *chunked == Compression::ZSTD_CHUNKED => Zstd,
        other => other.clone(),
    };
    let mut layers = remote.layers().iter().map(|layer| {
        layer.layer.descriptor.media_type.layer_compression().is_some_and(|it| named(&it) == named(&wanted.compression))
    });
    match wanted.conversion {
        Conversion::NewLayersOnly => layers.any(|is| is),
        Conversion::AllLayers => layers.all(|is| is),
    }
}
