//! `du`, `prune` and `images`: what a store holds, and how it is freed.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

mod support;

use std::ffi::OsString;
use std::path::Path;
use std::process::Command;

use serde_json::Value;
use support::building::{Build, assert_prunes_to_nothing, assert_undamaged, option, states};
use support::{layercache, run_json, succeed};
use tempfile::tempdir;

const STEPS: [(&str, &str); 3] = [
    ("one", "mkdir -p a/b; seq 1 5000 > a/b/numbers; ln a/b/numbers a/hard; ln -s b a/link"),
    ("two", "seq 1 300 > more"),
    ("three", "rm -r a"),
];

fn command(name: &str, store: &Path, arguments: &[&str]) -> Vec<OsString> {
    let given = arguments.iter().map(OsString::from);
    [name.into(), "--json".into(), option("store", store)].into_iter().chain(given).collect()
}

fn records(report: &Value) -> Vec<&Value> {
    report["records"].as_array().unwrap().iter().collect()
}

fn descriptions(report: &Value) -> Vec<&str> {
    records(report).iter().map(|record| record["description"].as_str().unwrap()).collect()
}

fn du(store: &Path) -> Value {
    run_json(command("du", store, &[]))
}

/// What du(1) counts of the blobs and the snapshots.
fn on_disk(store: &Path) -> u64 {
    let output =
        succeed(Command::new("sh").args(["-c", "du -scB1 blobs/*/* snapshots/* | tail -n1"]).current_dir(store));
    String::from_utf8(output.stdout).unwrap().split_whitespace().next().unwrap().parse().unwrap()
}

fn build(store: &Path, image: &Path) {
    let report = Build::new(store, &STEPS).with_layout(image).run();
    assert_eq!(states(&report), ["run"; 3]);
}

#[test]
fn du_agrees_with_the_disk() {
    let work = tempdir().unwrap();
    let store = work.path().join("store");
    Build::new(&store, &STEPS).run();
    assert_eq!(du(&store)["bytes"].as_u64().unwrap(), on_disk_of_snapshots(&store));

    Build::new(&store, &STEPS).with_layout(&work.path().join("image")).run();
    let report = du(&store);
    assert_eq!(report["bytes"].as_u64().unwrap(), on_disk(&store));
    assert_eq!(descriptions(&report), STEPS.map(|(key, command)| format!("[{key}] {command}")));
    let bytes: u64 = records(&report).iter().map(|record| record["bytes"].as_u64().unwrap()).sum();
    assert_eq!(report["bytes"].as_u64().unwrap(), bytes);
    assert_eq!(
        records(&report).iter().map(|record| record["kind"].as_str().unwrap()).collect::<Vec<_>>(),
        ["base", "layer", "layer"]
    );
    assert!(records(&report).iter().all(|record| record["inUse"] == false && record["lastUsed"].is_string()));
}

fn on_disk_of_snapshots(store: &Path) -> u64 {
    let output = succeed(Command::new("sh").args(["-c", "du -scB1 snapshots/* | tail -n1"]).current_dir(store));
    String::from_utf8(output.stdout).unwrap().split_whitespace().next().unwrap().parse().unwrap()
}

#[test]
fn a_dry_run_tells_what_prune_frees_and_frees_nothing() {
    let work = tempdir().unwrap();
    let store = work.path().join("store");
    build(&store, &work.path().join("image"));
    let before = du(&store);
    let dry = run_json(command("prune", &store, &["--all", "--dry-run"]));
    assert_eq!((&dry["dryRun"], &dry["bytes"]), (&Value::Bool(true), &before["bytes"]));
    assert_eq!(du(&store), before);

    let real = run_json(command("prune", &store, &["--all"]));
    assert_eq!((&real["dryRun"], &real["records"]), (&Value::Bool(false), &dry["records"]));
    assert_prunes_to_nothing(&store);
    assert_undamaged(&store);
}

#[test]
fn prune_takes_what_a_filter_matches_and_nothing_stands_on() {
    let work = tempdir().unwrap();
    let store = work.path().join("store");
    build(&store, &work.path().join("image"));
    let filter = |text: &str| run_json(command("prune", &store, &["--filter", text]));
    assert!(records(&filter("description==nothing")).is_empty());
    assert!(records(&filter("mutable")).is_empty());
    let first = du(&store)["records"][0]["id"].as_str().unwrap().to_owned();
    assert!(records(&filter(&format!("id=={first}"))).is_empty(), "others stand on it");

    let pruned = filter(&format!("id!={first},immutable"));
    assert_eq!(records(&pruned).len(), 2);
    assert_eq!(du(&store)["records"].as_array().unwrap().len(), 1);
    // What was freed is made again, what was not is still there.
    assert_eq!(states(&Build::new(&store, &STEPS).run()), ["cached", "run", "run"]);
    assert_undamaged(&store);
}

#[test]
fn prune_keeps_so_many_bytes_and_what_was_used_lately() {
    let work = tempdir().unwrap();
    let store = work.path().join("store");
    build(&store, &work.path().join("image"));
    let bytes = du(&store)["bytes"].as_u64().unwrap();
    let prune = |arguments: &[&str]| run_json(command("prune", &store, arguments));
    assert!(records(&prune(&["--keep-bytes", &bytes.to_string()])).is_empty());
    assert!(records(&prune(&["--keep-duration", "1h"])).is_empty());

    let pruned = prune(&["--keep-bytes", &(bytes - 1).to_string()]);
    assert_eq!(descriptions(&pruned), ["[three] rm -r a"]);
    assert_eq!(du(&store)["bytes"].as_u64().unwrap(), bytes - pruned["bytes"].as_u64().unwrap());
    assert_eq!(records(&prune(&["--keep-bytes", "0"])).len(), 2);
    assert_eq!(du(&store)["bytes"], 0);
}

#[test]
fn an_image_name_holds_its_blobs_until_it_is_removed() {
    let work = tempdir().unwrap();
    let store = work.path().join("store");
    let output = "--output=type=image,\"name=example.com/a:1,example.com/b:1\"";
    let report = Build::new(&store, &STEPS).with(output).run();
    let images = |arguments: &[&str]| run_json(command("images", &store, arguments));
    let names = |report: &Value| {
        let named = report["images"].as_array().unwrap().iter();
        named.map(|image| (image["name"].as_str().unwrap().to_owned(), image["digest"].clone())).collect::<Vec<_>>()
    };
    let digest = report["outputs"][0]["digest"].clone();
    assert_eq!(
        names(&images(&[])),
        ["example.com/a:1", "example.com/b:1"].map(|name| (name.to_owned(), digest.clone()))
    );
    let shared = du(&store);
    assert!(records(&shared).iter().all(|record| record["shared"] == true));

    // Prune without --all leaves what an image shares; with it, the image still keeps its manifest, config and layers.
    assert!(records(&run_json(command("prune", &store, &[]))).is_empty());
    assert_eq!(records(&run_json(command("prune", &store, &["--all"]))).len(), 3);
    assert_eq!(std::fs::read_dir(store.join("blobs/sha256")).unwrap().count(), 5);
    assert_eq!(std::fs::read_dir(store.join("snapshots")).unwrap().count(), 0);

    assert_eq!(names(&images(&["--remove", "example.com/a:1"])).len(), 1);
    assert_eq!(std::fs::read_dir(store.join("blobs/sha256")).unwrap().count(), 5);
    assert!(names(&images(&["--remove", "example.com/b:1"])).is_empty());
    assert_prunes_to_nothing(&store);
    let again = layercache(command("images", &store, &["--remove", "example.com/b:1"])).output().unwrap();
    assert_eq!(again.status.code(), Some(1));
}

#[test]
fn who_only_looks_or_frees_makes_no_store() {
    let work = tempdir().unwrap();
    let mistyped = work.path().join("stroe");
    let blob = format!("sha256:{}", "0".repeat(64));
    let blob = ["--blob", &blob[..]];
    let commands: [(&str, &[&str]); 5] =
        [("du", &[]), ("prune", &["--all"]), ("images", &[]), ("fsck", &[]), ("verify", &blob)];
    for (name, arguments) in commands {
        let output = layercache(command(name, &mistyped, arguments)).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{name}");
        let told = String::from_utf8(output.stderr).unwrap();
        assert!(told.contains("there is no store"), "{name}: {told}");
        assert!(!mistyped.exists(), "{name}");
    }
}
