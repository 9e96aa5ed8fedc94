//! The builder finds equal records, refuses loops and keeps its order.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

mod support;

use cache_core::{Digest, ErrorKind, Timestamp};
use cache_remote::config::CacheConfig;
use cache_remote::{CacheChains, CacheError, DescriptorPlace, ExportResult, RecordId, RecordKey, RecordLink};
use support::{at, key, remote, result};

fn root(chains: &mut CacheChains, name: &str) -> RecordId {
    chains.add(key(name), &[], &[]).unwrap().unwrap()
}

fn child(chains: &mut CacheChains, name: &str, slots: &[&[RecordId]]) -> RecordId {
    let inputs: Vec<Vec<_>> =
        slots.iter().map(|slot| slot.iter().map(|source| RecordLink::whole(*source)).collect()).collect();
    chains.add(key(name), &inputs, &[]).unwrap().unwrap()
}

fn config(chains: &CacheChains) -> CacheConfig {
    chains.marshal(DescriptorPlace::Manifest, |_| true).config
}

/// Every link leads somewhere, no input is empty and nothing depends on itself.
fn assert_sound(config: &CacheConfig) {
    let count = config.records.len();
    let mut below = vec![0; count];
    for round in 0..=count {
        let mut changed = false;
        for (at, record) in config.records.iter().enumerate() {
            assert!(record.inputs.iter().all(|slot| !slot.is_empty()));
            let sources = record.inputs.iter().flatten().map(|link| below[link.link as usize] + 1);
            let depth = sources.max().unwrap_or(0);
            changed |= depth != below[at];
            below[at] = depth;
        }
        if !changed {
            return;
        }
        assert!(round < count, "the records have a loop");
    }
}

#[test]
fn a_record_that_is_added_again_is_the_same() {
    let mut chains = CacheChains::new();
    let source = root(&mut chains, "source");
    let step = child(&mut chains, "step", &[&[source]]);
    assert_eq!(root(&mut chains, "source"), source);
    assert_eq!(child(&mut chains, "step", &[&[source]]), step);
    assert_eq!(chains.len(), 2);
    assert_ne!(child(&mut chains, "other", &[&[source]]), step);
    assert_eq!(chains.len(), 3);
}

/// Mirrors: BuildKit `cache/remotecache/v1/chains_test.go`, `TestSimpleMarshal`.
#[test]
fn two_sources_and_a_step_with_two_layers_marshal_as_in_buildkits_test() {
    let mut chains = CacheChains::new();
    let build = |chains: &mut CacheChains| {
        let foo = root(chains, "foo");
        let bar = root(chains, "bar");
        let inputs = vec![vec![RecordLink::whole(foo)], vec![RecordLink::whole(bar)]];
        chains.add(key("baz"), &inputs, &[result(5, &["d0", "d1"])]).unwrap().unwrap()
    };
    build(&mut chains);
    let first = config(&chains);
    assert_eq!((first.layers.len(), first.records.len()), (2, 3));
    assert_sound(&first);
    let record = first.records.iter().find(|record| !record.results.is_empty()).unwrap();
    let top = record.results[0].layer as usize;
    assert_eq!(first.layers[top].blob.get(), Some(Digest::of("d1")));
    assert_eq!(first.layers[first.layers[top].parent as usize].blob.get(), Some(Digest::of("d0")));
    build(&mut chains);
    assert_eq!(config(&chains), first);
    root(&mut chains, "extra");
    assert_eq!(config(&chains).records.len(), 4);
}

#[test]
fn one_link_of_each_input_is_enough_to_find_a_record() {
    let mut chains = CacheChains::new();
    let [fast, slow, base, other] = ["fast", "slow", "base", "other"].map(|name| root(&mut chains, name));
    let copy = child(&mut chains, "copy", &[&[base], &[fast, slow]]);
    // By the slow key alone, and with a fast key that is new.
    assert_eq!(child(&mut chains, "copy", &[&[base], &[slow]]), copy);
    assert_eq!(child(&mut chains, "copy", &[&[base], &[slow, other]]), copy);
    // The new key is a link of the same record now.
    assert_eq!(child(&mut chains, "copy", &[&[base], &[other]]), copy);
    // Every input must lead to it.
    assert_ne!(child(&mut chains, "copy", &[&[other], &[fast]]), copy);
}

#[test]
fn selectors_inputs_and_their_number_tell_records_apart() {
    let mut chains = CacheChains::new();
    let [a, b] = ["a", "b"].map(|name| root(&mut chains, name));
    let mut add = |slots: &[(RecordId, &str)]| {
        let inputs: Vec<_> =
            slots.iter().map(|(source, selector)| vec![RecordLink { source: *source, selector }]).collect();
        chains.add(key("step"), &inputs, &[]).unwrap().unwrap()
    };
    let records = [
        add(&[(a, "")]),
        add(&[(a, "/app")]),
        add(&[(a, "/etc")]),
        add(&[(b, "")]),
        add(&[(a, ""), (b, "")]),
        add(&[(b, ""), (a, "")]),
    ];
    for (at, record) in records.iter().enumerate() {
        assert!(!records[at + 1..].contains(record), "{at}");
    }
    assert_eq!(add(&[(a, ""), (b, "")]), records[4]);
}

#[test]
fn of_several_matches_the_first_takes_in_the_others() {
    let mut chains = CacheChains::new();
    let [a, b] = ["a", "b"].map(|name| root(&mut chains, name));
    let first = chains.add(key("step"), &[vec![RecordLink::whole(a)]], &[result(1, &["one"])]).unwrap().unwrap();
    let second = chains.add(key("step"), &[vec![RecordLink::whole(b)]], &[result(2, &["two"])]).unwrap().unwrap();
    let top_of_second = child(&mut chains, "top", &[&[second]]);
    assert_ne!(first, second);

    let both = [vec![RecordLink::whole(a), RecordLink::whole(b)]];
    assert_eq!(chains.add(key("step"), &both, &[]).unwrap(), Some(first));
    assert_eq!(chains.len(), 4);
    let times: Vec<_> = chains.results(first).unwrap().iter().map(|result| result.created_at).collect();
    assert_eq!(times, [at(1), at(2)]);
    // What was linked to the second is found through the first, and the old handle still works.
    assert_eq!(child(&mut chains, "top", &[&[first]]), top_of_second);
    assert_eq!(child(&mut chains, "top", &[&[second]]), top_of_second);
    assert_eq!(chains.results(second).unwrap().len(), 2);
    assert_sound(&config(&chains));
}

/// Mirrors: BuildKit `client/client_cache_test.go`, `testCacheExportCacheKeyLoop`.
#[test]
fn a_link_that_would_close_a_loop_is_left_out() {
    let mut chains = CacheChains::new();
    let base = root(&mut chains, "base");
    let copy = child(&mut chains, "copy", &[&[base]]);
    let again = child(&mut chains, "copy", &[&[copy]]);
    assert_ne!(again, copy);
    // Found through the base, and it is not its own input, nor is what depends on it.
    assert_eq!(child(&mut chains, "copy", &[&[base, copy]]), copy);
    assert_eq!(child(&mut chains, "copy", &[&[base, again]]), copy);
    let config = config(&chains);
    assert_sound(&config);
    assert_eq!(config.records.len(), 3);
}

#[test]
fn merging_never_closes_a_loop() {
    let mut chains = CacheChains::new();
    let [a, b] = ["a", "b"].map(|name| root(&mut chains, name));
    let first = child(&mut chains, "step", &[&[a]]);
    let middle = child(&mut chains, "middle", &[&[first]]);
    let last = child(&mut chains, "step", &[&[middle]]);
    child(&mut chains, "step", &[&[b]]);
    // `last` depends on `first`, so the two stay two; the one beside becomes a part of `first`.
    let links = [a, middle, b].map(RecordLink::whole).to_vec();
    assert_eq!(chains.add(key("step"), &[links], &[]).unwrap(), Some(first));
    assert_eq!(chains.len(), 5);
    assert_eq!(child(&mut chains, "step", &[&[b]]), first);
    assert_ne!(last, first);
    assert_sound(&config(&chains));
}

#[test]
fn random_keys_are_not_exported() {
    let mut chains = CacheChains::new();
    assert_eq!(RecordKey::parse("random:8a7b", 0), Some(RecordKey::Random));
    assert_eq!(RecordKey::parse("no digest", 0), None);
    assert_eq!(chains.add(RecordKey::Random, &[], &[result(1, &["x"])]).unwrap(), None);
    assert!(chains.is_empty());
    assert_eq!(config(&chains), CacheConfig::default());
}

#[test]
fn an_input_without_links_and_a_foreign_link_are_errors() {
    let mut chains = CacheChains::new();
    let error = chains.add(key("step"), &[vec![]], &[]).unwrap_err();
    assert!(matches!(error, CacheError::EmptyInput(0)));
    assert_eq!(error.kind(), ErrorKind::Invalid);
    let foreign = root(&mut CacheChains::new(), "source");
    let error = chains.add(key("step"), &[vec![RecordLink::whole(foreign)]], &[]).unwrap_err();
    assert!(matches!(error, CacheError::ForeignRecord));
    assert!(matches!(chains.results(foreign), Err(CacheError::ForeignRecord)));
    assert!(chains.is_empty());
}

#[test]
fn results_of_one_time_with_other_digests_are_both_kept() {
    let mut chains = CacheChains::new();
    let source = root(&mut chains, "source");
    let links = [vec![RecordLink::whole(source)]];
    for blobs in [["gzip"], ["zstd"], ["gzip"]] {
        chains.add(key("step"), &links, &[result(3, &blobs)]).unwrap();
    }
    let step = child(&mut chains, "step", &[&[source]]);
    assert_eq!(chains.results(step).unwrap().len(), 2);
}

#[test]
fn a_result_without_layers_is_none() {
    let mut chains = CacheChains::new();
    let empty = ExportResult { created_at: at(1), remote: remote(&[]) };
    let step = chains.add(key("step"), &[], &[empty]).unwrap().unwrap();
    assert_eq!(chains.results(step).unwrap().len(), 0);
    assert_eq!(config(&chains).layers.len(), 0);
}

#[test]
fn chains_of_ten_thousand_records_and_layers_need_no_stack() {
    const DEPTH: usize = 10_000;
    let work = || {
        let names: Vec<String> = (0..DEPTH).map(|at| format!("layer {at}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let mut chains = CacheChains::new();
        let mut below = root(&mut chains, "source");
        for depth in 0..DEPTH {
            let inputs = [vec![RecordLink::whole(below)]];
            // The whole chain of layers on the last record alone: it is the longest.
            let results = if depth + 1 == DEPTH { vec![result(1, &names)] } else { vec![] };
            below = chains.add(key(&format!("step {depth}")), &inputs, &results).unwrap().unwrap();
        }
        let config = config(&chains);
        assert_eq!((config.layers.len(), config.records.len()), (DEPTH, DEPTH + 1));
    };
    // Less stack than any recursion of that depth could do with.
    std::thread::Builder::new().stack_size(128 * 1024).spawn(work).unwrap().join().unwrap();
}

#[test]
fn the_same_cache_has_the_same_bytes_in_whatever_order_it_is_built() {
    // Ties that leave BuildKit's order to chance: one digest with several links, one blob on several parents.
    let build = |order: &[usize]| {
        let mut chains = CacheChains::new();
        let names = ["a", "b", "c", "d"];
        for at in order {
            root(&mut chains, names[*at]);
        }
        for at in order {
            let first = root(&mut chains, names[*at]);
            let second = root(&mut chains, names[(*at + 1) % 4]);
            let inputs = [vec![
                RecordLink { source: first, selector: "/x" },
                RecordLink { source: second, selector: "/y" },
                RecordLink { source: first, selector: "/z" },
            ]];
            let blobs = ["shared", "shared", names[*at], "shared"];
            chains.add(key("tie"), &inputs, &[result(*at as i64, &blobs)]).unwrap();
        }
        config(&chains).to_json().unwrap()
    };
    let expected = build(&[0, 1, 2, 3]);
    for order in [[3, 2, 1, 0], [1, 3, 0, 2], [2, 0, 3, 1]] {
        assert_eq!(String::from_utf8(build(&order)).unwrap(), String::from_utf8(expected.clone()).unwrap());
    }
}

#[test]
fn many_equal_blobs_on_each_other_are_sorted_in_little_time() {
    // Comparing chain by chain would take 10^11 steps.
    let blobs = vec!["same"; 30_000];
    let mut chains = CacheChains::new();
    chains.add(key("step"), &[], &[result(1, &blobs)]).unwrap();
    let config = config(&chains);
    assert_eq!(config.layers.len(), blobs.len());
    for (at, layer) in config.layers.iter().enumerate() {
        assert_eq!(layer.parent, at as i64 - 1);
    }
}

#[test]
fn a_common_source_of_many_records_costs_nothing() {
    // If every record were compared with all others of the same digest and source: 10^9 steps.
    let mut chains = CacheChains::new();
    let common = root(&mut chains, "common");
    for at in 0..30_000 {
        let own = root(&mut chains, &at.to_string());
        child(&mut chains, "copy", &[&[common], &[own]]);
    }
    assert_eq!(chains.len(), 60_001);
}

#[test]
fn zero_time_and_other_zones_are_kept() {
    let mut chains = CacheChains::new();
    let zone: Timestamp = "2026-01-02T03:04:05+02:00".parse().unwrap();
    for created_at in [Timestamp::zero(), zone] {
        let name = created_at.to_string();
        let results = [ExportResult { created_at, remote: remote(&[&name]) }];
        chains.add(key(&name), &[], &results).unwrap();
    }
    let text = String::from_utf8(config(&chains).to_json().unwrap()).unwrap();
    assert!(text.contains("\"0001-01-01T00:00:00Z\"") && text.contains("\"2026-01-02T03:04:05+02:00\""), "{text}");
}
