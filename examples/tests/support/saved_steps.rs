//! What an imported cache saves, whatever the snapshotter.

use std::path::Path;

use cache_core::Digest;

use super::building::{Build, latest, layers, states};
use super::run_json;

/// Three steps: one makes files, one deletes some, one replaces a directory.
pub const STEPS: [(&str, &str); 3] = [
    (
        "make",
        "mkdir -p usr/share etc; echo one > etc/one; echo gone > etc/gone; ln etc/one etc/hard; ln -s one etc/link; \
         seq 1 2000 > usr/share/numbers",
    ),
    ("delete", "rm etc/gone etc/link; echo two > etc/two"),
    ("replace", "rm -r usr/share; mkdir usr/share; echo new > usr/share/new"),
];

/// The same keys with commands that fail.
pub const FAILING: [(&str, &str); 3] = [("make", "false"), ("delete", "false"), ("replace", "false")];

/// The same keys, where only the last command works.
const LAST_CHANGED: [(&str, &str); 3] = [("make", "false"), ("delete", "false"), ("other", "echo other > other")];

/// Builds `STEPS` in a store below `work` and exports the cache and the image.
pub fn build_with_cache(work: &Path, snapshotter: &'static str, mode: &str) -> Vec<(String, String)> {
    let image = work.join("image");
    let report = Build::new(&work.join("store"), &STEPS)
        .with_snapshotter(snapshotter)
        .with_cache_export(&work.join("cache"), &format!(",mode={mode}"))
        .with_layout(&image)
        .run();
    assert_eq!(states(&report), ["run"; 3]);
    let layers = layers(&latest(&image));
    for (step, (digest, diff_id)) in report["steps"].as_array().unwrap().iter().zip(&layers) {
        assert_eq!((step["layer"].as_str(), step["diffID"].as_str()), (Some(digest.as_str()), Some(diff_id.as_str())));
    }
    layers
}

/// Asserts that the cache saves every step in an empty store, and again in the same store.
pub fn assert_cache_saves_every_step(work: &Path, snapshotter: &'static str, mode: &str) {
    let expected = build_with_cache(work, snapshotter, mode);
    assert_eq!(expected.len(), STEPS.len());
    let (store, image) = (work.join("other-store"), work.join("other-image"));
    let build = Build::new(&store, &FAILING).with_snapshotter(snapshotter);

    let report = build.clone().with_cache_import(&work.join("cache")).with_layout(&image).run();
    assert_eq!(states(&report), ["skipped", "skipped", "cached"]);
    assert!(report["steps"][2]["source"].as_str().unwrap().contains("type=local"));
    assert_eq!(layers(&latest(&image)), expected);

    let again = work.join("again");
    let report = build.with_layout(&again).run();
    assert_eq!(states(&report)[2], "cached");
    assert!(report["steps"][2]["source"].is_null());
    assert_eq!(layers(&latest(&again)), expected);
}

/// Asserts that a step that the cache does not know runs over those that it knows.
pub fn assert_cache_saves_the_steps_before_a_new_one(work: &Path, snapshotter: &'static str) {
    let expected = build_with_cache(work, snapshotter, "max");
    let (store, image) = (work.join("other-store"), work.join("other-image"));
    let report = Build::new(&store, &LAST_CHANGED)
        .with_snapshotter(snapshotter)
        .with_cache_import(&work.join("cache"))
        .with_layout(&image)
        .run();
    assert_eq!(states(&report), ["skipped", "cached", "run"]);
    let layers = layers(&latest(&image));
    assert_eq!(layers[..2], expected[..2]);
    assert_ne!(layers[2], expected[2]);
}

/// Asserts that a min cache makes no layers but for the last result, so that it gives none to the steps before it.
pub fn assert_min_holds_only_the_last_result(work: &Path, snapshotter: &'static str) {
    let cache = work.join("cache");
    Build::new(&work.join("store"), &STEPS).with_snapshotter(snapshotter).with_cache_export(&cache, "").run();
    assert_eq!(results(&cache), [false, false, true]);
    let output = Build::new(&work.join("other-store"), &LAST_CHANGED)
        .with_snapshotter(snapshotter)
        .with_cache_import(&work.join("cache"))
        .command()
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1), "the first step had to run, and it fails");
}

/// Asserts that a min cache takes the results whose layers are there already. A first step without a base has none, as in
/// BuildKit, because nothing is under it.
pub fn assert_min_takes_the_layers_that_are_there(work: &Path, snapshotter: &'static str) {
    build_with_cache(work, snapshotter, "min");
    assert_eq!(results(&work.join("cache")), [false, true, true]);
    let max = work.join("max");
    build_with_cache(&max, snapshotter, "max");
    assert_eq!(results(&max.join("cache")), [true; 3]);
}

/// Whether the cache in `directory` has a result of each of `STEPS`.
fn results(directory: &Path) -> [bool; 3] {
    let spec = format!("type=local,src={}", directory.display());
    let cache = run_json(["cache", "inspect", &spec, "--json"]);
    STEPS.map(|(key, _)| {
        let key = Digest::of(format!("{}@0", Digest::of(key))).to_string();
        let record = cache["records"].as_array().unwrap().iter().find(|record| record["digest"] == key).unwrap();
        record["layers"].is_array()
    })
}
