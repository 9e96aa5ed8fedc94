//! `fsck` finds what was lost, and the store mends itself after `--repair`.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

mod support;

use std::path::Path;

use serde_json::Value;
use support::building::{Build, assert_prunes_to_nothing, assert_undamaged, blob, latest, layers, option, states};
use support::layercache;
use tempfile::tempdir;

const STEPS: [(&str, &str); 2] = [("one", "echo one > one"), ("two", "echo two > two; touch -d @1000000000 two")];

/// The exit code and the report.
fn fsck(store: &Path, arguments: &[&str]) -> (Option<i32>, Value) {
    let given = arguments.iter().map(Into::into);
    let output =
        layercache(["fsck".into(), "--json".into(), option("store", store)].into_iter().chain(given)).output().unwrap();
    (output.status.code(), serde_json::from_slice(&output.stdout).unwrap())
}

fn damage(report: &Value) -> Vec<&str> {
    report["damage"].as_array().unwrap().iter().map(|damage| damage.as_str().unwrap()).collect()
}

/// Does `harm` to the blob of the second of two steps, and asserts that it is found as `kind` and mended.
fn assert_mended(kind: &str, harm: impl FnOnce(&Path)) {
    let work = tempdir().unwrap();
    let (store, image) = (work.path().join("store"), work.path().join("image"));
    Build::new(&store, &STEPS).with_layout(&image).run();
    assert_undamaged(&store);
    let expected = layers(&latest(&image));
    let file = blob(&store, &expected[1].0);
    harm(&file);

    let (code, report) = fsck(&store, &[]);
    assert_eq!(code, Some(1));
    assert_eq!(damage(&report).len(), 1);
    assert!(damage(&report)[0].starts_with(kind) && damage(&report)[0].contains(&expected[1].0[7..]), "{report}");
    assert_eq!(fsck(&store, &[]).0, Some(1), "a check without --repair changes nothing");

    let (code, report) = fsck(&store, &["--repair"]);
    assert_eq!((code, damage(&report).len(), &report["repaired"]), (Some(1), 1, &Value::Bool(true)));
    assert_undamaged(&store);

    // The step whose layer was lost is run again, and no other.
    let again = work.path().join("again");
    let report = Build::new(&store, &[("one", "false"), STEPS[1]]).with_layout(&again).run();
    assert_eq!(states(&report), ["cached", "run"]);
    assert_eq!(layers(&latest(&again)), expected);
    assert!(file.exists());
    assert_undamaged(&store);
    assert_prunes_to_nothing(&store);
}

#[test]
fn a_lost_blob_is_found_and_made_again() {
    assert_mended("LostBlob", |file| std::fs::remove_file(file).unwrap());
}

#[test]
fn a_truncated_blob_is_found_and_made_again() {
    assert_mended("WrongLength", |file| {
        let bytes = std::fs::read(file).unwrap();
        std::fs::remove_file(file).unwrap();
        std::fs::write(file, &bytes[1..]).unwrap();
    });
}

#[test]
fn a_blob_with_other_bytes_is_found_and_made_again() {
    assert_mended("WrongBytes", |file| {
        let mut bytes = std::fs::read(file).unwrap();
        bytes[0] ^= 1;
        std::fs::remove_file(file).unwrap();
        std::fs::write(file, bytes).unwrap();
    });
}

#[test]
fn a_lost_snapshot_is_damage() {
    let work = tempdir().unwrap();
    let store = work.path().join("store");
    Build::new(&store, &STEPS).run();
    std::fs::remove_dir_all(store.join("snapshots/1")).unwrap();
    let (code, report) = fsck(&store, &[]);
    assert_eq!((code, damage(&report).len()), (Some(1), 1));
    assert!(damage(&report)[0].starts_with("LostSnapshot"), "{report}");
}

#[test]
fn a_file_without_a_record_is_no_damage_and_is_collected() {
    let work = tempdir().unwrap();
    let store = work.path().join("store");
    Build::new(&store, &STEPS).run();
    std::fs::write(store.join("blobs/sha256").join("0".repeat(64)), "left").unwrap();
    let (code, report) = fsck(&store, &[]);
    assert_eq!((code, damage(&report).len()), (Some(0), 0));
    assert_eq!(report["garbage"].as_array().unwrap().len(), 1, "{report}");
    assert_prunes_to_nothing(&store);
}
