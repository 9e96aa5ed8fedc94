//! What `docker save` wrote, now and long ago, is read without following a link out of the archive.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

mod support;

use std::sync::Arc;

use bytes::Bytes;
use cache_blobs::tar::Header;
use cache_core::ports::Pool;
use cache_core::{Digest, ErrorKind, MediaType, ThreadPool};
use exporter_image::source::{ImageSource, LoadOptions, SourceImage};
use exporter_image::{DocumentProblem, Error, Result};
use pollster::block_on;
use support::{archive_of, fixture};

const LAYER: &[u8] = b"a tar, for all that anybody looks at it here";

fn file(path: &str, bytes: &'static [u8]) -> (Header, Bytes) {
    (Header::file(path, bytes.len() as u64), Bytes::from_static(bytes))
}

fn text(path: &str, text: &str) -> (Header, Bytes) {
    (Header::file(path, text.len() as u64), Bytes::copy_from_slice(text.as_bytes()))
}

fn link(header: Header) -> (Header, Bytes) {
    (header, Bytes::new())
}

fn config(diff_ids: &[Digest]) -> String {
    let rootfs = serde_json::json!({"type": "layers", "diff_ids": diff_ids});
    serde_json::json!({"os": "linux", "architecture": "amd64", "rootfs": rootfs}).to_string()
}

/// An archive of one image of the layers at `paths`, all of them [`LAYER`], with `more` entries.
fn saved(paths: &[&str], more: Vec<(Header, Bytes)>) -> Vec<(Header, Bytes)> {
    let config = config(&vec![Digest::of(LAYER); paths.len()]);
    let name = format!("{}.json", Digest::of(&config).hex());
    let manifest = serde_json::json!([{"Config": name, "RepoTags": ["x:1"], "Layers": paths}]);
    let mut entries = vec![text(&name, &config), text("manifest.json", &manifest.to_string())];
    entries.extend(more);
    entries
}

fn open(entries: &[(Header, Bytes)], name: &str) -> Result<SourceImage> {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("image.tar");
    let entries: Vec<_> = entries.iter().map(|(header, bytes)| (header.clone(), &bytes[..])).collect();
    std::fs::write(&path, archive_of(&entries)).unwrap();
    let pool: Arc<dyn Pool> = Arc::new(ThreadPool::new());
    let source: ImageSource = format!("docker-archive:{}{name}", path.display()).parse().unwrap();
    block_on(source.open(&pool, &LoadOptions::default()))
}

fn layer_bytes(image: &SourceImage, index: usize) -> Vec<u8> {
    use futures::TryStreamExt;
    let descriptor = &image.layers[index].descriptor;
    block_on(async {
        let reader = image.provider.open(descriptor).await.unwrap().unwrap();
        let chunks: Vec<Bytes> = reader.read(0..descriptor.size).await.unwrap().try_collect().await.unwrap();
        chunks.concat()
    })
}

#[test]
fn layers_under_old_names_are_read_and_a_manifest_is_made() {
    let image = open(&saved(&["1234/layer.tar"], vec![file("1234/layer.tar", LAYER)]), "").unwrap();
    assert_eq!(image.manifest.descriptor.media_type, MediaType::DOCKER_MANIFEST);
    assert_eq!(image.layers[0].descriptor.media_type, MediaType::DOCKER_LAYER);
    assert_eq!(image.layers[0].descriptor.digest, Digest::of(LAYER));
    assert_eq!(layer_bytes(&image, 0), LAYER);
    let again = open(&saved(&["1234/layer.tar"], vec![file("1234/layer.tar", LAYER)]), ":x:1").unwrap();
    assert_eq!(again.manifest, image.manifest, "the manifest that is made is always the same");
}

#[test]
fn links_of_layers_are_followed_in_the_archive() {
    for (path, entry) in [
        ("b/layer.tar", Header::symlink("b/layer.tar", "../a/layer.tar")),
        ("b/layer.tar", Header::symlink("./b/layer.tar", ".././a/./layer.tar")),
        ("b/layer.tar", Header::hard_link("b/layer.tar", "a/layer.tar")),
        ("layer.tar", Header::symlink("layer.tar", "a/layer.tar")),
    ] {
        let entries = saved(&["a/layer.tar", path], vec![file("a/layer.tar", LAYER), link(entry)]);
        let image = open(&entries, "").unwrap();
        assert_eq!((layer_bytes(&image, 0), layer_bytes(&image, 1)), (LAYER.to_vec(), LAYER.to_vec()));
    }
}

#[test]
fn links_that_lead_out_or_in_circles_are_refused() {
    for entries in [
        vec![link(Header::symlink("b/layer.tar", "/etc/passwd"))],
        vec![link(Header::symlink("b/layer.tar", "../../../../../../etc/passwd"))],
        vec![link(Header::symlink("b/layer.tar", "../../a/layer.tar"))],
        vec![link(Header::hard_link("b/layer.tar", "../etc/passwd"))],
        vec![link(Header::symlink("b/layer.tar", "layer.tar"))],
        vec![link(Header::symlink("b/layer.tar", "../c")), link(Header::symlink("c", "b/layer.tar"))],
        vec![link(Header::symlink("b/layer.tar", "nowhere"))],
        vec![link(Header::directory("b/layer.tar"))],
        vec![],
    ] {
        let error = open(&saved(&["b/layer.tar"], entries), "").unwrap_err();
        assert!(matches!(error, Error::Document { problem: DocumentProblem::Path { .. }, .. }), "{error:?}");
        assert_eq!(error.kind(), ErrorKind::Corrupt);
    }
    let error = open(&saved(&["../../../etc/passwd"], Vec::new()), "").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
}

#[test]
fn a_long_chain_of_links_is_given_up() {
    let chain = |length: usize| {
        let mut entries = vec![file("l0", LAYER)];
        entries.extend((1..=length).map(|i| link(Header::symlink(format!("l{i}"), format!("l{}", i - 1)))));
        open(&saved(&[&format!("l{length}")], entries), "")
    };
    assert!(chain(8).is_ok());
    assert_eq!(chain(9).unwrap_err().kind(), ErrorKind::Corrupt);
}

#[test]
fn compressed_layers_under_old_names_get_their_own_digest() {
    const GZIP: &[u8] = b"\x1f\x8b\x08\x00compressed";
    const ZSTD: &[u8] = b"\x28\xb5\x2f\xfdcompressed";
    for (bytes, media_type) in [(GZIP, MediaType::DOCKER_LAYER_GZIP), (ZSTD, MediaType::DOCKER_LAYER_ZSTD)] {
        let image = open(&saved(&["l"], vec![file("l", bytes)]), "").unwrap();
        let layer = &image.layers[0];
        assert_eq!((&layer.descriptor.media_type, layer.descriptor.digest), (&media_type, Digest::of(bytes)));
        assert_eq!(layer.diff_id, Digest::of(LAYER));
    }
}

#[test]
fn digests_in_names_must_be_right() {
    let other = format!("blobs/sha256/{}", "0".repeat(64));
    let error = open(&saved(&[&other], vec![file(&other, LAYER)]), "").unwrap_err();
    assert!(matches!(error, Error::Document { problem: DocumentProblem::Digest { .. }, .. }));

    let name = format!("{}.json", "0".repeat(64));
    let manifest = serde_json::json!([{"Config": name, "Layers": null}]).to_string();
    let error = open(&[text(&name, &config(&[])), text("manifest.json", &manifest)], "").unwrap_err();
    assert!(matches!(error, Error::Document { problem: DocumentProblem::Digest { .. }, .. }));
}

#[test]
fn the_image_is_chosen_by_name() {
    let (one, two) = (config(&[]), config(&[]).replace("linux", "freebsd"));
    let manifest = serde_json::json!([
        {"Config": "one", "RepoTags": ["a:1", "library/b:latest"], "Layers": []},
        {"Config": "two", "RepoTags": ["c.io/x:2"], "Layers": null},
    ]);
    let entries = [text("one", &one), text("two", &two), text("manifest.json", &manifest.to_string())];
    for (name, os) in [("a:1", "linux"), ("docker.io/library/a:1", "linux"), ("b", "linux"), ("c.io/x:2", "freebsd")] {
        assert_eq!(open(&entries, &format!(":{name}")).unwrap().image_config.os, os, "{name}");
    }
    assert!(matches!(open(&entries, "").unwrap_err(), Error::Choose { candidates, .. } if candidates.len() == 3));
    assert!(matches!(open(&entries, ":c.io/x:3").unwrap_err(), Error::NoSuchImage { .. }));
}

#[test]
fn as_many_layers_as_diff_ids_are_needed() {
    let manifest = serde_json::json!([{"Config": "c", "Layers": ["l"]}]).to_string();
    let error = open(&[text("c", &config(&[])), file("l", LAYER), text("manifest.json", &manifest)], "").unwrap_err();
    assert!(matches!(error, Error::Document { problem: DocumentProblem::LayerCount { .. }, .. }));
}

#[test]
fn a_missing_or_malformed_list_of_images_is_an_error() {
    assert_eq!(open(&[], "").unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(open(&[text("manifest.json", "[]")], "").unwrap_err().kind(), ErrorKind::NotFound);
    for list in ["{}", "[{}]", "[{\"Config\":1}]", "[", "null", r#"[{"Config":"a","Config":"b"}]"#] {
        assert_eq!(open(&[text("manifest.json", list)], "").unwrap_err().kind(), ErrorKind::Corrupt, "{list}");
    }
    let missing = r#"[{"Config":"nowhere"}]"#;
    assert_eq!(open(&[text("manifest.json", missing)], "").unwrap_err().kind(), ErrorKind::Corrupt);
}

#[test]
fn what_buildkit_writes_for_docker_keeps_its_own_manifest() {
    for (name, media_type, layers) in [
        ("two.docker.tar", MediaType::OCI_MANIFEST, 2),
        ("two.docker-legacy.tar", MediaType::DOCKER_MANIFEST, 2),
        ("docker-gzip.tar", MediaType::OCI_MANIFEST, 7),
    ] {
        let pool: Arc<dyn Pool> = Arc::new(ThreadPool::new());
        let open = |kind: &str| {
            let source: ImageSource = format!("{kind}:{}", fixture(name).display()).parse().unwrap();
            block_on(source.open(&pool, &LoadOptions::default())).unwrap()
        };
        let (docker, oci) = (open("docker-archive"), open("oci-archive"));
        assert_eq!(docker.manifest, oci.manifest, "{name}");
        assert_eq!(docker.layers, oci.layers);
        assert_eq!((&docker.manifest.descriptor.media_type, docker.layers.len()), (&media_type, layers));
    }
}
