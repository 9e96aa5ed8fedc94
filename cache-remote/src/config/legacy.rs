//! The config of October 2017 to April 2018: a flat list of keys, blobs and what lies below them.

use std::collections::{BTreeMap, HashMap};

use cache_core::{Digest, Timestamp};

use super::{CacheConfig, CacheLayer, CacheRecord, CacheResult, NO_PARENT, WireDigest};

/// A config whose only member is `Items`. Today's BuildKit takes it for an empty one.
/// Mirrors: BuildKit of 2017, `cache/cacheimport/export.go`, `cacheConfig`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LegacyConfig {
    /// The items, in any order.
    pub items: Vec<LegacyItem>,
}

/// A key, a blob, or a key with its blob.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LegacyItem {
    /// The blob of the top layer (`Blobsum`), if there is one.
    pub blob: WireDigest,
    /// The key by which the result is found; it contains those of all inputs.
    pub cache_key: WireDigest,
    /// The key by what the inputs contain, which stands for [`cache_key`](Self::cache_key).
    pub content_key: WireDigest,
    /// The blob below, if there is one.
    pub parent: WireDigest,
    /// The digest of the blob's uncompressed stream.
    pub diff_id: WireDigest,
}

impl LegacyConfig {
    /// The same cache as records without inputs, whose digests are the old keys. Of several items with one key or one
    /// blob the last counts, as in the old importer. A blob whose parent is not listed has none that can be used, so
    /// its index points nowhere.
    pub fn to_current(&self) -> CacheConfig {
        let mut index = HashMap::new();
        let mut tops = Vec::new();
        for item in &self.items {
            if let Some(blob) = item.blob.get() {
                let at = *index.entry(blob).or_insert_with(|| {
                    tops.push(item);
                    tops.len() - 1
                });
                tops[at] = item;
            }
        }
        let position = |digest: &WireDigest| match digest.get().and_then(|digest| index.get(&digest)) {
            Some(at) => i64::try_from(*at).unwrap_or(i64::MAX),
            None if digest.is_empty() => NO_PARENT,
            None => i64::MAX,
        };
        let layer = |item: &&LegacyItem| CacheLayer {
            blob: item.blob.clone(),
            parent: position(&item.parent),
            annotations: None,
        };
        let mut records = BTreeMap::new();
        for item in &self.items {
            let Some(key) = item.cache_key.get() else { continue };
            let result = CacheResult { layer: position(&item.blob), created_at: Timestamp::zero() };
            let results = if item.blob.get().is_some() { vec![result] } else { Vec::new() };
            records.insert(key, CacheRecord { results, digest: key.into(), ..CacheRecord::default() });
        }
        CacheConfig { layers: tops.iter().map(layer).collect(), records: records.into_values().collect() }
    }

    /// The DiffIDs, which the manifest of an old cache lacks, by blob.
    pub fn diff_ids(&self) -> HashMap<Digest, Digest> {
        self.items.iter().filter_map(|item| Some((item.blob.get()?, item.diff_id.get()?))).collect()
    }

    /// For each content key the keys that it stands for, in the order in which they are listed.
    pub fn content_keys(&self) -> BTreeMap<Digest, Vec<Digest>> {
        let mut keys: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for item in &self.items {
            if let (Some(content_key), Some(cache_key)) = (item.content_key.get(), item.cache_key.get()) {
                keys.entry(content_key).or_default().push(cache_key);
            }
        }
        keys
    }
}
