//! What a build makes saves the next build its steps.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

mod support;

use support::building::{Build, assert_undamaged, latest, layers, states};
use support::run_json;
use support::saved_steps::{
    FAILING, STEPS, assert_cache_saves_every_step, assert_cache_saves_the_steps_before_a_new_one,
    assert_min_holds_only_the_last_result, assert_min_takes_the_layers_that_are_there, build_with_cache,
};
use tempfile::tempdir;

#[test]
fn a_min_cache_saves_every_step_in_an_empty_store() {
    assert_cache_saves_every_step(tempdir().unwrap().path(), "native", "min");
}

#[test]
fn a_max_cache_saves_every_step_in_an_empty_store() {
    assert_cache_saves_every_step(tempdir().unwrap().path(), "native", "max");
}

#[test]
fn a_max_cache_saves_the_steps_before_a_new_one() {
    assert_cache_saves_the_steps_before_a_new_one(tempdir().unwrap().path(), "native");
}

#[test]
fn a_min_cache_takes_the_layers_that_are_there() {
    assert_min_takes_the_layers_that_are_there(tempdir().unwrap().path(), "native");
}

#[test]
fn a_min_cache_makes_no_layers_but_for_the_last_result() {
    assert_min_holds_only_the_last_result(tempdir().unwrap().path(), "native");
}

#[test]
fn a_second_build_in_the_same_store_runs_nothing() {
    let work = tempdir().unwrap();
    let (store, image) = (work.path().join("store"), work.path().join("image"));
    let first = Build::new(&store, &STEPS).run();
    assert_eq!(states(&first), ["run"; 3]);
    assert!(first["steps"][0]["layer"].is_null(), "nobody asked for layers");

    let second = Build::new(&store, &FAILING).with_layout(&image).run();
    assert_eq!(states(&second), ["cached"; 3]);
    let made: Vec<_> = second["steps"].as_array().unwrap().iter().map(|step| step["layer"].as_str().unwrap()).collect();
    assert_eq!(made, layers(&latest(&image)).iter().map(|(digest, _)| digest.as_str()).collect::<Vec<_>>());
    assert_undamaged(&store);
}

#[test]
fn an_image_from_a_cache_is_the_same_image() {
    for mode in ["min", "max"] {
        let work = tempdir().unwrap();
        build_with_cache(work.path(), "native", mode);
        let (store, image) = (work.path().join("other-store"), work.path().join("other-image"));
        let report = Build::new(&store, &STEPS).with_cache_import(&work.path().join("cache")).with_layout(&image).run();
        assert!(!states(&report).contains(&"run"));
        let inspect = |image: &std::path::Path| run_json(["image", "inspect", &latest(image), "--json"]);
        let (ours, theirs) = (inspect(&image), inspect(&work.path().join("image")));
        assert_eq!(ours["config"], theirs["config"]);
        assert_eq!(ours["digest"], theirs["digest"]);
    }
}

#[test]
fn a_key_counts_with_those_before_it() {
    let work = tempdir().unwrap();
    let store = work.path().join("store");
    Build::new(&store, &STEPS).run();
    let moved = [("delete", "echo first > first"), ("make", "test -e first; echo second > second")];
    assert_eq!(states(&Build::new(&store, &moved).run()), ["run"; 2]);
}

#[test]
fn a_cache_that_is_not_there_or_is_no_cache_is_a_warning() {
    let work = tempdir().unwrap();
    build_with_cache(work.path(), "native", "max");
    let cache = work.path().join("cache");
    let (absent, config) = (work.path().join("absent"), work.path().join("config"));
    support::succeed(std::process::Command::new("cp").args(["-a"]).arg(&cache).arg(&config));
    std::fs::write(config.join("index.json"), "{").unwrap();
    for (at, broken) in [absent, config].iter().enumerate() {
        let store = work.path().join(format!("store-{at}"));
        let build = Build::new(&store, &STEPS).with_cache_import(broken);
        let output = support::succeed(&mut build.command());
        assert_eq!(support::building::warnings(&output.stderr).len(), 1);
        assert_eq!(states(&serde_json::from_slice(&output.stdout).unwrap()), ["run"; 3]);
    }
}

#[test]
fn a_cached_layer_that_is_damaged_is_a_warning_and_the_step_is_run() {
    let work = tempdir().unwrap();
    let built = build_with_cache(work.path(), "native", "max");
    let cache = work.path().join("cache");
    let blob = support::building::blob(&cache, &built[2].0);
    let mut bytes = std::fs::read(&blob).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::remove_file(&blob).unwrap();
    std::fs::write(&blob, bytes).unwrap();

    let steps = [FAILING[0], FAILING[1], STEPS[2]];
    let store = work.path().join("other-store");
    let output = support::succeed(&mut Build::new(&store, &steps).with_cache_import(&cache).command());
    assert_eq!(support::building::warnings(&output.stderr).len(), 1);
    assert_eq!(states(&serde_json::from_slice(&output.stdout).unwrap()), ["skipped", "cached", "run"]);
    assert_undamaged(&store);
}

#[test]
fn a_build_looks_in_its_caches_in_order() {
    let work = tempdir().unwrap();
    let (first, second) = (work.path().join("first"), work.path().join("second"));
    build_with_cache(&first, "native", "max");
    build_with_cache(&second, "native", "max");
    let report = Build::new(&work.path().join("store"), &FAILING)
        .with_cache_import(&first.join("absent"))
        .with_cache_import(&second.join("cache"))
        .with_cache_import(&first.join("cache"))
        .run();
    assert!(report["steps"][2]["source"].as_str().unwrap().contains("second"));
}
