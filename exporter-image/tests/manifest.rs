//! Manifests and indexes say what they must, and are read only one way.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

mod support;

use cache_core::{Annotations, Descriptor, Digest, Layer, MediaType, MediaTypeFamily};
use exporter_image::{
    ComposeOptions, DocumentProblem, EmptyLists, ImageLayer, Index, JsonError, JsonLimits, Manifest, compose_image,
    layer_descriptor,
};
use support::{SCRATCH_CONFIG, TWO_CONFIG, blob, plain_layers};

fn layer(media_type: MediaType) -> Layer {
    let mut descriptor = Descriptor::of(media_type, b"layer");
    for key in [
        "containerd.io/uncompressed",
        "buildkit/createdat",
        "layercache/recipe",
        "containerd.io/distribution.source.example.com",
        "buildkit/rewritten-timestamp",
        "containerd.io/snapshot/stargz/toc.digest",
        "io.containers.estargz.uncompressed-size",
        "other",
    ] {
        descriptor = descriptor.with_annotation(key, "value");
    }
    let mut layer = Layer::new(descriptor, Digest::of("tar"));
    layer.descriptor.annotations.insert("containerd.io/uncompressed".to_owned(), "x".to_owned());
    layer
}

#[test]
fn oci_manifests_lose_the_annotations_that_only_the_cache_understands() {
    let descriptor = layer_descriptor(&layer(MediaType::OCI_LAYER_GZIP), MediaTypeFamily::Oci);
    let kept: Vec<_> = descriptor.annotations.keys().map(String::as_str).collect();
    assert_eq!(
        kept,
        [
            "buildkit/rewritten-timestamp",
            "containerd.io/snapshot/stargz/toc.digest",
            "io.containers.estargz.uncompressed-size",
            "other"
        ]
    );
}

#[test]
fn docker_manifests_lose_all_annotations_of_layers() {
    let descriptor = layer_descriptor(&layer(MediaType::OCI_LAYER_GZIP), MediaTypeFamily::Docker);
    assert_eq!(descriptor.annotations, Annotations::new());
}

#[test]
fn layers_get_the_media_type_of_the_family_and_keep_those_that_have_none_in_it() {
    let foreign = MediaType::OCI_LAYER_NON_DISTRIBUTABLE_ZSTD;
    let unknown = MediaType::new("application/x");
    for (given, oci, docker) in [
        (MediaType::OCI_LAYER, MediaType::OCI_LAYER, MediaType::DOCKER_LAYER),
        (MediaType::DOCKER_LAYER_GZIP, MediaType::OCI_LAYER_GZIP, MediaType::DOCKER_LAYER_GZIP),
        (MediaType::OCI_LAYER_ZSTD, MediaType::OCI_LAYER_ZSTD, MediaType::DOCKER_LAYER_ZSTD),
        (foreign.clone(), foreign.clone(), foreign),
        (unknown.clone(), unknown.clone(), unknown),
    ] {
        let layer = layer(given);
        assert_eq!(layer_descriptor(&layer, MediaTypeFamily::Oci).media_type, oci);
        assert_eq!(layer_descriptor(&layer, MediaTypeFamily::Docker).media_type, docker);
    }
}

#[test]
fn strict_readers_get_arrays() {
    let options = ComposeOptions::default().with_config(SCRATCH_CONFIG).with_empty_lists(EmptyLists::Array);
    let image = compose_image(&[], &options).unwrap();
    assert!(String::from_utf8_lossy(&image.manifest.bytes).contains("\"layers\": []"));
    assert!(String::from_utf8_lossy(&image.config.bytes).contains("\"diff_ids\":[]"));
    let index = Index::new(MediaTypeFamily::Oci, Vec::new());
    assert!(String::from_utf8(index.to_bytes(EmptyLists::Array).unwrap()).unwrap().contains("\"manifests\": []"));
    assert!(String::from_utf8(index.to_bytes(EmptyLists::Null).unwrap()).unwrap().contains("\"manifests\": null"));
}

#[test]
fn an_image_is_the_same_whatever_the_cache_knew_of_its_blobs() {
    let bare: Vec<ImageLayer> = plain_layers();
    let mut annotated = bare.clone();
    for layer in &mut annotated {
        let descriptor = layer.layer.descriptor.clone();
        layer.layer.descriptor = descriptor.with_annotation("buildkit/createdat", "2020-01-01T00:00:00Z");
    }
    let options = ComposeOptions::default().with_config(TWO_CONFIG);
    assert_eq!(compose_image(&bare, &options).unwrap(), compose_image(&annotated, &options).unwrap());
}

#[test]
fn manifests_and_indexes_that_buildkit_wrote_are_written_back_byte_for_byte() {
    for (fixture, hex) in [
        ("two.oci.tar", "caf700bbad84e0d5fd02820a863dff6aa2c2873de5eaf3b630fae9b3685ac7c2"),
        ("two.docker-legacy.tar", "97ec3df9fddfc77abad0d89e6dc173e69886b7c8ccf8fbfb526e005dca660a97"),
        ("scratch.oci.tar", "82685b9b330dca1201dfd317459e55b1694c71250de0aaf7d9eaeda4b509ad30"),
        ("multi.oci.tar", "5b9a029d564dcfef33751729757a38c4f5f8705c4cbf7f16140bf9165c5bf2c1"),
        // An attestation: artifact type, inline data and subject.
        ("attest.oci.tar", "7442b98bf8d15748903385f9a9ae021726dece59b91c9d609ff9d7ced782ea05"),
    ] {
        let golden = blob(fixture, hex);
        let manifest = Manifest::parse(&golden, JsonLimits::MANIFEST).unwrap();
        assert_eq!(manifest.to_bytes(EmptyLists::Null).unwrap(), golden, "{hex}");
    }
    let golden = blob("multi.oci.tar", "81d3b0888e10424b4e92b569c2d0e4939b736bd7be3496d591e47d282f1348f6");
    let index = Index::parse(&golden, JsonLimits::MANIFEST).unwrap();
    assert_eq!(index.to_bytes(EmptyLists::Null).unwrap(), golden);
}

#[test]
fn a_document_that_could_be_read_two_ways_is_read_in_none() {
    let digest = Digest::of("x");
    let entry = format!(r#"{{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"{digest}","size":1}}"#);
    let refused = |text: &str| {
        let manifest = Manifest::parse(text.as_bytes(), JsonLimits::MANIFEST).unwrap_err();
        let index = Index::parse(text.as_bytes(), JsonLimits::MANIFEST).unwrap_err();
        (manifest, index)
    };
    for keys in [
        format!(r#""config":{entry},"layers":[],"manifests":[{entry}]"#),
        format!(r#""layers":[{entry}],"manifests":[]"#),
        format!(r#""config":{entry},"manifests":[]"#),
    ] {
        let both = refused(&format!(r#"{{"schemaVersion":2,{keys}}}"#));
        assert!(matches!(both, (DocumentProblem::Ambiguous, DocumentProblem::Ambiguous)), "{keys}");
    }
    let twice = format!(r#"{{"schemaVersion":2,"config":{entry},"layers":null,"layers":[{entry}]}}"#);
    assert!(matches!(refused(&twice).0, DocumentProblem::Json(JsonError::DuplicateKey { .. })));
    let inside = format!(r#"{{"schemaVersion":2,"layers":[],"config":{{"digest":"{digest}","size":1,"size":2}}}}"#);
    assert!(matches!(refused(&inside).0, DocumentProblem::Json(JsonError::Shape(_))));
    assert!(matches!(refused(r#"{"schemaVersion":2}"#).0, DocumentProblem::Neither));
    assert!(matches!(refused(r#"{"schemaVersion":1,"fsLayers":[]}"#).0, DocumentProblem::SchemaVersion));
    assert!(matches!(refused(&format!(r#"{{"config":{entry},"layers":[]}}"#)).0, DocumentProblem::SchemaVersion));
}
