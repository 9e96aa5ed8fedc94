//! From a config to a builder.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use cache_core::ports::Provider;
use cache_core::{Descriptor, Digest, Layer, annotation};

use crate::chains::{CacheChains, ItemId, ItemResult, RecordId};
use crate::config::{CacheConfig, CacheInput, CacheRecord, ConfigLimits, NO_PARENT};
use crate::error::CacheError;
use crate::fault::Fault;
use crate::layer_forest::NodeId;
use crate::settle::{LinkFault, LinkPlace, settle};
use crate::warning::CacheWarning;
use cache_blobs::remote::RemoteLayer;

/// What happens when part of a config is unsound.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum ParseMode {
    /// The whole config is refused, as BuildKit does.
    Strict,
    /// The unsound part and what depends on nothing else is left out, with a warning.
    #[default]
    Lenient,
}

/// The layers that a cache has, by blob.
pub type LayerTable = HashMap<Digest, RemoteLayer>;

/// A config that was read.
#[derive(Debug)]
pub struct Parsed {
    /// The records.
    pub chains: CacheChains,
    /// For each record of the config what it became; `None` if it was left out. Equal records became one.
    pub records: Vec<Option<RecordId>>,
    /// What was left out.
    pub warnings: Vec<CacheWarning>,
}

/// The records of `config`, whose layers are in `table`. A result of which a blob is not in the table is left out with a
/// warning in either mode; the record stays. Every record is added with the rules of [`CacheChains::add`].
/// Mirrors: BuildKit `cache/remotecache/v1/parse.go`, `ParseConfig`.
///
/// # Errors
/// [`CacheError::Unsound`] in strict mode; [`CacheError::Limit`] past [`ConfigLimits::max_chain_length`].
pub fn parse(
    config: &CacheConfig,
    table: &LayerTable,
    mode: ParseMode,
    limits: &ConfigLimits,
) -> Result<Parsed, CacheError> {
    let mut parser = Parser {
        config,
        table,
        limits,
        report: Report { mode, warnings: Vec::new() },
        missing: BTreeSet::new(),
        chains: CacheChains::new(),
        places: vec![Place::Unknown; config.layers.len()],
    };
    parser.layers()?;
    let items = parser.records()?;
    let Parser { chains, report, missing, .. } = parser;
    let mut warnings = report.warnings;
    warnings.extend(missing.into_iter().map(|blob| CacheWarning::ResultWithoutBlob { blob }));
    let records = items.into_iter().map(|item| item.map(|item| chains.record(chains.graph.living(item)))).collect();
    Ok(Parsed { chains, records, warnings })
}

/// The layers of `descriptors` by blob, each read from `provider`. Those that do not say their DiffID cannot be used.
pub fn layer_table(descriptors: &[Descriptor], provider: &Arc<dyn Provider>) -> (LayerTable, Vec<CacheWarning>) {
    let mut table = LayerTable::new();
    let mut unusable = BTreeSet::new();
    for descriptor in descriptors {
        match Layer::from_annotated(descriptor.clone()) {
            Ok(layer) => {
                table.insert(descriptor.digest, RemoteLayer { layer, provider: Arc::clone(provider) });
            }
            Err(_) => {
                unusable.insert(descriptor.digest);
            }
        }
    }
    let warnings = unusable.into_iter().filter(|blob| !table.contains_key(blob));
    let warnings = warnings.map(|blob| CacheWarning::NoDiffId { blob }).collect();
    (table, warnings)
}

/// The layers of a config that carries their descriptors itself, as those in object stores do.
pub fn annotated_layer_table(config: &CacheConfig, provider: &Arc<dyn Provider>) -> (LayerTable, Vec<CacheWarning>) {
    let descriptors: Vec<_> = config
        .layers
        .iter()
        .filter_map(|layer| {
            let annotations = layer.annotations.as_deref()?;
            let size = u64::try_from(annotations.size).ok()?;
            let mut descriptor = Descriptor::new(annotations.media_type.clone(), layer.blob.get()?, size)
                .with_annotation(annotation::UNCOMPRESSED, annotations.diff_id.to_string());
            if annotations.created_at != cache_core::Timestamp::zero() {
                descriptor = descriptor.with_annotation(annotation::CREATED_AT, annotations.created_at.to_string());
            }
            Some(descriptor)
        })
        .collect();
    layer_table(&descriptors, provider)
}

/// What a layer of the config is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Unknown,
    Open,
    /// The chain with this top.
    Chain(NodeId),
    /// A blob of the chain is not in the table.
    Missing(Digest),
    /// The chain is unsound.
    Unsound,
}

struct Report {
    mode: ParseMode,
    warnings: Vec<CacheWarning>,
}

impl Report {
    fn fault(&mut self, fault: Fault) -> Result<(), CacheError> {
        match self.mode {
            ParseMode::Strict => Err(CacheError::Unsound(fault)),
            ParseMode::Lenient => {
                self.warnings.push(CacheWarning::Dropped(fault));
                Ok(())
            }
        }
    }
}

struct Parser<'a> {
    config: &'a CacheConfig,
    table: &'a LayerTable,
    limits: &'a ConfigLimits,
    report: Report,
    missing: BTreeSet<Digest>,
    chains: CacheChains,
    places: Vec<Place>,
}

impl Parser<'_> {
    /// Finds the chain of every layer, each from its parent's.
    fn layers(&mut self) -> Result<(), CacheError> {
        for first in 0..self.places.len() {
            let mut path = Vec::new();
            let mut at = first;
            let mut below = loop {
                match self.places[at] {
                    Place::Unknown => {}
                    Place::Open => {
                        self.report.fault(Fault::LayerLoop { layer: at })?;
                        break Some(Place::Unsound);
                    }
                    known => break Some(known),
                }
                self.places[at] = Place::Open;
                path.push(at);
                let parent = self.config.layers[at].parent;
                if parent == NO_PARENT {
                    break None;
                }
                match usize::try_from(parent).ok().filter(|parent| *parent < self.places.len()) {
                    Some(parent) => at = parent,
                    None => {
                        self.report.fault(Fault::ParentOutOfRange { layer: at, parent })?;
                        break Some(Place::Unsound);
                    }
                }
            };
            for layer in path.into_iter().rev() {
                let place = self.place(layer, below)?;
                self.places[layer] = place;
                below = Some(place);
            }
        }
        Ok(())
    }

    /// What `layer` is on top of `below`.
    fn place(&mut self, layer: usize, below: Option<Place>) -> Result<Place, CacheError> {
        let Some(blob) = self.config.layers[layer].blob.get() else {
            self.report.fault(Fault::LayerDigest { layer })?;
            return Ok(Place::Unsound);
        };
        let parent = match below {
            None => None,
            Some(Place::Chain(node)) => Some(node),
            Some(other) => return Ok(other),
        };
        self.chain(parent, blob)
    }

    fn chain(&mut self, parent: Option<NodeId>, blob: Digest) -> Result<Place, CacheError> {
        let Some(layer) = self.table.get(&blob) else { return Ok(Place::Missing(blob)) };
        let most = self.limits.max_chain_length;
        if parent.map_or(0, |parent| self.chains.layers.length(parent)) >= most {
            return Err(CacheError::Limit { limit: "max_chain_length", most: most as u64 });
        }
        Ok(Place::Chain(self.chains.layers.put(parent, layer)))
    }

    fn records(&mut self) -> Result<Vec<Option<ItemId>>, CacheError> {
        let records = &self.config.records;
        let target = |link: &CacheInput| usize::try_from(link.link).ok().filter(|source| *source < records.len());
        let slots = |record: &CacheRecord| record.inputs.iter().map(|slot| slot.iter().map(target).collect()).collect();
        for (record, _) in records.iter().enumerate().filter(|(_, record)| record.digest.get().is_none()) {
            self.report.fault(Fault::RecordDigest { record })?;
        }
        let targets = records.iter().map(slots).collect();
        let settled = settle(&targets, |record| records[record].digest.get().is_some());
        for (fault, place) in settled.faults {
            self.report.fault(self.fault(fault, place))?;
        }
        let mut items: Vec<Option<ItemId>> = vec![None; records.len()];
        for (record, kept) in settled.steps {
            items[record] = self.record(record, &kept, &items)?;
        }
        for place in settled.late {
            let link = &records[place.record].inputs[place.input][place.link];
            let source = targets[place.record][place.input][place.link].and_then(|source| items[source]);
            if let (Some(source), Some(item)) = (source, items[place.record])
                && !self.chains.graph.add_link(source, &link.selector, item, place.input)
            {
                self.report.fault(self.fault(LinkFault::Loop, place))?;
            }
        }
        Ok(items)
    }

    fn fault(&self, fault: LinkFault, place: LinkPlace) -> Fault {
        let LinkPlace { record, input, link } = place;
        match fault {
            LinkFault::OutOfRange => {
                Fault::LinkOutOfRange { record, input, link: self.config.records[record].inputs[input][link].link }
            }
            LinkFault::Loop => Fault::RecordLoop { record, input },
            LinkFault::Dropped => Fault::LinkToDropped { record, input },
            LinkFault::Empty | LinkFault::Emptied => Fault::EmptyInput { record, input },
        }
    }

    fn record(
        &mut self,
        record: usize,
        kept: &[Vec<usize>],
        items: &[Option<ItemId>],
    ) -> Result<Option<ItemId>, CacheError> {
        let written = &self.config.records[record];
        let Some(digest) = written.digest.get() else { return Ok(None) };
        let mut slots = Vec::with_capacity(kept.len());
        for (links, kept) in written.inputs.iter().zip(kept) {
            let links = kept.iter().filter_map(|at| {
                let link = &links[*at];
                let source = items[usize::try_from(link.link).ok()?]?;
                Some((source, self.chains.graph.selector(&link.selector)))
            });
            slots.push(links.collect());
        }
        let results = self.results(record)?;
        Ok(Some(self.chains.add_item(digest, slots, results)))
    }

    fn results(&mut self, record: usize) -> Result<Vec<ItemResult>, CacheError> {
        let written = &self.config.records[record];
        let mut results = Vec::new();
        for result in &written.results {
            let place = self.layer(record, result.layer)?.map(|layer| self.places[layer]);
            if let Some(node) = self.usable(place) {
                results.push(ItemResult { created_at: result.created_at, node });
            }
        }
        for result in &written.chains {
            let mut place = None;
            for layer in &result.layers {
                let blob = self.layer(record, *layer)?.and_then(|layer| self.config.layers[layer].blob.get());
                place = match (blob, place) {
                    (Some(blob), None) => Some(self.chain(None, blob)?),
                    (Some(blob), Some(Place::Chain(below))) => Some(self.chain(Some(below), blob)?),
                    (Some(_), other) => other,
                    (None, _) => Some(Place::Unsound),
                };
            }
            if let Some(node) = self.usable(place) {
                results.push(ItemResult { created_at: result.created_at, node });
            }
        }
        Ok(results)
    }

    fn layer(&mut self, record: usize, layer: i64) -> Result<Option<usize>, CacheError> {
        let found = usize::try_from(layer).ok().filter(|layer| *layer < self.places.len());
        if found.is_none() {
            self.report.fault(Fault::ResultOutOfRange { record, layer })?;
        }
        Ok(found)
    }

    fn usable(&mut self, place: Option<Place>) -> Option<NodeId> {
        match place {
            Some(Place::Chain(node)) => Some(node),
            Some(Place::Missing(blob)) => {
                self.missing.insert(blob);
                None
            }
            _ => None,
        }
    }
}
