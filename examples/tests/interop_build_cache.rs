//! A cache saves a build over overlayfs its steps, and one snapshotter's cache serves the other.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

mod support;

use support::building::{Build, latest, layers, states};
use support::saved_steps::{
    FAILING, STEPS, assert_cache_saves_every_step, assert_cache_saves_the_steps_before_a_new_one,
    assert_min_holds_only_the_last_result, assert_min_takes_the_layers_that_are_there, build_with_cache,
};
use support::{is_root, with_tools};
use tempfile::tempdir;

fn may_run(test: &str) -> bool {
    with_tools(test, &["mount"]) && is_root(test)
}

#[test]
fn a_min_cache_saves_every_step_over_overlayfs() {
    if may_run("a min cache over overlayfs") {
        assert_cache_saves_every_step(tempdir().unwrap().path(), "overlayfs", "min");
        assert_min_holds_only_the_last_result(tempdir().unwrap().path(), "overlayfs");
        assert_min_takes_the_layers_that_are_there(tempdir().unwrap().path(), "overlayfs");
    }
}

#[test]
fn a_max_cache_saves_every_step_over_overlayfs() {
    if may_run("a max cache over overlayfs") {
        assert_cache_saves_every_step(tempdir().unwrap().path(), "overlayfs", "max");
        assert_cache_saves_the_steps_before_a_new_one(tempdir().unwrap().path(), "overlayfs");
    }
}

#[test]
fn a_cache_from_one_snapshotter_serves_the_other_even_in_one_store() {
    if !may_run("a cache for two snapshotters") {
        return;
    }
    let work = tempdir().unwrap();
    let expected = build_with_cache(work.path(), "overlayfs", "max");
    // The store that made it, and an empty one.
    for store in ["store", "other-store"] {
        let image = work.path().join(format!("image-of-{store}"));
        let report = Build::new(&work.path().join(store), &FAILING)
            .with_cache_import(&work.path().join("cache"))
            .with_layout(&image)
            .run();
        assert_eq!(states(&report)[2], "cached");
        assert_eq!(layers(&latest(&image)), expected);
        let more = [FAILING[0], FAILING[1], FAILING[2], ("more", "test -e usr/share/new; echo more > more")];
        let report = Build::new(&work.path().join(store), &more).run();
        assert_eq!(states(&report)[3], "run");
    }
}

#[test]
fn a_store_keeps_the_snapshotter_that_it_has() {
    if !may_run("the snapshotter of a store") {
        return;
    }
    for snapshotter in ["native", "overlayfs"] {
        let work = tempdir().unwrap();
        let store = work.path().join("store");
        Build::new(&store, &STEPS).with_snapshotter(snapshotter).run();
        let more = [FAILING[0], FAILING[1], FAILING[2], ("more", "echo more > more")];
        let report = Build::new(&store, &more).with_snapshotter("auto").run();
        assert_eq!(states(&report), ["cached", "cached", "cached", "run"]);
    }
    // Another one, asked for by name, cannot see those snapshots, so the steps run.
    let work = tempdir().unwrap();
    let store = work.path().join("store");
    Build::new(&store, &STEPS).with_snapshotter("native").run();
    let report = Build::new(&store, &STEPS).with_snapshotter("overlayfs").run();
    assert_eq!(states(&report), ["run"; 3]);
}
