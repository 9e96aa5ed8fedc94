//! Unsound configs are refused whole, or read as far as they are sound.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

mod support;

use std::sync::Arc;

use cache_blobs::remote::RemoteLayer;
use cache_core::ports::Provider;
use cache_core::{Descriptor, Digest, ErrorKind, MediaType, annotation};
use cache_remote::config::{
    CacheConfig, CacheInput, CacheLayer, CacheRecord, CacheResult, ChainedResult, ConfigLimits,
};
use cache_remote::{
    CacheError, CacheWarning, DescriptorPlace, Fault, LayerTable, ParseMode, Parsed, annotated_layer_table,
    layer_table, parse,
};
use support::{Named, at, layer};

fn table(names: &[&str]) -> LayerTable {
    let provider: Arc<dyn Provider> = Arc::new(Named::of(names));
    names.iter().map(|name| (Digest::of(name), layer(name, &provider))).collect()
}

fn record(name: &str, inputs: &[&[i64]]) -> CacheRecord {
    let links = |slot: &&[i64]| slot.iter().map(|link| CacheInput { selector: String::new(), link: *link }).collect();
    CacheRecord {
        digest: Digest::of(name).into(),
        inputs: inputs.iter().map(links).collect(),
        ..CacheRecord::default()
    }
}

fn with_result(record: CacheRecord, layer: i64) -> CacheRecord {
    CacheRecord { results: vec![CacheResult { layer, created_at: at(1) }], ..record }
}

fn on(name: &str, parent: i64) -> CacheLayer {
    CacheLayer { blob: Digest::of(name).into(), parent, annotations: None }
}

fn read(config: &CacheConfig, table: &LayerTable, mode: ParseMode) -> Result<Parsed, CacheError> {
    parse(config, table, mode, &ConfigLimits::default())
}

fn fault(config: &CacheConfig, table: &LayerTable) -> Fault {
    match read(config, table, ParseMode::Strict) {
        Err(CacheError::Unsound(fault)) => fault,
        other => panic!("{other:?}"),
    }
}

fn records(records: Vec<CacheRecord>) -> CacheConfig {
    CacheConfig { layers: Vec::new(), records }
}

/// The indexes of the records that a lenient reader keeps, and its warnings.
fn lenient(config: &CacheConfig, table: &LayerTable) -> (Vec<usize>, Vec<CacheWarning>) {
    let parsed = read(config, table, ParseMode::Lenient).unwrap();
    let kept = parsed.records.iter().enumerate().filter(|(_, record)| record.is_some()).map(|(at, _)| at).collect();
    (kept, parsed.warnings)
}

#[test]
fn links_to_later_records_are_fine() {
    let config = records(vec![record("c", &[&[1]]), record("b", &[&[2]]), record("a", &[])]);
    assert_eq!(read(&config, &table(&[]), ParseMode::Strict).unwrap().chains.len(), 3);
}

#[test]
fn every_fault_of_a_link_is_told_by_its_name() {
    let none = table(&[]);
    for (config, expected) in [
        (records(vec![record("a", &[&[7]])]), Fault::LinkOutOfRange { record: 0, input: 0, link: 7 }),
        (
            records(vec![record("a", &[]), record("b", &[&[0], &[-1]])]),
            Fault::LinkOutOfRange { record: 1, input: 1, link: -1 },
        ),
        (records(vec![record("a", &[&[i64::MAX]])]), Fault::LinkOutOfRange { record: 0, input: 0, link: i64::MAX }),
        (records(vec![record("a", &[&[0]])]), Fault::RecordLoop { record: 0, input: 0 }),
        (
            records(vec![record("a", &[&[1]]), record("b", &[&[2]]), record("c", &[&[0]])]),
            Fault::RecordLoop { record: 2, input: 0 },
        ),
        (records(vec![record("a", &[&[]])]), Fault::EmptyInput { record: 0, input: 0 }),
        (records(vec![CacheRecord::default()]), Fault::RecordDigest { record: 0 }),
    ] {
        assert_eq!(fault(&config, &none), expected);
        let error = read(&config, &none, ParseMode::Strict).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt);
    }
}

#[test]
fn every_fault_of_a_layer_is_told_by_its_name() {
    let blobs = table(&["x", "y"]);
    let layers = |layers: Vec<CacheLayer>| CacheConfig { layers, records: vec![with_result(record("a", &[]), 0)] };
    for (config, expected) in [
        (layers(vec![on("x", 5)]), Fault::ParentOutOfRange { layer: 0, parent: 5 }),
        (layers(vec![on("x", -2)]), Fault::ParentOutOfRange { layer: 0, parent: -2 }),
        (layers(vec![on("x", 0)]), Fault::LayerLoop { layer: 0 }),
        (layers(vec![on("x", 1), on("y", 0)]), Fault::LayerLoop { layer: 0 }),
        (layers(vec![CacheLayer { parent: -1, ..CacheLayer::default() }]), Fault::LayerDigest { layer: 0 }),
        (layers(vec![]), Fault::ResultOutOfRange { record: 0, layer: 0 }),
    ] {
        assert_eq!(fault(&config, &blobs), expected);
        // A lenient reader keeps the record without the result.
        let parsed = read(&config, &blobs, ParseMode::Lenient).unwrap();
        assert_eq!(parsed.chains.results(parsed.records[0].unwrap()).unwrap().len(), 0);
        assert!(parsed.warnings.contains(&CacheWarning::Dropped(expected)), "{:?}", parsed.warnings);
    }
    let listed =
        CacheRecord { chains: vec![ChainedResult { layers: vec![0, 9], created_at: at(1) }], ..record("a", &[]) };
    let config = CacheConfig { layers: vec![on("x", -1)], records: vec![listed] };
    assert_eq!(fault(&config, &blobs), Fault::ResultOutOfRange { record: 0, layer: 9 });
}

#[test]
fn a_lenient_reader_drops_what_is_broken_and_what_depends_on_nothing_else() {
    // 0 source; 1 bad link; 2 needs 1; 3 needs 1 or 0; 4 loop with 5; 5 loop or source; 6 empty slot beside a good one.
    let config = records(vec![
        record("0", &[]),
        record("1", &[&[99]]),
        record("2", &[&[1]]),
        record("3", &[&[1, 0]]),
        record("4", &[&[5]]),
        record("5", &[&[4, 0]]),
        record("6", &[&[0], &[]]),
    ]);
    let (kept, warnings) = lenient(&config, &table(&[]));
    assert_eq!(kept, [0, 3, 4, 5]);
    for expected in [
        Fault::LinkOutOfRange { record: 1, input: 0, link: 99 },
        Fault::EmptyInput { record: 1, input: 0 },
        Fault::LinkToDropped { record: 2, input: 0 },
        Fault::LinkToDropped { record: 3, input: 0 },
        Fault::RecordLoop { record: 5, input: 0 },
        Fault::EmptyInput { record: 6, input: 1 },
    ] {
        assert!(warnings.contains(&CacheWarning::Dropped(expected.clone())), "{expected:?} in {warnings:?}");
    }
    // What is written again is sound.
    let again = read(&config, &table(&[]), ParseMode::Lenient).unwrap().chains;
    let again = again.marshal(DescriptorPlace::Manifest, |_| true).config;
    assert_eq!(again.records.len(), 4);
    assert!(read(&again, &table(&[]), ParseMode::Strict).is_ok());
}

#[test]
fn random_records_and_what_depends_on_nothing_else_are_dropped() {
    let text = format!(
        r#"{{"records":[{{"digest":"random:1"}},{{"digest":"{}","inputs":[[{{"link":0}}]]}}]}}"#,
        Digest::of("x")
    );
    let document = cache_remote::config::ConfigDocument::from_json(text.as_bytes(), &ConfigLimits::default()).unwrap();
    let cache_remote::config::ConfigDocument::Current(config) = document else { panic!("{document:?}") };
    assert_eq!(lenient(&config, &table(&[])).0, [0; 0]);
    assert_eq!(fault(&config, &table(&[])), Fault::RecordDigest { record: 0 });
}

#[test]
fn a_result_with_a_missing_blob_is_dropped_and_its_record_stays() {
    let config = CacheConfig {
        layers: vec![on("x", -1), on("y", 0)],
        records: vec![with_result(record("a", &[]), 1), with_result(record("b", &[]), 0)],
    };
    for mode in [ParseMode::Strict, ParseMode::Lenient] {
        let parsed = read(&config, &table(&["x"]), mode).unwrap();
        let counts: Vec<_> =
            parsed.records.iter().map(|record| parsed.chains.results(record.unwrap()).unwrap().len()).collect();
        assert_eq!(counts, [0, 1]);
        assert_eq!(parsed.warnings, [CacheWarning::ResultWithoutBlob { blob: Digest::of("y") }]);
    }
}

#[test]
fn one_blob_on_two_parents_is_two_layers() {
    let config = CacheConfig {
        layers: vec![on("x", -1), on("y", -1), on("z", 0), on("z", 1)],
        records: vec![with_result(record("a", &[]), 2), with_result(record("b", &[]), 3)],
    };
    let parsed = read(&config, &table(&["x", "y", "z"]), ParseMode::Strict).unwrap();
    let chain = |at: usize| -> Vec<Digest> {
        let results = parsed.chains.results(parsed.records[at].unwrap()).unwrap();
        results[0].remote.layers().iter().map(|layer: &RemoteLayer| layer.layer.descriptor.digest).collect()
    };
    assert_eq!(chain(0), [Digest::of("x"), Digest::of("z")]);
    assert_eq!(chain(1), [Digest::of("y"), Digest::of("z")]);
    assert_eq!(parsed.chains.marshal(DescriptorPlace::Manifest, |_| true).layers.len(), 4);
}

#[test]
fn listed_chains_follow_no_parents() {
    let listed =
        CacheRecord { chains: vec![ChainedResult { layers: vec![0, 2], created_at: at(1) }], ..record("a", &[]) };
    let config = CacheConfig { layers: vec![on("x", -1), on("y", 0), on("z", 1)], records: vec![listed] };
    let parsed = read(&config, &table(&["x", "y", "z"]), ParseMode::Strict).unwrap();
    let results = parsed.chains.results(parsed.records[0].unwrap()).unwrap();
    assert_eq!(results[0].remote.layers().len(), 2);
}

#[test]
fn chains_of_ten_thousand_records_and_layers_need_no_stack() {
    const DEPTH: i64 = 10_000;
    // The deepest first: every link and every parent leads forward.
    let layers = (0..DEPTH).map(|at| on("x", if at + 1 < DEPTH { at + 1 } else { -1 })).collect();
    let mut steps: Vec<_> = (0..DEPTH).map(|at| record(&at.to_string(), &[&[at + 1]])).collect();
    steps.push(record("source", &[]));
    steps[0] = with_result(steps[0].clone(), 0);
    let config = CacheConfig { layers, records: steps };
    let blobs = table(&["x"]);
    let work = move || {
        let parsed = read(&config, &blobs, ParseMode::Strict).unwrap();
        assert_eq!(parsed.chains.len(), 10_001);
        let results = parsed.chains.results(parsed.records[0].unwrap()).unwrap();
        assert_eq!(results[0].remote.layers().len(), 10_000);
    };
    std::thread::Builder::new().stack_size(128 * 1024).spawn(work).unwrap().join().unwrap();
}

#[test]
fn many_results_on_one_long_chain_share_it() {
    // Every result spelled out would be 10^8 layers.
    const LAYERS: i64 = 10_000;
    let layers = (0..LAYERS).map(|at| on("x", at - 1)).collect();
    let records = (0..LAYERS).map(|at| with_result(record(&at.to_string(), &[]), LAYERS - 1)).collect();
    let config = CacheConfig { layers, records };
    let parsed = read(&config, &table(&["x"]), ParseMode::Strict).unwrap();
    assert_eq!(parsed.chains.marshal(DescriptorPlace::Manifest, |_| true).config.layers.len(), 10_000);
}

#[test]
fn chains_over_the_limit_are_refused() {
    let config = CacheConfig { layers: vec![on("x", -1), on("x", 0), on("x", 1)], records: vec![] };
    let limits = ConfigLimits::default().with_max_chain_length(2);
    let error = parse(&config, &table(&["x"]), ParseMode::Lenient, &limits).unwrap_err();
    assert!(matches!(error, CacheError::Limit { limit: "max_chain_length", most: 2 }));
}

#[test]
fn a_layer_without_diff_id_cannot_be_used() {
    let provider: Arc<dyn Provider> = Arc::new(Named::of(&["x", "y"]));
    let whole = |name: &str| {
        Descriptor::of(MediaType::OCI_LAYER, name.as_bytes())
            .with_annotation(annotation::UNCOMPRESSED, Digest::of(name).to_string())
    };
    let mut bad = whole("y");
    bad.annotations.insert(annotation::UNCOMPRESSED.to_owned(), "sha256:none".to_owned());
    let (table, warnings) = layer_table(&[whole("x"), bad], &provider);
    assert_eq!(table.keys().collect::<Vec<_>>(), [&Digest::of("x")]);
    assert_eq!(warnings, [CacheWarning::NoDiffId { blob: Digest::of("y") }]);
}

#[test]
fn configs_of_object_stores_carry_their_descriptors_themselves() {
    let provider: Arc<dyn Provider> = Arc::new(Named::of(&["x"]));
    let mut chains = cache_remote::CacheChains::new();
    chains.add(support::key("a"), &[], &[support::result(7, &["x"])]).unwrap();
    let config = chains.marshal(DescriptorPlace::Config, |_| true).config;
    let written = config.layers[0].annotations.as_deref().unwrap();
    assert_eq!((written.size, written.diff_id.get()), (1, Some(Digest::of("x"))));
    let (table, warnings) = annotated_layer_table(&config, &provider);
    assert_eq!(warnings, []);
    let parsed = read(&config, &table, ParseMode::Strict).unwrap();
    assert_eq!(parsed.chains.marshal(DescriptorPlace::Config, |_| true).config, config);
}
