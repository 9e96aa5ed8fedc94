//! Removal of refs that nobody uses.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use crate::cache::core::Core;
use crate::cache::filter::Filter;
use crate::cache::ledger::Ledger;
use crate::cache::manager::CacheManager;
use crate::cache::options::RecordType;
use crate::cache::remove::Removal;
use crate::cache::usage::{RefUsage, Survey, Surveyed};
use crate::digest::Digest;
use crate::error::Result;
use crate::ports::Collected;
use crate::timestamp::Timestamp;

/// Which refs may go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum PruneScope {
    /// Not those of the build tool itself (internal, frontend), nor those whose blob an image holds anyway.
    #[default]
    Ordinary,
    /// All that are not in use.
    All,
}

/// What is done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum PruneAction {
    /// Refs are removed.
    #[default]
    Remove,
    /// It is only told what would be removed.
    DryRun,
}

/// What is pruned. Mirrors: BuildKit `client.PruneInfo`.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct PruneOptions {
    /// Which refs may go.
    pub scope: PruneScope,
    /// Stop when all refs together take at most so many bytes; `None` for removing all that may go.
    pub keep_bytes: Option<u64>,
    /// Keep what was used, or else created, within this time.
    pub keep_duration: Option<Duration>,
    /// Only refs that one of these accepts; none accept all.
    pub filters: Vec<Filter>,
    /// Blobs that images hold.
    pub image_blobs: BTreeSet<Digest>,
    /// What is done.
    pub action: PruneAction,
}

impl PruneOptions {
    /// Everything that is not in use.
    pub fn all() -> Self {
        Self { scope: PruneScope::All, ..Self::default() }
    }

    /// The same, until all refs together take at most so many `bytes`. What was used least and longest ago goes first.
    #[must_use]
    pub fn with_keep_bytes(mut self, bytes: u64) -> Self {
        self.keep_bytes = Some(bytes);
        self
    }

    /// The same without what was used within `duration`.
    #[must_use]
    pub fn with_keep_duration(mut self, duration: Duration) -> Self {
        self.keep_duration = Some(duration);
        self
    }

    /// The same with one more filter.
    #[must_use]
    pub fn with_filter(mut self, filter: Filter) -> Self {
        self.filters.push(filter);
        self
    }

    /// The same; refs of these blobs are shared with an image.
    #[must_use]
    pub fn with_image_blobs(mut self, blobs: impl IntoIterator<Item = Digest>) -> Self {
        self.image_blobs.extend(blobs);
        self
    }

    /// The same with another action.
    #[must_use]
    pub fn with_action(mut self, action: PruneAction) -> Self {
        self.action = action;
        self
    }
}

/// What pruning did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Pruned {
    /// The removed refs in the order of their removal. Their bytes are those that nobody else held any more.
    pub refs: Vec<RefUsage>,
    /// What the collector freed right after; `None` without a collector or in a dry run.
    pub collected: Option<Collected>,
}

impl CacheManager {
    /// Removes refs that no process uses and no other ref stands on, then those under them that are free now, and lets
    /// the collector free what they held. A ref that changes meanwhile stays.
    ///
    /// # Errors
    /// The backends' own failures; what was removed before stays removed.
    ///
    /// # Cancel safety
    /// Can be dropped and repeated at any time.
    ///
    /// Mirrors: BuildKit `cache/manager.go`, `Prune`.
    pub async fn prune(&self, options: &PruneOptions) -> Result<Pruned> {
        self.core.settle().await;
        let mut survey = self.core.survey(&options.image_blobs).await?;
        if options.action == PruneAction::Remove && self.core.release_strays(&survey).await? {
            survey = self.core.survey(&options.image_blobs).await?;
        }
        let mut pass = Pass::new(survey, options, self.core.backends.clock.now());
        let mut pruned = Pruned::default();
        while let Some(mut candidate) = pass.next() {
            if options.action == PruneAction::Remove && !self.core.remove_unchanged(&candidate).await? {
                continue;
            }
            candidate.usage.bytes = pass.leave(&candidate.usage);
            pruned.refs.push(candidate.usage);
        }
        if let (PruneAction::Remove, Some(collector)) = (options.action, &self.core.backends.collector) {
            pruned.collected = Some(collector.collect().await?);
        }
        Ok(pruned)
    }
}

impl Core {
    /// Removes a record that is still as it was surveyed; whether it did.
    async fn remove_unchanged(&self, surveyed: &Surveyed) -> Result<bool> {
        let Some(alone) = self.alone(&surveyed.usage.id).await? else { return Ok(false) };
        if alone.record().await? != surveyed.record {
            return Ok(false);
        }
        Ok(alone.remove().await? == Removal::Removed)
    }
}

/// The refs that may go, in the order in which they should, and what is left.
struct Pass<'a> {
    options: &'a PruneOptions,
    ledger: Ledger,
    candidates: Vec<Option<Surveyed>>,
    /// The candidates by id.
    positions: HashMap<String, usize>,
    /// The candidates without children.
    free: BTreeSet<usize>,
    children: HashMap<String, usize>,
}

impl<'a> Pass<'a> {
    fn new(survey: Survey, options: &'a PruneOptions, now: Timestamp) -> Self {
        let mut children = HashMap::new();
        for parent in survey.refs.iter().flat_map(|surveyed| &surveyed.usage.parents) {
            *children.entry(parent.clone()).or_insert(0) += 1;
        }
        let mut candidates: Vec<_> =
            survey.refs.into_iter().filter(|surveyed| may_go(surveyed, options, now)).collect();
        rank(&mut candidates);
        let ids = || candidates.iter().map(|surveyed| surveyed.usage.id.clone()).enumerate();
        let free = ids().filter(|(_, id)| !children.contains_key(id)).map(|(position, _)| position).collect();
        let positions = ids().map(|(position, id)| (id, position)).collect();
        let candidates = candidates.into_iter().map(Some).collect();
        Self { options, ledger: survey.ledger, candidates, positions, free, children }
    }

    /// The next ref to go.
    fn next(&mut self) -> Option<Surveyed> {
        if self.options.keep_bytes.is_some_and(|keep| self.ledger.total() <= keep) {
            return None;
        }
        let position = self.free.pop_first()?;
        self.candidates.get_mut(position)?.take()
    }

    /// Takes a removed ref out; the bytes that this freed.
    fn leave(&mut self, usage: &RefUsage) -> u64 {
        for parent in &usage.parents {
            let Some(count) = self.children.get_mut(parent) else { continue };
            *count -= 1;
            if *count == 0 {
                self.children.remove(parent);
                self.free.extend(self.positions.get(parent));
            }
        }
        self.ledger.leave(&usage.id)
    }
}

fn may_go(surveyed: &Surveyed, options: &PruneOptions, now: Timestamp) -> bool {
    let usage = &surveyed.usage;
    let is_ordinary = !surveyed.in_image && !matches!(usage.record_type, RecordType::Internal | RecordType::Frontend);
    let is_fresh = options.keep_duration.is_some_and(|keep| {
        let last = usage.last_used_at.or(usage.created_at);
        last.is_some_and(|last| now.duration_since(&last) < keep)
    });
    surveyed.record.is_some()
        && !usage.in_use
        && !is_fresh
        && (options.scope == PruneScope::All || is_ordinary)
        && Filter::any(&options.filters, usage)
}

/// Orders candidates by the sum of two ranks, that of the last use and that of the number of uses.
/// Mirrors: BuildKit `cache/manager.go`, `sortDeleteRecords`.
fn rank(candidates: &mut [Surveyed]) {
    let last_use = |surveyed: &Surveyed| surveyed.usage.last_used_at.or(surveyed.usage.created_at);
    let uses = |surveyed: &Surveyed| surveyed.usage.usage_count;
    let (by_time, by_uses) = (ranks(candidates.iter().map(last_use)), ranks(candidates.iter().map(uses)));
    candidates.sort_by_cached_key(|surveyed| {
        let time = by_time.get(&last_use(surveyed)).copied().unwrap_or_default();
        let uses = by_uses.get(&uses(surveyed)).copied().unwrap_or_default();
        (time + uses, last_use(surveyed), surveyed.usage.id.clone())
    });
}

/// The place of each value among the different values.
fn ranks<T: Ord>(values: impl Iterator<Item = T>) -> BTreeMap<T, usize> {
    let distinct: BTreeSet<_> = values.collect();
    distinct.into_iter().enumerate().map(|(rank, value)| (value, rank)).collect()
}
