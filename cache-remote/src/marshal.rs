//! From a builder to a config, in one order for every cache.

use std::cmp::Ordering;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use cache_core::{Digest, MediaTypeFamily, Timestamp, annotation};

use crate::chains::{CacheChains, ItemId, ItemResult};
use crate::config::{CacheConfig, CacheInput, CacheLayer, CacheRecord, CacheResult, LayerAnnotations, NO_PARENT};
use crate::layer_forest::NodeId;
use cache_blobs::remote::RemoteLayer;

/// Where readers find the descriptors of layers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum DescriptorPlace {
    /// In a manifest beside the config: registries and directories.
    #[default]
    Manifest,
    /// In the config: object stores and GitHub Actions.
    Config,
}

/// A config and what it refers to.
#[derive(Clone, Debug, Default)]
pub struct Marshalled {
    /// The config.
    pub config: CacheConfig,
    /// For each layer of the config what has to be written for it. A blob comes as often as it has different parents.
    /// Media types are OCI's.
    pub layers: Vec<RemoteLayer>,
    /// Blobs because of which results were left out or replaced by older ones.
    pub missing: BTreeSet<Digest>,
}

impl CacheChains {
    /// The config of this cache.
    ///
    /// Of the results of a record the newest goes in whose blobs are all present; where there is none, the record goes
    /// in without. `is_present` is asked at most once for each blob. Records that are equal all the way down become one.
    ///
    /// The order is total and depends on nothing but the content. Layers are sorted by blob, then by the blobs below;
    /// records by digest, number of inputs, then for each input by the number of links and their selectors and digests,
    /// and last by all that they depend on; links by where they lead, then by selector. Where BuildKit's order
    /// is determined, it is this one. Mirrors: BuildKit `cache/remotecache/v1/chains.go`, `Marshal`, and
    /// `cache/remotecache/v1/utils.go`, `sortConfig`.
    pub fn marshal(&self, place: DescriptorPlace, is_present: impl FnMut(&RemoteLayer) -> bool) -> Marshalled {
        let records = self.sorted_records();
        let mut presence = Presence::new(self, is_present);
        let best: Vec<_> = records.iter().map(|record| presence.best(&record.items)).collect();
        let missing = presence.missing;
        let (nodes, positions) = self.sorted_layers(best.iter().flatten().map(|result| result.node));

        let mut place_of = HashMap::new();
        for (position, record) in records.iter().enumerate() {
            place_of.extend(record.items.iter().map(|item| (*item, position)));
        }
        let records = records.iter().zip(&best).map(|(record, best)| CacheRecord {
            results: best.iter().map(|it| it.to_config(&positions)).collect(),
            chains: Vec::new(),
            digest: record.digest.into(),
            inputs: record.slots.iter().map(|slot| links(slot, &place_of)).collect(),
        });
        let layers: Vec<_> = nodes.iter().map(|node| oci(self.layers.layer(*node))).collect();
        let table = nodes.iter().zip(&layers).map(|(node, layer)| CacheLayer {
            blob: layer.layer.descriptor.digest.into(),
            parent: self.layers.parent(*node).map_or(NO_PARENT, |parent| index(positions[&parent])),
            annotations: (place == DescriptorPlace::Config).then(|| Box::new(annotations(layer))),
        });
        Marshalled { config: CacheConfig { layers: table.collect(), records: records.collect() }, layers, missing }
    }

    fn sorted_records(&self) -> Vec<SortedRecord> {
        let digests = self.record_digests();
        let mut by_identity: HashMap<Digest, usize> = HashMap::new();
        let mut records: Vec<SortedRecord> = Vec::new();
        for item in self.graph.items() {
            let identity = digests[item.index()].expect("every living record has a digest");
            if let Some(at) = by_identity.get(&identity) {
                records[*at].items.push(item);
                continue;
            }
            let slots = self.graph.slots(item).iter().map(|slot| {
                let mut links: Vec<_> = slot
                    .iter()
                    .map(|(source, selector)| SortedLink {
                        selector: Arc::clone(self.graph.selector_text(*selector)),
                        digest: self.graph.digest(*source),
                        identity: digests[source.index()].expect("every living record has a digest"),
                        source: *source,
                    })
                    .collect();
                links.sort_by(|a, b| a.key().cmp(&b.key()));
                links.dedup_by(|a, b| a.key() == b.key());
                links
            });
            by_identity.insert(identity, records.len());
            let slots = slots.collect();
            records.push(SortedRecord { digest: self.graph.digest(item), slots, identity, items: vec![item] });
        }
        records.sort_by(SortedRecord::compare);
        records
    }

    /// The layers of the chains `tops` in their order, and their places in it.
    fn sorted_layers(&self, tops: impl Iterator<Item = NodeId>) -> (Vec<NodeId>, HashMap<NodeId, usize>) {
        let mut used = vec![false; self.layers.len()];
        let mut nodes = Vec::new();
        for top in tops {
            for node in self.layers.down(top) {
                if std::mem::replace(&mut used[node.index()], true) {
                    break;
                }
                nodes.push(node);
            }
        }
        let ranks = self.layers.ranks(&nodes);
        nodes.sort_by_key(|node| ranks[node.index()]);
        let positions = nodes.iter().enumerate().map(|(position, node)| (*node, position)).collect();
        (nodes, positions)
    }
}

/// Equal records, and what they are sorted by.
struct SortedRecord {
    digest: Digest,
    slots: Vec<Vec<SortedLink>>,
    identity: Digest,
    items: Vec<ItemId>,
}

struct SortedLink {
    selector: Arc<str>,
    digest: Digest,
    identity: Digest,
    source: ItemId,
}

impl SortedLink {
    fn key(&self) -> (&str, &Digest, &Digest) {
        (&self.selector, &self.digest, &self.identity)
    }
}

impl SortedRecord {
    fn compare(&self, other: &Self) -> Ordering {
        let counts = (self.digest, self.slots.len()).cmp(&(other.digest, other.slots.len()));
        let slots = self.slots.iter().zip(&other.slots).map(|(a, b)| {
            let links = a.iter().zip(b).map(|(a, b)| (&a.selector, a.digest).cmp(&(&b.selector, b.digest)));
            a.len().cmp(&b.len()).then_with(|| first_difference(links))
        });
        counts.then_with(|| first_difference(slots)).then_with(|| self.identity.cmp(&other.identity))
    }
}

fn first_difference(mut orderings: impl Iterator<Item = Ordering>) -> Ordering {
    orderings.find(|ordering| ordering.is_ne()).unwrap_or(Ordering::Equal)
}

/// Which blobs and chains are present, each found out once.
struct Presence<'a, F> {
    chains: &'a CacheChains,
    is_present: F,
    blobs: HashMap<Digest, bool>,
    nodes: Vec<Option<bool>>,
    missing: BTreeSet<Digest>,
}

impl<'a, F: FnMut(&RemoteLayer) -> bool> Presence<'a, F> {
    fn new(chains: &'a CacheChains, is_present: F) -> Self {
        let nodes = vec![None; chains.layers.len()];
        Self { chains, is_present, blobs: HashMap::new(), nodes, missing: BTreeSet::new() }
    }

    /// The newest result of which nothing is missing; of several the first that came.
    fn best(&mut self, items: &[ItemId]) -> Option<ItemResult> {
        let mut results: Vec<_> = items.iter().flat_map(|item| self.chains.item_results(*item)).copied().collect();
        results.sort_by_key(|result| std::cmp::Reverse(result.created_at));
        results.into_iter().find(|result| self.has(result.node))
    }

    fn has(&mut self, top: NodeId) -> bool {
        let unknown: Vec<_> =
            self.chains.layers.down(top).take_while(|node| self.nodes[node.index()].is_none()).collect();
        for node in unknown.into_iter().rev() {
            let below = self.chains.layers.parent(node).is_none_or(|parent| self.nodes[parent.index()] == Some(true));
            let here = below && self.has_blob(node);
            self.nodes[node.index()] = Some(here);
        }
        self.nodes[top.index()] == Some(true)
    }

    fn has_blob(&mut self, node: NodeId) -> bool {
        let layer = self.chains.layers.layer(node);
        let digest = layer.layer.descriptor.digest;
        let present = *self.blobs.entry(digest).or_insert_with(|| (self.is_present)(layer));
        if !present {
            self.missing.insert(digest);
        }
        present
    }
}

impl ItemResult {
    fn to_config(self, positions: &HashMap<NodeId, usize>) -> CacheResult {
        CacheResult { layer: index(positions[&self.node]), created_at: self.created_at }
    }
}

fn links(slot: &[SortedLink], places: &HashMap<ItemId, usize>) -> Vec<CacheInput> {
    let mut links: Vec<_> = slot
        .iter()
        .map(|link| CacheInput { selector: link.selector.to_string(), link: index(places[&link.source]) })
        .collect();
    links.sort_by(|a, b| (a.link, &a.selector).cmp(&(b.link, &b.selector)));
    links
}

fn oci(layer: &RemoteLayer) -> RemoteLayer {
    let mut layer = layer.clone();
    layer.layer.descriptor.media_type = layer.layer.descriptor.media_type.to_family(MediaTypeFamily::Oci);
    layer
}

fn annotations(layer: &RemoteLayer) -> LayerAnnotations {
    let descriptor = &layer.layer.descriptor;
    let created_at = descriptor.annotations.get(annotation::CREATED_AT).and_then(|text| text.parse().ok());
    LayerAnnotations {
        media_type: descriptor.media_type.clone(),
        diff_id: layer.layer.diff_id.into(),
        size: i64::try_from(descriptor.size).unwrap_or(i64::MAX),
        created_at: created_at.map_or_else(Timestamp::zero, Timestamp::to_utc),
    }
}

fn index(index: usize) -> i64 {
    i64::try_from(index).expect("an index fits in 63 bits")
}
