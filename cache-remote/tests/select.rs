//! Min exports the result of the build and what has blobs already; max exports every step.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

mod support;

use cache_remote::Availability::{HasBlobs, NeedsBlobs, None as Nothing};
use cache_remote::Choice::{MakeResult, RecordOnly, TakeResult, Unreached};
use cache_remote::{CacheChains, DescriptorPlace, ExportLink, ExportMode, ExportRecord, RecordKey, assemble, select};
use support::{key, result};

/// A source and four steps on each other, the last one on top.
fn chain(results: [cache_remote::Availability; 4]) -> Vec<ExportRecord> {
    let mut records = vec![ExportRecord::source(key("source"))];
    for (at, result) in results.into_iter().enumerate() {
        records.push(ExportRecord::step(key(&format!("step {at}")), &[at], result));
    }
    records
}

fn assembled(records: &[ExportRecord], tops: &[usize], mode: ExportMode) -> (CacheChains, Vec<usize>) {
    let mut asked = Vec::new();
    let chains = assemble(records, &select(records, tops, mode), |at| {
        asked.push(at);
        vec![result(1, &[&at.to_string()])]
    });
    (chains.unwrap(), asked)
}

#[test]
fn max_takes_or_makes_every_result_but_those_of_sources() {
    let records = chain([NeedsBlobs, HasBlobs, Nothing, NeedsBlobs]);
    let choices = select(&records, &[4], ExportMode::Max);
    assert_eq!(choices, [RecordOnly, MakeResult, TakeResult, RecordOnly, MakeResult]);
}

#[test]
fn min_makes_the_top_and_takes_below_what_has_blobs() {
    let records = chain([HasBlobs, NeedsBlobs, HasBlobs, NeedsBlobs]);
    let choices = select(&records, &[4], ExportMode::Min);
    assert_eq!(choices, [RecordOnly, TakeResult, RecordOnly, TakeResult, MakeResult]);
}

#[test]
fn min_looks_further_down_while_there_is_no_result() {
    let records = chain([NeedsBlobs, NeedsBlobs, Nothing, Nothing]);
    let choices = select(&records, &[4], ExportMode::Min);
    assert_eq!(choices, [RecordOnly, RecordOnly, MakeResult, RecordOnly, RecordOnly]);
}

#[test]
fn a_source_has_no_result_whatever_it_has() {
    let mut source = ExportRecord::source(key("image"));
    source.result = HasBlobs;
    for mode in [ExportMode::Min, ExportMode::Max] {
        assert_eq!(select(std::slice::from_ref(&source), &[0], mode), [RecordOnly]);
    }
}

#[test]
fn what_no_top_leads_to_is_not_exported() {
    let records = chain([HasBlobs; 4]);
    assert_eq!(select(&records, &[2], ExportMode::Max)[3..], [Unreached, Unreached]);
    let (chains, asked) = assembled(&records, &[2], ExportMode::Max);
    assert_eq!((chains.len(), asked), (3, vec![1, 2]));
    assert!(assembled(&records, &[], ExportMode::Max).0.is_empty());
    assert!(assembled(&records, &[99], ExportMode::Max).0.is_empty());
}

#[test]
fn a_record_below_one_top_and_above_none_is_made_in_whatever_order() {
    // Step 1 is below step 4, and a top itself.
    let records = chain([NeedsBlobs; 4]);
    let expected = [RecordOnly, RecordOnly, MakeResult, RecordOnly, MakeResult];
    assert_eq!(select(&records, &[4, 2], ExportMode::Min), expected);
    assert_eq!(select(&records, &[2, 4], ExportMode::Min), expected);
}

#[test]
fn what_depends_on_random_keys_alone_is_left_out() {
    let slow = |sources: &[usize]| {
        sources.iter().map(|source| ExportLink { source: *source, selector: String::new() }).collect::<Vec<_>>()
    };
    let step = |name: &str, inputs: Vec<Vec<ExportLink>>| ExportRecord { key: key(name), inputs, result: HasBlobs };
    let records = [
        ExportRecord::source(RecordKey::Random),
        ExportRecord::source(key("content")),
        step("random only", vec![slow(&[0])]),
        step("random or content", vec![slow(&[0, 1])]),
        step("random and content", vec![slow(&[0]), slow(&[1])]),
        step("above what is left out", vec![slow(&[2])]),
        step("above what stays", vec![slow(&[3])]),
    ];
    let (chains, asked) = assembled(&records, &[2, 3, 4, 5, 6], ExportMode::Max);
    assert_eq!(chains.len(), 3);
    assert_eq!(asked, [3, 6]);
}

#[test]
fn loops_are_cut() {
    let records = [
        ExportRecord::source(key("source")),
        ExportRecord {
            inputs: vec![vec![
                ExportLink { source: 0, selector: String::new() },
                ExportLink { source: 2, selector: String::new() },
            ]],
            ..ExportRecord::step(key("copy"), &[0], HasBlobs)
        },
        ExportRecord::step(key("copy 2"), &[1], HasBlobs),
        ExportRecord::step(key("itself"), &[3], HasBlobs),
    ];
    let (chains, _) = assembled(&records, &[2, 3], ExportMode::Max);
    assert_eq!(chains.len(), 3);
    let config = chains.marshal(DescriptorPlace::Manifest, |_| true).config;
    assert!(config.records.iter().flat_map(|record| &record.inputs).all(|slot| slot.len() == 1));
}

#[test]
fn a_deep_build_needs_no_stack() {
    let mut records = vec![ExportRecord::source(key("source"))];
    for at in 0..10_000 {
        records.push(ExportRecord::step(key(&at.to_string()), &[at], NeedsBlobs));
    }
    let work = move || assert_eq!(assembled(&records, &[10_000], ExportMode::Max).0.len(), 10_001);
    std::thread::Builder::new().stack_size(128 * 1024).spawn(work).unwrap().join().unwrap();
}
