//! `layercache du`: what the store's records take.

use cache_core::Timestamp;
use cache_core::cache::{RefKind, UsageOptions};
use pollster::block_on;
use serde::Serialize;

use crate::args::Du;
use crate::failure::Failure;
use crate::output::Format;
use crate::session;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Record {
    id: String,
    kind: String,
    pub(crate) bytes: u64,
    in_use: bool,
    shared: bool,
    description: String,
    last_used: Option<Timestamp>,
}

impl From<cache_core::cache::RefUsage> for Record {
    fn from(usage: cache_core::cache::RefUsage) -> Self {
        Self {
            id: usage.id,
            kind: kind(usage.kind).to_owned(),
            bytes: usage.bytes,
            in_use: usage.in_use,
            shared: usage.shared,
            description: usage.description,
            last_used: usage.last_used_at,
        }
    }
}

fn kind(kind: RefKind) -> &'static str {
    match kind {
        RefKind::BaseLayer => "base",
        RefKind::Layer => "layer",
        _ => "unknown",
    }
}

#[derive(Serialize)]
struct Report {
    bytes: u64,
    records: Vec<Record>,
}

pub(crate) fn run(arguments: &Du) -> Result<(), Failure> {
    let store = session::open_existing(&arguments.store)?;
    let usages = block_on(async {
        let blobs = crate::images::blobs(&store).await?;
        store.cache.disk_usage(&UsageOptions::default().with_image_blobs(blobs)).await
    })?;
    let records: Vec<Record> = usages.into_iter().map(Record::from).collect();
    let report = Report { bytes: records.iter().map(|record| record.bytes).sum(), records };
    Format::of(arguments.json).print(&report, |report| {
        let mut text: String = report.records.iter().map(line).collect();
        text.push_str(&format!("{:>14}  in all", report.bytes));
        text
    })
}

/// A record as a line.
pub(crate) fn line(record: &Record) -> String {
    let state = if record.in_use { "in use" } else { "" };
    format!("{:>14}  {}  {:<10} {:<6} {}\n", record.bytes, record.id, record.kind, state, record.description)
}
