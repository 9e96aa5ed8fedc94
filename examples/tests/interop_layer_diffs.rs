//! The trees of BuildKit's differs, restored on disk: `diff` makes the layers that BuildKit and containerd made of them.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

mod support;

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use support::building::{blob, option};
use support::{is_root, run_json, succeed, with_tools};
use tempfile::tempdir;

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../cache-blobs/tests/fixtures/layer-diffs")
}

/// The cases by name: the lower directories, topmost first, the upper directory and what each differ makes.
fn cases() -> serde_json::Map<String, Value> {
    let text = std::fs::read(fixtures().join("expected.json")).unwrap();
    serde_json::from_slice(&text).unwrap()
}

/// Restores the trees of the case `name` with GNU tar, with all their attributes.
fn restore(name: &str, into: &Path) {
    let archive = fixtures().join(format!("{name}.trees.tar.zst"));
    let script = r#"zstd -dcq "$1" | tar --xattrs --xattrs-include='*' --acls --numeric-owner -xp -C "$2" -f -"#;
    succeed(Command::new("sh").args(["-ec", script, "sh"]).arg(archive).arg(into));
}

fn golden(name: &str, differ: &str) -> Vec<u8> {
    let file = fixtures().join(format!("{name}.{differ}.tar.zst"));
    succeed(Command::new("zstd").args(["-dcq"]).arg(file)).stdout
}

/// Asserts that `differ` makes the golden layer of the case `name` of `lower` and `upper`.
fn assert_golden(name: &str, case: &Value, differ: &str, lower: &str, upper: &Path, store: &Path) {
    let report = run_json([
        "diff".into(),
        "--json".into(),
        "--compression=uncompressed".into(),
        format!("--differ={differ}").into(),
        format!("--lower={lower}").into(),
        option("upper", upper),
        option("store", store),
    ]);
    assert_eq!(report["differ"], differ, "{name}");
    assert_eq!(report["diffID"], case[differ]["diffID"], "{name} by {differ}");
    assert_eq!(report["digest"], report["diffID"], "{name} by {differ}");
    let bytes = std::fs::read(blob(store, report["digest"].as_str().unwrap())).unwrap();
    assert!(bytes == golden(name, differ), "{name} by {differ}: other bytes");
    assert_eq!(report["size"], bytes.len() as u64);
}

#[test]
fn both_differs_make_the_golden_layers_of_trees_on_disk() {
    let test = "the golden layers of trees on disk";
    if !with_tools(test, &["tar", "zstd"]) || !is_root(test) {
        return;
    }
    let cases = cases();
    assert!(cases.len() >= 19);
    for (name, case) in &cases {
        let work = tempdir().unwrap();
        let (trees, store) = (work.path().join("trees"), work.path().join("store"));
        std::fs::create_dir(&trees).unwrap();
        restore(name, &trees);
        let lowers = case["lowers"].as_array().unwrap().iter().map(|lower| trees.join(lower.as_str().unwrap()));
        let lowers: Vec<_> = lowers.map(|lower| lower.to_str().unwrap().to_owned()).collect();
        let upper = trees.join(case["upper"].as_str().unwrap());
        assert_golden(name, case, "overlay", &lowers.join(":"), &upper, &store);
        let before = trees.join("before");
        assert_golden(name, case, "walking", before.to_str().unwrap(), &trees.join("after"), &store);
    }
}
