//! `layercache prune`: records that are not in use are freed.

use std::time::Duration;

use cache_core::cache::{Filter, PruneAction, PruneOptions};
use cache_core::ports::{Collector, LeaseManager};
use pollster::block_on;
use serde::Serialize;

use crate::args::Prune;
use crate::du::{Record, line};
use crate::failure::Failure;
use crate::output::Format;
use crate::session;

/// How the names of leases begin that keep the blobs of `diff` until `prune --all`.
pub(crate) const KEPT_BLOB: &str = "layercache-diff-";

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Report {
    /// Freed, or to be freed in a dry run.
    bytes: u64,
    dry_run: bool,
    records: Vec<Record>,
}

pub(crate) fn run(arguments: &Prune) -> Result<(), Failure> {
    let mut options = if arguments.all { PruneOptions::all() } else { PruneOptions::default() };
    if let Some(bytes) = arguments.keep_bytes {
        options = options.with_keep_bytes(bytes);
    }
    if let Some(text) = &arguments.keep_duration {
        options = options.with_keep_duration(duration(text)?);
    }
    for filter in &arguments.filters {
        options = options.with_filter(filter.parse::<Filter>().map_err(Failure::wrong_argument)?);
    }
    if arguments.dry_run {
        options = options.with_action(PruneAction::DryRun);
    }
    let store = session::open_existing(&arguments.store)?;
    let pruned = block_on(async {
        let blobs = crate::images::blobs(&store).await?;
        let pruned = store.cache.prune(&options.with_image_blobs(blobs)).await?;
        if arguments.all && !arguments.dry_run {
            for lease in store.local.leases.list().await? {
                if lease.id.starts_with(KEPT_BLOB) {
                    store.local.leases.delete(&lease.id).await?;
                }
            }
            store.local.collector.collect().await?;
        }
        Ok::<_, cache_core::Error>(pruned)
    })?;
    let records: Vec<Record> = pruned.refs.into_iter().map(Record::from).collect();
    let bytes = records.iter().map(|record| record.bytes).sum();
    Format::of(arguments.json).print(&Report { bytes, dry_run: arguments.dry_run, records }, |report| {
        let mut text: String = report.records.iter().map(line).collect();
        let what = if report.dry_run { "would be freed" } else { "freed" };
        text.push_str(&format!("{:>14}  {what}", report.bytes));
        text
    })
}

/// A number and `s`, `m`, `h` or `d`.
fn duration(text: &str) -> Result<Duration, Failure> {
    let wrong = || Failure::usage(format!("--keep-duration {text:?} is no number with s, m, h or d"));
    let unit = match text.chars().last() {
        Some('s') => 1,
        Some('m') => 60,
        Some('h') => 60 * 60,
        Some('d') => 24 * 60 * 60,
        _ => return Err(wrong()),
    };
    let count: u64 = text[..text.len() - 1].parse().map_err(|_| wrong())?;
    count.checked_mul(unit).map(Duration::from_secs).ok_or_else(wrong)
}
