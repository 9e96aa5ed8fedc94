//! zstd:chunked in images and caches: what says where the table of contents is goes with a layer.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

mod support;

use std::path::Path;

use cache_blobs::codec::Sample;
use cache_blobs::codec::{Codecs, zstd_chunked};
use cache_core::{Compression, Digest};
use serde_json::Value;
use support::building::{Build, blob, states};
use tempfile::tempdir;

const STEPS: [(&str, &str); 2] =
    [("make", "mkdir d; seq 1 20000 > d/numbers; ln d/numbers hard"), ("change", "rm hard; echo new > d/new")];

/// The layers in the manifest to which the layout's `index.json` points.
fn layers(layout: &Path) -> Vec<Value> {
    let json = |path: &Path| serde_json::from_slice::<Value>(&std::fs::read(path).unwrap()).unwrap();
    let index = json(&layout.join("index.json"));
    let manifest = json(&blob(layout, index["manifests"][0]["digest"].as_str().unwrap()));
    manifest["layers"].as_array().unwrap().clone()
}

fn assert_zstd_chunked(layout: &Path) {
    let layers = layers(layout);
    assert_eq!(layers.len(), 2);
    for layer in layers {
        assert_eq!(layer["mediaType"], "application/vnd.oci.image.layer.v1.tar+zstd");
        let annotations = &layer["annotations"];
        annotations[zstd_chunked::MANIFEST_CHECKSUM].as_str().unwrap().parse::<Digest>().unwrap();
        assert!(annotations[zstd_chunked::MANIFEST_POSITION].as_str().unwrap().ends_with(":1"));
        assert!(annotations[zstd_chunked::TAR_SPLIT_POSITION].is_string());
        let bytes = std::fs::read(blob(layout, layer["digest"].as_str().unwrap())).unwrap();
        let found = Codecs::default().detect(&Sample::of_head(&bytes).with_tail(&bytes)).unwrap();
        assert_eq!(found.compression(), Compression::ZSTD_CHUNKED);
    }
}

#[test]
fn the_annotations_of_zstd_chunked_layers_go_into_images_and_through_caches() {
    let work = tempdir().unwrap();
    let place = |name: &str| work.path().join(name);
    let image = |name: &str| {
        let layout = place(name).display().to_string();
        format!("--output=type=oci,tar=false,name=example.com/demo:latest,compression=zstd:chunked,dest={layout}")
    };
    let exported = Build::new(&place("store"), &STEPS)
        .with_cache_export(&place("cache"), ",mode=max,compression=zstd:chunked")
        .with(image("image"))
        .run();
    assert_eq!(states(&exported), ["run", "run"]);
    assert_zstd_chunked(&place("image"));
    let imported = Build::new(&place("empty"), &STEPS).with_cache_import(&place("cache")).with(image("again")).run();
    assert!(!states(&imported).contains(&"run"));
    assert_zstd_chunked(&place("again"));
    assert_eq!(layers(&place("image")), layers(&place("again")));
}

#[test]
fn forcing_zstd_chunked_makes_every_layer_so_and_keeps_the_diff_ids() {
    let work = tempdir().unwrap();
    let image = |name: &str, attributes: &str| {
        let layout = work.path().join(name);
        let output = format!("--output=type=oci,tar=false,name=latest,dest={},{attributes}", layout.display());
        let report = Build::new(&work.path().join("store"), &STEPS).with(output).run();
        let diff_ids: Vec<_> = report["steps"].as_array().unwrap().iter().map(|step| step["diffID"].clone()).collect();
        (layers(&layout), diff_ids)
    };
    let (_, before) = image("gzip", "compression=gzip");
    image("zstd", "compression=zstd,force-compression=true");
    let (forced, after) = image("forced", "compression=zstd:chunked,force-compression=true");
    assert_zstd_chunked(&work.path().join("forced"));
    assert_eq!(before, after);
    // They are variants now, with their annotations.
    let (again, _) = image("again", "compression=zstd:chunked,force-compression=true");
    assert_eq!(forced, again);
}
