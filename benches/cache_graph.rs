//! A cache of ten thousand records is added, written and read.
#![allow(missing_docs, reason = "criterion's macros make public functions")]

use std::sync::Arc;

use cache_blobs::remote::{Remote, RemoteLayer};
use cache_core::memory::{ManualClock, Memory};
use cache_core::ports::Provider;
use cache_core::{Descriptor, Digest, Layer, MediaType, Timestamp};
use cache_remote::config::{CacheConfig, ConfigDocument, ConfigLimits};
use cache_remote::{
    CacheChains, DescriptorPlace, ExportResult, ParseMode, RecordId, RecordLink, layer_table, output_key, parse,
};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

const RECORDS: usize = 10_000;

/// Steps in a row before the next chain starts; a Dockerfile of a hundred lines is a long one.
const CHAIN: usize = 100;

/// What each record is made of: its key, and its result, of one layer over at most two others.
struct Step {
    key: Digest,
    result: ExportResult,
}

fn steps(provider: &Arc<dyn Provider>) -> Vec<Step> {
    let layer = |number: usize| {
        let descriptor = Descriptor::of(MediaType::OCI_LAYER_GZIP, format!("blob {number}").as_bytes());
        let layer = Layer::new(descriptor, Digest::of(format!("tar {number}")));
        RemoteLayer { layer, provider: Arc::clone(provider) }
    };
    let step = |number: usize| {
        let bottom = number - number % CHAIN % 3;
        let remote = Remote::new((bottom..=number).map(layer).collect());
        let created_at = Timestamp::zero();
        Step { key: output_key(&Digest::of(format!("step {number}")), 0), result: ExportResult { created_at, remote } }
    };
    (0..RECORDS).map(step).collect()
}

/// Every record has the one before it as input, and every tenth one another record of its chain, too.
fn add(steps: &[Step]) -> CacheChains {
    let mut chains = CacheChains::new();
    let mut records: Vec<RecordId> = Vec::with_capacity(steps.len());
    for (number, step) in steps.iter().enumerate() {
        let at = number % CHAIN;
        let mut inputs = Vec::new();
        if at > 0 {
            inputs.push(vec![RecordLink::whole(records[number - 1])]);
        }
        if at >= 10 && at.is_multiple_of(10) {
            inputs.push(vec![RecordLink { source: records[number - 10], selector: "/src" }]);
        }
        let added = chains.add(step.key.into(), &inputs, std::slice::from_ref(&step.result));
        records.push(added.expect("the links are sound").expect("the key is stable"));
    }
    chains
}

fn read(json: &[u8]) -> CacheConfig {
    match ConfigDocument::from_json(json, &ConfigLimits::default()).expect("the config is read") {
        ConfigDocument::Current(config) => config,
        ConfigDocument::Legacy(_) => unreachable!("only today's schema is written"),
    }
}

fn cache_graph(criterion: &mut Criterion) {
    let provider: Arc<dyn Provider> = Memory::new(Arc::new(ManualClock::default())).content;
    let steps = steps(&provider);
    let mut group = criterion.benchmark_group("cache_graph");
    group.sample_size(20).throughput(Throughput::Elements(RECORDS as u64));
    group.bench_function("add", |bencher| bencher.iter(|| add(&steps)));

    let chains = add(&steps);
    assert_eq!(chains.len(), RECORDS, "no record found an equal one");
    let marshal = || chains.marshal(DescriptorPlace::Manifest, |_| true);
    group.bench_function("marshal", |bencher| {
        bencher.iter(|| marshal().config.to_json().expect("the config is written"));
    });

    let marshalled = marshal();
    let json = marshalled.config.to_json().expect("the config is written");
    let descriptors: Vec<_> = marshalled.layers.iter().map(|layer| layer.layer.to_annotated()).collect();
    let parsed = |json: &[u8]| {
        let (table, _) = layer_table(&descriptors, &provider);
        parse(&read(json), &table, ParseMode::Strict, &ConfigLimits::default()).expect("the config is sound")
    };
    assert_eq!(parsed(&json).chains.len(), RECORDS, "every record is read again");
    group.bench_function("parse", |bencher| bencher.iter(|| parsed(&json)));
}

criterion_group!(benches, cache_graph);
criterion_main!(benches);
