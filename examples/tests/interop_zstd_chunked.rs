//! The `zstd` command and skopeo, which know nothing of tables of contents, read our zstd:chunked.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

mod support;

use std::path::{Path, PathBuf};

use cache_core::Digest;
use serde_json::Value;
use support::building::{Build, blob};
use support::{shell, with_tools};

const STEPS: [(&str, &str); 2] = [
    (
        "make",
        "mkdir -p d/sub; seq 1 1500000 > d/numbers; head -c 9000000 /dev/urandom > d/noise; truncate -s 5M d/noise; \
         truncate -s 9M d/noise; echo small > d/small; : > d/empty; ln d/numbers hard; ln -s d/numbers link; mkfifo pipe; \
         printf 'caf\\303\\251' > \"$(printf 'caf\\303\\251')\"",
    ),
    ("change", "rm hard; echo new > d/sub/new; echo more >> d/small"),
];

/// The layout of an image of zstd:chunked layers, the layers in its manifest and the DiffIDs in its config.
fn image(work: &Path) -> (PathBuf, Vec<Value>, Vec<Value>) {
    let layout = work.join("layout");
    let output = "--output=type=oci,tar=false,name=example.com/demo:latest,compression=zstd:chunked";
    Build::new(&work.join("store"), &STEPS).with(format!("{output},dest={}", layout.display())).run();
    let json = |path: &Path| serde_json::from_slice::<Value>(&std::fs::read(path).unwrap()).unwrap();
    let index = json(&layout.join("index.json"));
    let manifest = json(&blob(&layout, index["manifests"][0]["digest"].as_str().unwrap()));
    let config = json(&blob(&layout, manifest["config"]["digest"].as_str().unwrap()));
    let diff_ids = config["rootfs"]["diff_ids"].as_array().unwrap().clone();
    (layout, manifest["layers"].as_array().unwrap().clone(), diff_ids)
}

#[test]
fn zstd_gives_the_tar_and_passes_over_the_frames_behind_it() {
    if !with_tools("zstd on zstd:chunked", &["zstd", "tar"]) {
        return;
    }
    let work = tempfile::tempdir().unwrap();
    let (layout, layers, diff_ids) = image(work.path());
    for (layer, diff_id) in layers.iter().zip(diff_ids) {
        let file = blob(&layout, layer["digest"].as_str().unwrap()).display().to_string();
        let tar = shell(work.path(), &format!("zstd -qt < {file} && zstd -qdc < {file}")).stdout;
        assert_eq!(Digest::of(tar).to_string(), diff_id.as_str().unwrap());
        let list = shell(work.path(), &format!("cp {file} layer.zst; zstd -lv layer.zst")).stdout;
        let list = String::from_utf8(list).unwrap();
        let skippable = list.lines().find_map(|line| line.strip_prefix("# Skippable Frames: ")).unwrap();
        assert_eq!(skippable.trim(), "3", "{list}");
        let names = shell(work.path(), &format!("zstd -qdc < {file} | tar -tf -")).stdout;
        assert!(String::from_utf8(names).unwrap().lines().any(|name| name == "d/small"));
    }
}

#[test]
fn skopeo_copies_the_image_and_decompresses_its_layers_to_their_diff_ids() {
    if !with_tools("skopeo on zstd:chunked", &["skopeo"]) {
        return;
    }
    let work = tempfile::tempdir().unwrap();
    let (_, _, diff_ids) = image(work.path());
    shell(work.path(), "skopeo copy --dest-decompress oci:layout:latest dir:plain");
    let manifest = std::fs::read(work.path().join("plain/manifest.json")).unwrap();
    let manifest: Value = serde_json::from_slice(&manifest).unwrap();
    let digests: Vec<_> = manifest["layers"].as_array().unwrap().iter().map(|layer| layer["digest"].clone()).collect();
    assert_eq!(digests, diff_ids);
}
