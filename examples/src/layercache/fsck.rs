//! `layercache fsck`: the store against its own records.

use cache_core::local::{Depth, Repair};
use pollster::block_on;
use serde::Serialize;

use crate::args::Fsck;
use crate::failure::Failure;
use crate::output::Format;
use crate::session;

#[derive(Serialize)]
struct Report {
    damage: Vec<String>,
    garbage: Vec<String>,
    repaired: bool,
}

pub(crate) fn run(arguments: &Fsck) -> Result<(), Failure> {
    let store = session::open_existing(&arguments.store)?;
    let repair = if arguments.repair { Repair::Forget } else { Repair::Report };
    let checked = block_on(store.local.check(Depth::Bytes, repair))?;
    let report = Report {
        damage: checked.damage.iter().map(|damage| format!("{damage:?}")).collect(),
        garbage: checked.garbage.iter().map(|garbage| format!("{garbage:?}")).collect(),
        repaired: arguments.repair,
    };
    Format::of(arguments.json).print(&report, |report| {
        let damage = report.damage.iter().map(|what| format!("damage: {what}\n"));
        let garbage = report.garbage.iter().map(|what| format!("garbage: {what}\n"));
        let mut text: String = damage.chain(garbage).collect();
        text.push_str(&format!("{} damaged, {} to be collected", report.damage.len(), report.garbage.len()));
        text
    })?;
    if report.damage.is_empty() { Ok(()) } else { Err(Failure::Found) }
}
