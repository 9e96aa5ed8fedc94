//! Records of imported caches are found by key and link, in one cache and in several.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

mod support;

use std::collections::BTreeSet;
use std::sync::Arc;

use cache_core::memory::{ManualClock, MemoryRemote};
use cache_core::ports::{ExportTarget, Fetcher};
use cache_core::{CompressionConfig, Digest};
use cache_remote::{
    CacheChains, CacheKeyStorage, CacheResultStorage, CombinedCache, ExportOptions, ExportOutcome, ImportOptions,
    ImportedCache, InputKey, KeyId, KeyLink, RecordLink, ResultId, content_key, export_cache, find_records,
    import_cache, output_key,
};
use pollster::block_on;
use support::{at, key, result};

fn import(chains: &CacheChains) -> Arc<ImportedCache> {
    let remote = MemoryRemote::new(Arc::new(ManualClock::default()));
    let target: Arc<dyn ExportTarget> = Arc::new(remote.clone());
    let outcome = block_on(export_cache(chains, &target, &ExportOptions::default())).unwrap();
    let ExportOutcome::Exported(exported) = outcome else { panic!("empty") };
    let fetcher: Arc<dyn Fetcher> = Arc::new(remote);
    Arc::new(block_on(import_cache(&fetcher, &exported.descriptor, &ImportOptions::default())).unwrap())
}

fn digest(name: &str) -> Digest {
    output_key(&Digest::of(name), 0)
}

fn find(storage: &dyn CacheKeyStorage, name: &str, inputs: &[&[(KeyId, &str)]]) -> Vec<KeyId> {
    let links = |slot: &&[(KeyId, &str)]| {
        slot.iter().map(|(source, selector)| InputKey { source: *source, selector: (*selector).to_owned() }).collect()
    };
    let inputs: Vec<Vec<InputKey>> = inputs.iter().map(links).collect();
    block_on(find_records(storage, &digest(name), &inputs)).unwrap()
}

/// `copy` takes `base`, and `/app` of `context` or the content of it; `run` is on top.
fn sample(blobs: &[&str]) -> CacheChains {
    let mut chains = CacheChains::new();
    let base = chains.add(key("base"), &[], &[]).unwrap().unwrap();
    let context = chains.add(key("context"), &[], &[]).unwrap().unwrap();
    let content = chains.add(content_key(&Digest::of("files")).into(), &[], &[]).unwrap().unwrap();
    let inputs = [
        vec![RecordLink::whole(base)],
        vec![RecordLink { source: context, selector: "/app" }, RecordLink::whole(content)],
    ];
    let copy = chains.add(key("copy"), &inputs, &[result(1, &blobs[..1])]).unwrap().unwrap();
    chains.add(key("run"), &[vec![RecordLink::whole(copy)]], &[result(2, blobs)]).unwrap();
    chains
}

fn source(name: &str) -> KeyId {
    KeyId::new(digest(name))
}

#[test]
fn output_keys_are_those_of_buildkit() {
    let source = output_key(&Digest::of("src"), 0);
    assert_eq!(source.to_string(), "sha256:eb1f776c952eb92be0faa7218e123f41237597f5928f9378fa22acec003aae92");
    assert_eq!(content_key(&Digest::of("x")), Digest::of(format!("{}@-1", Digest::of("x"))));
}

#[test]
fn a_record_is_found_by_its_inputs_fast_or_slow() {
    let cache = import(&sample(&["a", "b"]));
    assert_eq!(find(&*cache, "base", &[]), [source("base")]);
    assert_eq!(find(&*cache, "copy", &[]), []);
    let (base, context, slow) = (source("base"), source("context"), KeyId::new(content_key(&Digest::of("files"))));
    let fast = find(&*cache, "copy", &[&[(base, "")], &[(context, "/app")]]);
    assert_eq!(fast.len(), 1);
    assert_eq!(find(&*cache, "copy", &[&[(base, "")], &[(slow, "")]]), fast);
    assert_eq!(find(&*cache, "copy", &[&[(base, "")], &[(context, "/other"), (slow, "")]]), fast);
    for wrong in [
        [(base, "/app"), (context, "/app")],
        [(base, ""), (context, "")],
        [(base, ""), (context, "/other")],
        [(context, ""), (slow, "")],
        [(source("unknown"), ""), (slow, "")],
    ] {
        assert_eq!(find(&*cache, "copy", &[&wrong[..1], &wrong[1..]]), [], "{wrong:?}");
    }
    assert_eq!(find(&*cache, "run", &[&[(fast[0], "")]]).len(), 1);
    assert_eq!(find(&*cache, "run", &[&[(base, "")]]), []);
    assert_eq!(cache.keys_of(&digest("copy")), fast);
}

#[test]
fn the_key_storage_answers_from_both_ends_of_a_link() {
    let cache = import(&sample(&["a", "b"]));
    let copy = cache.keys_of(&digest("copy"))[0];
    let run = cache.keys_of(&digest("run"))[0];
    let link = KeyLink::new(0, "", &Digest::of("run"), 0);
    assert_eq!(block_on(cache.links(&copy, &link)).unwrap(), [run]);
    assert_eq!(block_on(cache.links(&run, &link)).unwrap(), []);
    assert_eq!(block_on(cache.backlinks(&run)).unwrap(), [(copy, link)]);
    let sources: BTreeSet<_> =
        block_on(cache.backlinks(&copy)).unwrap().into_iter().map(|(source, link)| (source, link.input)).collect();
    let slow = KeyId::new(content_key(&Digest::of("files")));
    assert_eq!(sources, BTreeSet::from([(source("base"), 0), (source("context"), 1), (slow, 1)]));
    assert_eq!(block_on(cache.keys()).unwrap().len(), 5);
    assert!(block_on(cache.exists(&run)).unwrap());
    assert!(!block_on(cache.exists(&source("unknown"))).unwrap());
}

#[test]
fn results_are_found_by_name_and_record() {
    let cache = import(&sample(&["a", "b"]));
    let run = cache.keys_of(&digest("run"))[0];
    let results = block_on(cache.results(&run)).unwrap();
    assert_eq!(results.len(), 1);
    assert_eq!(results[0].created_at, at(2));
    let id = results[0].id;
    assert_eq!(block_on(cache.result(&run, &id)).unwrap(), Some(results[0]));
    assert_eq!(block_on(cache.keys_of_result(&id)).unwrap(), [run]);
    assert!(block_on(cache.has_result(&id)).unwrap());
    let remotes = block_on(cache.remotes(&id, None)).unwrap();
    assert_eq!(remotes[0].layers().len(), 2);

    let unknown = ResultId::new(Digest::of("unknown"));
    assert!(!block_on(cache.has_result(&unknown)).unwrap());
    assert_eq!(block_on(cache.result(&run, &unknown)).unwrap(), None);
    assert!(block_on(cache.remotes(&unknown, None)).unwrap().is_empty());
}

#[test]
fn remotes_are_chosen_by_compression() {
    let cache = import(&sample(&["a", "b"]));
    let run = cache.keys_of(&digest("run"))[0];
    let id = block_on(cache.results(&run)).unwrap()[0].id;
    let count = |wanted: CompressionConfig| block_on(cache.remotes(&id, Some(&wanted))).unwrap().len();
    assert_eq!(count(CompressionConfig::uncompressed()), 1);
    assert_eq!(count(CompressionConfig::uncompressed().forced()), 1);
    assert_eq!(count(CompressionConfig::gzip()), 0);
}

#[test]
fn who_loads_a_result_has_those_below_it() {
    let cache = import(&sample(&["a", "b"]));
    let (copy, run) = (cache.keys_of(&digest("copy"))[0], cache.keys_of(&digest("run"))[0]);
    let top = block_on(cache.results(&run)).unwrap()[0];
    let below = block_on(cache.results(&copy)).unwrap()[0];
    assert_eq!(cache.results_below(&run, &top.id), [(copy, below), (run, top)]);
    assert_eq!(cache.results_below(&copy, &below.id), [(copy, below)]);
    // A result that is no part of the layers is none of them.
    assert_eq!(cache.results_below(&copy, &top.id), [(copy, below)]);
    assert_eq!(cache.results_below(&source("base"), &top.id), []);
}

#[test]
fn several_caches_answer_as_one() {
    let (first, second) = (import(&sample(&["a", "b"])), import(&sample(&["c", "d"])));
    let mut other = CacheChains::new();
    let base = other.add(key("base"), &[], &[]).unwrap().unwrap();
    other.add(key("only here"), &[vec![RecordLink::whole(base)]], &[result(3, &["e"])]).unwrap();
    let third = import(&other);
    let all = CombinedCache::new(vec![first.clone(), second.clone(), third]);
    // Records of one name are one, with the results of all.
    let run = first.keys_of(&digest("run"))[0];
    assert_eq!(second.keys_of(&digest("run")), [run]);
    let results = block_on(all.results(&run)).unwrap();
    assert_eq!(results.len(), 2);
    for result in &results {
        assert!(block_on(all.has_result(&result.id)).unwrap());
        assert_eq!(block_on(all.remotes(&result.id, None)).unwrap().len(), 1);
        assert_eq!(block_on(all.result(&run, &result.id)).unwrap(), Some(*result));
        assert_eq!(block_on(all.keys_of_result(&result.id)).unwrap(), [run]);
    }
    assert_eq!(block_on(all.keys()).unwrap().len(), 6);
    assert_eq!(block_on(all.backlinks(&run)).unwrap().len(), 1);
    // A source of one cache leads on in another.
    assert_eq!(find(&all, "only here", &[&[(source("base"), "")]]).len(), 1);
    let copy = find(&all, "copy", &[&[(source("base"), "")], &[(source("context"), "/app")]]);
    assert_eq!(find(&all, "run", &[&[(copy[0], "")]]), [run]);
    assert!(block_on(CombinedCache::default().keys()).unwrap().is_empty());
}

#[test]
fn everything_public_can_be_shared_between_threads() {
    fn shared<T: Send + Sync + std::fmt::Debug>() {}
    shared::<CacheChains>();
    shared::<ImportedCache>();
    shared::<CombinedCache>();
    shared::<cache_remote::MemoryKeys>();
    shared::<cache_remote::CacheError>();
    shared::<cache_remote::CacheWarning>();
    shared::<cache_remote::Parsed>();
    shared::<cache_remote::Marshalled>();
    shared::<ExportOptions>();
    shared::<ExportOutcome>();
    shared::<ImportOptions>();
    shared::<cache_remote::LoadOptions>();
    shared::<cache_remote::config::CacheConfig>();
    shared::<cache_remote::config::ConfigDocument>();
}
