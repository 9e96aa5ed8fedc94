//! A build that fails leaves a sound store, and says what failed.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

mod support;

use support::building::{Build, assert_prunes_to_nothing, assert_undamaged, option, states};
use tempfile::tempdir;

const STEPS: [(&str, &str); 3] =
    [("one", "echo one > one"), ("two", "echo two > two; exit 3"), ("three", "echo > three")];

#[test]
fn a_step_that_fails_ends_the_build_and_leaves_a_sound_store() {
    let work = tempdir().unwrap();
    let (store, image) = (work.path().join("store"), work.path().join("image"));
    let output = Build::new(&store, &STEPS).with_layout(&image).command().output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(output.stdout.is_empty());
    let stderr = String::from_utf8(output.stderr).unwrap();
    let errors: Vec<_> = stderr.lines().filter(|line| line.starts_with("error: ")).collect();
    assert_eq!(errors.len(), 1, "{stderr}");
    assert!(errors[0].contains("two"), "{stderr}");
    assert!(!image.exists());

    assert_undamaged(&store);
    assert_prunes_to_nothing(&store);
}

/// How the phases of the steps ended, from JSON lines on standard error.
fn endings(stderr: &[u8]) -> Vec<(String, Option<String>)> {
    let lines = std::str::from_utf8(stderr).unwrap().lines();
    let events = lines.filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    let ended = events.filter(|event| event["event"] == "finished");
    let ending = |event: serde_json::Value| {
        (event["id"].as_str().unwrap().to_owned(), event["error"].as_str().map(str::to_owned))
    };
    ended.map(ending).filter(|(id, _)| STEPS.iter().any(|(key, _)| id.contains(key))).collect()
}

#[test]
fn the_progress_of_a_step_that_fails_ends_with_the_kind_of_the_failure() {
    let work = tempdir().unwrap();
    let store = work.path().join("store");
    let failed = Build::new(&store, &STEPS).command().output().unwrap();
    let ended = endings(&failed.stderr);
    assert_eq!(ended.iter().map(|(_, error)| error.as_deref()).collect::<Vec<_>>(), [None, Some("invalid")]);
    assert!(ended[1].0.contains("two"));

    // The directory where steps see their tree cannot be made.
    std::fs::remove_dir(store.join("mounts/root")).unwrap();
    std::fs::write(store.join("mounts/root"), "no directory").unwrap();
    let failed = Build::new(&store, &[("three", "echo > three")]).command().output().unwrap();
    assert_eq!(failed.status.code(), Some(1));
    let kinds: Vec<_> = endings(&failed.stderr).into_iter().map(|(_, error)| error).collect();
    assert_eq!(kinds, [Some("already exists".to_owned())]);
}

#[test]
fn what_was_done_before_a_failure_is_not_done_again() {
    let work = tempdir().unwrap();
    let store = work.path().join("store");
    assert_eq!(Build::new(&store, &STEPS).command().output().unwrap().status.code(), Some(1));
    let mended = [("one", "false"), ("two", "test ! -e two; echo two > two"), STEPS[2]];
    assert_eq!(states(&Build::new(&store, &mended).run()), ["cached", "run", "run"]);
}

#[test]
fn an_export_that_fails_fails_the_build_unless_its_errors_are_ignored() {
    let work = tempdir().unwrap();
    let (store, file) = (work.path().join("store"), work.path().join("file"));
    std::fs::write(&file, "no directory").unwrap();
    let build = Build::new(&store, &STEPS[..1]);
    let failed = build.clone().with_cache_export(&file, "").command().output().unwrap();
    assert_eq!(failed.status.code(), Some(1));

    let report = build.with_cache_export(&file, ",ignore-error=true").run();
    assert!(report["caches"][0]["digest"].is_null());
    let warnings = report["caches"][0]["warnings"].as_array().unwrap();
    assert_eq!(warnings.len(), 1);

    // The lines for people say it, too.
    let arguments = ["build", "--step=one=false", "--snapshotter=native", "--progress=quiet"].map(Into::into);
    let export = format!("--export-cache=type=local,dest={},ignore-error=true", file.display());
    let output = support::run(arguments.into_iter().chain([option("store", &store), export.into()]));
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(
        text.ends_with(&format!("cache was not written\ncache warning: {}\n", warnings[0].as_str().unwrap())),
        "{text}"
    );
    assert_undamaged(&store);
}

#[test]
fn a_base_that_is_not_there_fails_the_build() {
    let work = tempdir().unwrap();
    let store = work.path().join("store");
    let base = format!("--base=oci:{}", work.path().join("absent").display());
    let output = Build::new(&store, &STEPS[..1]).with(base).command().output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert_undamaged(&store);
    assert_prunes_to_nothing(&store);
}

#[test]
fn a_step_sees_its_tree_its_origin_and_nothing_of_the_tool() {
    let work = tempdir().unwrap();
    std::fs::write(work.path().join("beside"), "beside").unwrap();
    let checks = "test \"$PWD\" = \"$ROOT\"; cp \"$ORIGIN/beside\" copied; test \"$(env | grep -c LAYERCACHE)\" = 0; \
                  ! read line; echo to standard output";
    let build = Build::new(&work.path().join("store"), &[("check", checks)]);
    let output = support::succeed(build.command().current_dir(work.path()));
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(states(&report), ["run"]);
    assert!(String::from_utf8_lossy(&output.stderr).contains("to standard output"));
}
