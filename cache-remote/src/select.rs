//! Which results of a build go into its cache: `mode=min` and `mode=max`.

use crate::chains::{CacheChains, ExportResult, RecordId, RecordLink};
use crate::error::CacheError;
use crate::output_key::RecordKey;
use crate::settle::settle;

/// How much of a build is exported.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum ExportMode {
    /// The result of the build, and below it what has blobs already.
    #[default]
    Min,
    /// The result of every step.
    Max,
}

/// Whether a record's result can be exported.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Availability {
    /// There is no result, or it has no layers (`FROM scratch`), or it is not to be exported.
    #[default]
    None,
    /// There is a result, whose blobs would have to be made.
    NeedsBlobs,
    /// There is a result with all of its blobs.
    HasBlobs,
}

/// A record that a build made or used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExportRecord {
    /// Its key.
    pub key: RecordKey,
    /// For each input the links of which any one is enough; fast keys, slow keys and those of earlier builds alike.
    pub inputs: Vec<Vec<ExportLink>>,
    /// Its result.
    pub result: Availability,
}

/// A link to another record of the build.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExportLink {
    /// The record's index.
    pub source: usize,
    /// Which part of it counts; empty for all.
    pub selector: String,
}

impl ExportRecord {
    /// The source `key`.
    pub fn source(key: impl Into<RecordKey>) -> Self {
        Self { key: key.into(), inputs: Vec::new(), result: Availability::None }
    }

    /// The step `key` with the inputs `sources`, each in whole.
    pub fn step(key: impl Into<RecordKey>, sources: &[usize], result: Availability) -> Self {
        let link = |source: &usize| vec![ExportLink { source: *source, selector: String::new() }];
        Self { key: key.into(), inputs: sources.iter().map(link).collect(), result }
    }
}

/// What is to be done with a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Choice {
    /// Nothing of it is exported.
    Unreached,
    /// The record is exported without result.
    RecordOnly,
    /// The record is exported with the result that it has.
    TakeResult,
    /// The record's blobs are to be made; then it is exported with its result.
    MakeResult,
}

/// What to do with each of `records`, which are exported for the results `tops`. Sources never have a result.
///
/// Max takes or makes every result. Min does so from each top downwards until it meets a result, and below that takes
/// only what has blobs. A record that is reached in both ways is taken or made: the outcome does not depend on the
/// order. (BuildKit remembers the way by which it came first.) Mirrors: BuildKit `solver/exporter.go`, `ExportTo`.
///
/// Where making a result fails because it is gone, set it to [`Availability::None`] and select again.
pub fn select(records: &[ExportRecord], tops: &[usize], mode: ExportMode) -> Vec<Choice> {
    let mut choices = vec![Choice::Unreached; records.len()];
    // First whatever is reached without a result above it, then the rest.
    let mut below = Vec::new();
    walk(records, tops.to_vec(), &mut choices, |record, inputs| {
        let choice = match record.result {
            _ if record.inputs.is_empty() => Choice::RecordOnly,
            Availability::None => Choice::RecordOnly,
            Availability::HasBlobs => Choice::TakeResult,
            Availability::NeedsBlobs => Choice::MakeResult,
        };
        if mode == ExportMode::Min && choice != Choice::RecordOnly {
            below.append(inputs);
        }
        choice
    });
    walk(records, below, &mut choices, |record, _| match record.result {
        Availability::HasBlobs if !record.inputs.is_empty() => Choice::TakeResult,
        _ => Choice::RecordOnly,
    });
    choices
}

/// Visits what is reached from `queue` and was not visited yet; `choose` may take inputs away, which are then not visited.
fn walk(
    records: &[ExportRecord],
    mut queue: Vec<usize>,
    choices: &mut [Choice],
    mut choose: impl FnMut(&ExportRecord, &mut Vec<usize>) -> Choice,
) {
    while let Some(at) = queue.pop() {
        let Some(record) = records.get(at).filter(|_| choices[at] == Choice::Unreached) else { continue };
        let mut inputs: Vec<_> = record.inputs.iter().flatten().map(|link| link.source).collect();
        choices[at] = choose(record, &mut inputs);
        queue.append(&mut inputs);
    }
}

/// The cache of the chosen `records`, with the results that `results` gives for those whose result was chosen. A record
/// with an input that nothing usable leads to is left out, so what depends only on random keys is, and so are loops.
///
/// # Errors
/// None in practice: every link leads into the new builder.
pub fn assemble(
    records: &[ExportRecord],
    choices: &[Choice],
    mut results: impl FnMut(usize) -> Vec<ExportResult>,
) -> Result<CacheChains, CacheError> {
    let choice = |at: usize| choices.get(at).copied().unwrap_or(Choice::Unreached);
    let target = |link: &ExportLink| Some(link.source).filter(|source| *source < records.len());
    let slots = |record: &ExportRecord| record.inputs.iter().map(|slot| slot.iter().map(target).collect()).collect();
    let targets = records.iter().map(slots).collect();
    let exportable = |at: usize| records[at].key != RecordKey::Random && choice(at) != Choice::Unreached;
    let settled = settle(&targets, exportable);

    let mut chains = CacheChains::new();
    let mut ids: Vec<Option<RecordId>> = vec![None; records.len()];
    for (at, kept) in settled.steps {
        let slots = records[at].inputs.iter().zip(kept).map(|(links, kept)| {
            let links = kept.into_iter().filter_map(|place| {
                let link = &links[place];
                Some(RecordLink { source: ids[link.source]?, selector: &link.selector })
            });
            links.collect()
        });
        let slots: Vec<Vec<_>> = slots.collect();
        let results = match choice(at) {
            Choice::TakeResult | Choice::MakeResult => results(at),
            Choice::RecordOnly | Choice::Unreached => Vec::new(),
        };
        ids[at] = chains.add(records[at].key, &slots, &results)?;
    }
    for place in settled.late {
        let link = &records[place.record].inputs[place.input][place.link];
        if let (Some(source), Some(record)) = (ids[link.source], ids[place.record]) {
            chains.add_late_link(record, place.input, RecordLink { source, selector: &link.selector })?;
        }
    }
    Ok(chains)
}
