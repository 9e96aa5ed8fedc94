//! eStargz in images and caches: what says that a layer is eStargz goes with it.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

mod support;

use std::path::Path;

use cache_blobs::codec::Sample;
use cache_blobs::codec::{Codecs, estargz};
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

fn assert_estargz(layout: &Path) {
    let layers = layers(layout);
    assert_eq!(layers.len(), 2);
    for layer in layers {
        assert_eq!(layer["mediaType"], "application/vnd.oci.image.layer.v1.tar+gzip");
        let annotations = &layer["annotations"];
        annotations[estargz::TOC_DIGEST].as_str().unwrap().parse::<Digest>().unwrap();
        annotations[estargz::UNCOMPRESSED_SIZE].as_str().unwrap().parse::<u64>().unwrap();
        let bytes = std::fs::read(blob(layout, layer["digest"].as_str().unwrap())).unwrap();
        let found = Codecs::default().detect(&Sample::of_head(&bytes).with_tail(&bytes)).unwrap();
        assert_eq!(found.compression(), Compression::EStargz);
    }
}

#[test]
fn the_annotations_of_estargz_layers_go_into_images_and_through_caches() {
    let work = tempdir().unwrap();
    let place = |name: &str| work.path().join(name);
    let image = |name: &str| {
        let layout = place(name).display().to_string();
        format!("--output=type=oci,tar=false,name=example.com/demo:latest,compression=estargz,dest={layout}")
    };
    let exported = Build::new(&place("store"), &STEPS)
        .with_cache_export(&place("cache"), ",mode=max,compression=estargz")
        .with(image("image"))
        .run();
    assert_eq!(states(&exported), ["run", "run"]);
    assert_estargz(&place("image"));
    let imported = Build::new(&place("empty"), &STEPS).with_cache_import(&place("cache")).with(image("again")).run();
    assert!(!states(&imported).contains(&"run"));
    assert_estargz(&place("again"));
    assert_eq!(layers(&place("image")), layers(&place("again")));
}
