//! The builder of a cache: records that find their equals when they are added.

mod graph;
mod intern;
mod order;
mod unite;

use std::sync::atomic::{AtomicU64, Ordering};

use cache_core::{Digest, Timestamp};

use crate::error::CacheError;
use crate::layer_forest::{LayerForest, NodeId};
use crate::output_key::RecordKey;
use cache_blobs::remote::Remote;
pub(crate) use graph::{Graph, ItemId};

/// Tells builders apart, so that a record of one is not taken for that of another.
static BUILDERS: AtomicU64 = AtomicU64::new(0);

/// A record in a [`CacheChains`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RecordId {
    builder: u64,
    item: ItemId,
}

/// How an input is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RecordLink<'a> {
    /// The record that the input comes from.
    pub source: RecordId,
    /// Which part of it counts; empty for all.
    pub selector: &'a str,
}

impl RecordLink<'_> {
    /// All of `source`.
    pub fn whole(source: RecordId) -> Self {
        Self { source, selector: "" }
    }
}

/// What a record stands for.
#[derive(Clone, Debug)]
pub struct ExportResult {
    /// When it was made.
    pub created_at: Timestamp,
    /// Its layers. None make no result.
    pub remote: Remote,
}

/// A cache under construction: what exporters write and importers read.
///
/// A record is added after those that it links to. One that is equal to an earlier one is that one: an earlier record
/// with the same digest and the same number of inputs matches if for every input at least one of the offered links
/// leads to it. Records are kept in a flat arena; no chain is long enough to exhaust a stack.
///
/// Mirrors: BuildKit `cache/remotecache/v1/chains.go`, `CacheChains`, with these deviations:
/// - Of several matches the first one added takes in all others with their links, children and results, and so on for
///   children that are thereby found to be equal; BuildKit takes a random one and leaves the others as records without
///   children.
/// - Results are the same if their creation times and all of their digests are equal; BuildKit compares the times and
///   the numbers of layers.
/// - A record never matches one with another number of inputs.
#[derive(Debug)]
pub struct CacheChains {
    id: u64,
    pub(crate) graph: Graph,
    pub(crate) layers: LayerForest,
    /// By item.
    results: Vec<Vec<ItemResult>>,
}

/// A result whose layers are in the forest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ItemResult {
    pub(crate) created_at: Timestamp,
    pub(crate) node: NodeId,
}

impl Default for CacheChains {
    fn default() -> Self {
        Self::new()
    }
}

impl CacheChains {
    /// A cache without records.
    pub fn new() -> Self {
        Self {
            id: BUILDERS.fetch_add(1, Ordering::Relaxed),
            graph: Graph::default(),
            layers: LayerForest::default(),
            results: Vec::new(),
        }
    }

    /// Adds the record `key` with the links of each input and its results, or finds it. `None` if the key is random:
    /// the caller leaves out what depends on nothing else.
    ///
    /// A link that would make a record depend on itself is left out.
    ///
    /// # Errors
    /// [`CacheError::EmptyInput`] for an input without links; [`CacheError::ForeignRecord`] for a link from another
    /// builder.
    pub fn add(
        &mut self,
        key: RecordKey,
        inputs: &[Vec<RecordLink<'_>>],
        results: &[ExportResult],
    ) -> Result<Option<RecordId>, CacheError> {
        let RecordKey::Stable(digest) = key else { return Ok(None) };
        let mut slots = Vec::with_capacity(inputs.len());
        for (input, links) in inputs.iter().enumerate() {
            if links.is_empty() {
                return Err(CacheError::EmptyInput(input));
            }
            let links = links.iter().map(|link| Ok((self.item(link.source)?, self.graph.selector(link.selector))));
            slots.push(links.collect::<Result<Vec<_>, CacheError>>()?);
        }
        let results = results
            .iter()
            .filter_map(|result| {
                let node = self.layers.put_remote(&result.remote)?;
                Some(ItemResult { created_at: result.created_at, node })
            })
            .collect::<Vec<_>>();
        let item = self.add_item(digest, slots, results);
        Ok(Some(RecordId { builder: self.id, item }))
    }

    /// Adds one more link of a record, unless it would close a loop.
    pub(crate) fn add_late_link(
        &mut self,
        record: RecordId,
        input: usize,
        link: RecordLink<'_>,
    ) -> Result<(), CacheError> {
        let (source, child) = (self.item(link.source)?, self.item(record)?);
        self.graph.add_link(source, link.selector, child, input);
        Ok(())
    }

    /// As [`add`](Self::add), with everything in the builder's own terms.
    pub(crate) fn add_item(
        &mut self,
        digest: Digest,
        slots: Vec<Vec<(ItemId, u32)>>,
        results: impl IntoIterator<Item = ItemResult>,
    ) -> ItemId {
        let outcome = self.graph.add(digest, slots);
        self.results.resize_with(self.graph.len(), Vec::new);
        for (into, absorbed) in outcome.absorbed {
            for result in std::mem::take(&mut self.results[absorbed.index()]) {
                self.add_result(into, result);
            }
        }
        for result in results {
            self.add_result(outcome.item, result);
        }
        outcome.item
    }

    fn add_result(&mut self, item: ItemId, result: ItemResult) {
        let results = &mut self.results[item.index()];
        if !results.contains(&result) {
            results.push(result);
        }
    }

    /// How many records there are.
    pub fn len(&self) -> usize {
        self.graph.items().count()
    }

    /// Whether there are no records.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Results of `record` in the order in which they came.
    ///
    /// # Errors
    /// [`CacheError::ForeignRecord`] for a record of another builder.
    pub fn results(&self, record: RecordId) -> Result<Vec<ExportResult>, CacheError> {
        let results = self.item_results(self.item(record)?).iter();
        Ok(results
            .map(|result| ExportResult { created_at: result.created_at, remote: self.layers.remote(result.node) })
            .collect())
    }

    pub(crate) fn record(&self, item: ItemId) -> RecordId {
        RecordId { builder: self.id, item }
    }

    pub(crate) fn item(&self, record: RecordId) -> Result<ItemId, CacheError> {
        if record.builder != self.id {
            return Err(CacheError::ForeignRecord);
        }
        Ok(self.graph.living(record.item))
    }

    pub(crate) fn item_results(&self, item: ItemId) -> &[ItemResult] {
        &self.results[item.index()]
    }
}
