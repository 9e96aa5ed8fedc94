//! Several caches of one build, and how their layers are compressed.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

mod support;

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value;
use support::building::{Build, states};
use support::run_json;
use tempfile::tempdir;

const STEPS: [(&str, &str); 2] = [("one", "seq 20000 > one"), ("two", "seq 30000 > two")];
const FAILING: [(&str, &str); 2] = [("one", "false"), ("two", "false")];

fn inspect(cache: &Path) -> Value {
    run_json(["cache", "inspect", &format!("type=local,src={}", cache.display()), "--json"])
}

/// What `key` says of each layer of the cache.
fn layers(cache: &Path, key: &str) -> BTreeSet<String> {
    inspect(cache)["blobs"].as_array().unwrap().iter().map(|layer| layer[key].as_str().unwrap().to_owned()).collect()
}

#[test]
fn several_local_caches_are_written_and_looked_in() {
    let work = tempdir().unwrap();
    let place = |name: &str| work.path().join(name);
    let build = Build::new(&place("store"), &STEPS);
    build.with_cache_export(&place("a"), ",mode=max").with_cache_export(&place("b"), ",mode=max").run();
    assert_eq!(inspect(&place("a"))["records"], inspect(&place("b"))["records"]);

    let first = Build::new(&place("first"), &STEPS[..1]).with_cache_export(&place("one"), ",mode=max");
    first.run();
    let both = [("one", "false"), ("two", "false"), ("three", "echo three > three")];
    for order in [["one", "a"], ["a", "one"]] {
        let store = place(&format!("store-of-{}", order.concat()));
        let build = order.iter().fold(Build::new(&store, &both), |build, name| build.with_cache_import(&place(name)));
        assert_eq!(states(&build.run()).last(), Some(&"run"));
    }
    let alone = Build::new(&place("alone"), &FAILING).with_cache_import(&place("one"));
    assert_eq!(alone.command().output().unwrap().status.code(), Some(1));
}

#[test]
fn the_same_cache_is_not_exported_twice() {
    let work = tempdir().unwrap();
    let cache = work.path().join("cache");
    let twice = format!("--export-cache=dest={},mode=max,type=local", cache.display());
    let build = Build::new(&work.path().join("store"), &STEPS).with_cache_export(&cache, ",mode=max").with(twice);
    assert_eq!(build.command().output().unwrap().status.code(), Some(2));
    assert!(!cache.exists());
}

#[test]
fn layers_of_a_cache_have_the_compression_and_the_level_that_it_asks_for() {
    let work = tempdir().unwrap();
    let export = |name: &str, attributes: &str| {
        let cache = work.path().join(name);
        Build::new(&work.path().join(format!("store-{name}")), &STEPS)
            .with_cache_export(&cache, &format!(",mode=max{attributes}"))
            .run();
        cache
    };
    let types = |name: &str, attributes: &str| layers(&export(name, attributes), "mediaType");
    let only = |ending: &str| BTreeSet::from([format!("application/vnd.oci.image.layer.v1.tar{ending}")]);
    assert_eq!(types("default", ""), only("+gzip"));
    assert_eq!(types("zstd", ",compression=zstd"), only("+zstd"));
    assert_eq!(types("uncompressed", ",compression=uncompressed"), only(""));

    let digests = |name: &str, level: &str| layers(&export(name, &format!(",compression-level={level}")), "digest");
    assert_ne!(digests("fast", "1"), digests("small", "9"));
}
