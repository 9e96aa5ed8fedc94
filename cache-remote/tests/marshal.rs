//! What goes into a config, and what does not.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

mod support;

use std::collections::BTreeMap;
use std::sync::Arc;

use cache_blobs::remote::{Remote, RemoteLayer};
use cache_core::ports::Provider;
use cache_core::{Digest, MediaType};
use cache_remote::{CacheChains, DescriptorPlace, ExportResult, Marshalled, RecordLink};
use support::{Named, at, key, layer, result};

fn without(chains: &CacheChains, missing: &[&str]) -> Marshalled {
    let missing: Vec<_> = missing.iter().map(Digest::of).collect();
    chains.marshal(DescriptorPlace::Manifest, |layer| !missing.contains(&layer.layer.descriptor.digest))
}

fn top(marshalled: &Marshalled) -> Option<Digest> {
    let result = marshalled.config.records.iter().find_map(|record| record.results.first())?;
    marshalled.config.layers[result.layer as usize].blob.get()
}

#[test]
fn the_newest_result_whose_blobs_are_there_goes_in() {
    let mut chains = CacheChains::new();
    for (time, blobs) in [(2, ["base", "middle"]), (3, ["base", "newest"]), (1, ["base", "oldest"])] {
        chains.add(key("step"), &[], &[result(time, &blobs)]).unwrap();
    }
    assert_eq!(top(&without(&chains, &[])), Some(Digest::of("newest")));
    let second = without(&chains, &["newest"]);
    assert_eq!(top(&second), Some(Digest::of("middle")));
    assert!(second.missing.contains(&Digest::of("newest")));
    assert_eq!(top(&without(&chains, &["newest", "middle"])), Some(Digest::of("oldest")));
    assert_eq!(top(&without(&chains, &["base"])), None);
}

#[test]
fn of_results_of_one_time_the_first_that_came_goes_in() {
    let mut chains = CacheChains::new();
    chains.add(key("step"), &[], &[result(1, &["zstd"]), result(1, &["gzip"])]).unwrap();
    assert_eq!(top(&without(&chains, &[])), Some(Digest::of("zstd")));
}

/// Mirrors: BuildKit `client/client_cache_test.go`, `testCacheExportCacheDeletedContent`.
#[test]
fn a_deleted_blob_takes_results_away_and_no_records() {
    let mut chains = CacheChains::new();
    let source = chains.add(key("source"), &[], &[]).unwrap().unwrap();
    let mut below = source;
    for (name, blobs) in [("a", vec!["1"]), ("b", vec!["1", "2"]), ("c", vec!["1", "2", "3"])] {
        let inputs = [vec![RecordLink::whole(below)]];
        below = chains.add(key(name), &inputs, &[result(1, &blobs)]).unwrap().unwrap();
    }
    let (whole, part) = (without(&chains, &[]), without(&chains, &["2"]));
    assert_eq!((whole.config.layers.len(), whole.config.records.len()), (3, 4));
    assert_eq!((part.config.layers.len(), part.config.records.len()), (1, 4));
    let shape = |marshalled: &Marshalled| {
        let records = marshalled.config.records.iter();
        records.map(|record| (record.digest.clone(), record.inputs.clone())).collect::<Vec<_>>()
    };
    assert_eq!(shape(&whole), shape(&part));
}

#[test]
fn each_blob_is_asked_for_at_most_once() {
    let mut chains = CacheChains::new();
    let blobs: Vec<String> = (0..40).map(|at| at.to_string()).collect();
    let blobs: Vec<&str> = blobs.iter().map(String::as_str).collect();
    for at in 0..40 {
        chains.add(key(blobs[at]), &[], &[result(1, &blobs[..=at])]).unwrap();
    }
    let mut asked = BTreeMap::new();
    chains.marshal(DescriptorPlace::Manifest, |layer| {
        *asked.entry(layer.layer.descriptor.digest).or_insert(0) += 1;
        true
    });
    assert_eq!(asked.len(), 40);
    assert!(asked.values().all(|times| *times == 1));
}

/// Mirrors: BuildKit `cache/remotecache/v1/chains_test.go`, `TestMarshalLayerMediaTypes`.
#[test]
fn layers_get_oci_media_types() {
    let provider: Arc<dyn Provider> = Arc::new(Named::of(&["a", "b", "c"]));
    let with = |name: &str, media_type: MediaType| -> RemoteLayer {
        let mut layer = layer(name, &provider);
        layer.layer.descriptor.media_type = media_type;
        layer
    };
    let custom = MediaType::new("application/x-custom");
    let layers =
        vec![with("a", MediaType::DOCKER_LAYER_GZIP), with("b", MediaType::OCI_LAYER_ZSTD), with("c", custom.clone())];
    let mut chains = CacheChains::new();
    let results = [ExportResult { created_at: at(1), remote: Remote::new(layers) }];
    chains.add(key("step"), &[], &results).unwrap();
    let marshalled = without(&chains, &[]);
    let mut types: Vec<_> = marshalled.layers.iter().map(|layer| layer.layer.descriptor.media_type.clone()).collect();
    types.sort();
    let mut expected = vec![MediaType::OCI_LAYER_GZIP, MediaType::OCI_LAYER_ZSTD, custom];
    expected.sort();
    assert_eq!(types, expected);
}

#[test]
fn marshalling_twice_gives_the_same_and_changes_nothing() {
    let mut chains = CacheChains::new();
    let source = chains.add(key("source"), &[], &[]).unwrap().unwrap();
    let results = [result(1, &["old"]), result(2, &["new"])];
    let step = chains.add(key("step"), &[vec![RecordLink::whole(source)]], &results).unwrap().unwrap();
    assert_eq!(without(&chains, &[]).config, without(&chains, &[]).config);
    let times: Vec<_> = chains.results(step).unwrap().iter().map(|result| result.created_at).collect();
    assert_eq!(times, [at(1), at(2)]);
}
