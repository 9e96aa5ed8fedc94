//! A build over a base image keeps what the base is, and its steps are found again only over the same base.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

mod support;

use std::path::{Path, PathBuf};

use cache_core::Digest;
use serde_json::{Value, json};
use support::building::{Build, latest, layers, option, states};
use support::run_json;
use tempfile::{TempDir, tempdir};

const STEPS: [(&str, &str); 2] = [("one", "grep -q base base; rm gone; echo one > one"), ("two", "echo two > two")];
const FAILING: [(&str, &str); 2] = [("one", "false"), ("two", "false")];

struct Over {
    work: TempDir,
    /// The base's manifest digest.
    manifest: String,
}

impl Over {
    fn path(&self, name: &str) -> PathBuf {
        self.work.path().join(name)
    }

    fn base(&self) -> String {
        format!("--base={}", latest(&self.path("base")))
    }
}

fn make_base(work: &Path, name: &str, content: &str) -> String {
    let config = json!({
        "architecture": "amd64", "os": "linux", "x-kept": {"a": [1, 2]},
        "config": {"Env": ["PATH=/bin", "FOO=bar"], "Cmd": ["run", "it"], "WorkingDir": "/srv"},
    });
    let file = work.join("config.json");
    std::fs::write(&file, config.to_string()).unwrap();
    let command = format!("echo {content} > base; echo gone > gone");
    let report = Build::new(&work.join(format!("store-of-{name}")), &[("base", &command)])
        .with(option("config", &file))
        .with_layout(&work.join(name))
        .run();
    report["outputs"][0]["digest"].as_str().unwrap().to_owned()
}

/// An image `image` and a cache `cache` of two steps over an image `base`.
fn build_over_base(mode: &str) -> Over {
    let work = tempdir().unwrap();
    let manifest = make_base(work.path(), "base", "base");
    let over = Over { work, manifest };
    let build = Build::new(&over.path("store"), &STEPS).with(over.base());
    // The cache goes first, because a min cache also takes results whose layers are there already.
    let report = build.clone().with_cache_export(&over.path("cache"), &format!(",mode={mode}")).run();
    assert_eq!(states(&report), ["run"; 2]);
    build.with_layout(&over.path("image")).run();
    over
}

#[test]
fn an_image_over_a_base_keeps_its_layers_its_config_and_its_history() {
    let over = build_over_base("min");
    let inspect = |name: &str| run_json(["image", "inspect", &latest(&over.path(name)), "--json"]);
    let (base, image) = (inspect("base"), inspect("image"));
    let (ours, theirs) = (layers(&latest(&over.path("image"))), layers(&latest(&over.path("base"))));
    assert_eq!((ours.len(), &ours[..1]), (3, &theirs[..]));

    assert_eq!(image["config"]["config"], base["config"]["config"]);
    assert_eq!(image["config"]["config"]["Cmd"], json!(["run", "it"]));
    assert_eq!(image["config"]["x-kept"], json!({"a": [1, 2]}));
    let diff_ids: Vec<_> = ours.iter().map(|(_, diff_id)| diff_id.as_str()).collect();
    assert_eq!(image["config"]["rootfs"]["diff_ids"], json!(diff_ids));

    let history = |image: &Value| image["config"]["history"].as_array().unwrap().clone();
    let (ours, theirs) = (history(&image), history(&base));
    assert_eq!(ours[..theirs.len()], theirs);
    let new: Vec<_> = ours[theirs.len()..].iter().map(|entry| entry["created_by"].as_str().unwrap()).collect();
    assert_eq!(new, STEPS.map(|(key, command)| format!("[{key}] {command}")));
}

#[test]
fn the_first_step_links_to_the_root_record_of_the_base() {
    for mode in ["min", "max"] {
        let over = build_over_base(mode);
        let spec = format!("type=local,src={}", over.path("cache").display());
        let cache = run_json(["cache", "inspect", &spec, "--json"]);
        let records = cache["records"].as_array().unwrap();
        let key = |map: Digest| Digest::of(format!("{map}@0")).to_string();
        let find = |key: &str| {
            let found: Vec<_> = (0..records.len()).filter(|at| records[*at]["digest"] == key).collect();
            assert_eq!(found.len(), 1, "{cache}");
            found[0]
        };
        let root = find(&key(Digest::of(format!("base:{}", over.manifest))));
        let (one, two) = (find(&key(Digest::of("one"))), find(&key(Digest::of("two"))));
        assert_eq!(records.len(), 3);
        assert_eq!((&records[root]["inputs"], &records[root]["layers"]), (&json!([]), &Value::Null));
        assert_eq!(records[one]["inputs"], json!([[{"record": root, "selector": ""}]]));
        assert_eq!(records[two]["inputs"], json!([[{"record": one, "selector": ""}]]));
        assert_eq!(records[two]["layers"].as_array().unwrap().len(), 3);
        assert_eq!(records[one]["layers"].is_null(), mode == "min");
    }
}

#[test]
fn a_cache_over_a_base_saves_every_step_over_the_same_base() {
    for mode in ["min", "max"] {
        let over = build_over_base(mode);
        let image = over.path("other-image");
        let report = Build::new(&over.path("other-store"), &FAILING)
            .with(over.base())
            .with_cache_import(&over.path("cache"))
            .with_layout(&image)
            .run();
        assert_eq!(states(&report)[1], "cached");
        assert!(!states(&report).contains(&"run"));
        assert_eq!(layers(&latest(&image)), layers(&latest(&over.path("image"))));
    }
}

#[test]
fn a_cache_over_a_base_saves_nothing_over_another_base_or_none() {
    let over = build_over_base("max");
    make_base(over.work.path(), "other-base", "another");
    let other = format!("--base={}", latest(&over.path("other-base")));
    // In the store that made it as in an empty one.
    for store in ["store", "empty-store"] {
        let build = Build::new(&over.path(store), &FAILING).with_cache_import(&over.path("cache"));
        for build in [build.clone(), build.with(&other)] {
            assert_eq!(
                build.command().output().unwrap().status.code(),
                Some(1),
                "the first step had to run, and it fails"
            );
        }
    }
}
