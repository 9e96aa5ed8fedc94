//! Names in a layout: tags are replaced one by one, by any number of writers.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]
#![cfg(unix)]

use std::path::Path;
use std::sync::Arc;

use cache_blobs::layout::{LayoutName, LayoutOptions, OciLayout};
use cache_core::ports::Resolver;
use cache_core::{Descriptor, Digest, ErrorKind, MediaType, ThreadPool, annotation};
use pollster::block_on;

fn layout(path: &Path) -> OciLayout {
    block_on(OciLayout::create(path, Arc::new(ThreadPool::new()), LayoutOptions::default())).unwrap()
}

fn manifest(content: &str) -> Descriptor {
    Descriptor::of(MediaType::OCI_MANIFEST, content.as_bytes())
}

fn tagged(content: &str, tag: &str) -> Descriptor {
    LayoutName::Tag(tag.to_owned()).give_to(manifest(content))
}

#[test]
fn the_index_has_the_bytes_that_buildkit_writes() {
    let dir = tempfile::tempdir().unwrap();
    block_on(layout(dir.path()).add_to_index(vec![tagged("one", "latest")])).unwrap();
    let digest = Digest::of("one");
    let expected = format!(
        r#"{{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[{{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"{digest}","size":3,"annotations":{{"org.opencontainers.image.ref.name":"latest"}}}}]}}"#
    );
    assert_eq!(std::fs::read_to_string(dir.path().join("index.json")).unwrap(), expected);
    assert!(!dir.path().join("index.json.lock").exists());
    assert!(!dir.path().join("ingest").exists());
}

#[test]
fn a_tag_is_replaced_and_other_entries_stay() {
    let dir = tempfile::tempdir().unwrap();
    let layout = layout(dir.path());
    let image = LayoutName::Image { name: "registry.example/a:latest".to_owned(), tag: "latest".to_owned() };
    block_on(layout.add_to_index(vec![tagged("old", "latest"), tagged("other", "v1"), manifest("unnamed")])).unwrap();
    block_on(layout.add_to_index(vec![tagged("new", "latest"), manifest("unnamed")])).unwrap();
    let entries = block_on(layout.index()).unwrap().manifests;
    assert_eq!(entries, [tagged("other", "v1"), tagged("new", "latest"), manifest("unnamed")]);
    // A full name replaces its own entry only.
    block_on(layout.add_to_index(vec![image.give_to(manifest("image"))])).unwrap();
    block_on(layout.add_to_index(vec![image.give_to(manifest("image 2"))])).unwrap();
    let entries = block_on(layout.index()).unwrap().manifests;
    assert_eq!(entries.len(), 4);
    assert_eq!(entries[3].digest, Digest::of("image 2"));
}

#[test]
fn a_full_image_name_wins_over_a_tag_and_a_digest_needs_no_name() {
    let dir = tempfile::tempdir().unwrap();
    let layout = layout(dir.path());
    let image = LayoutName::Image { name: "v1".to_owned(), tag: "latest".to_owned() };
    block_on(layout.add_to_index(vec![tagged("tag", "v1"), image.give_to(manifest("image"))])).unwrap();
    let find = |name: &str| block_on(layout.resolve(name)).unwrap();
    assert_eq!(find("v1").unwrap().digest, Digest::of("image"));
    assert_eq!(find("latest").unwrap().digest, Digest::of("image"));
    assert_eq!(find(&Digest::of("tag").to_string()).unwrap().annotations[annotation::REF_NAME], "v1");
    assert_eq!(find("v2"), None);
    assert_eq!(find(&Digest::of("absent").to_string()), None);
}

#[test]
fn a_digest_that_has_no_entry_is_found_by_its_blob() {
    let dir = tempfile::tempdir().unwrap();
    let layout = layout(dir.path());
    let digest = Digest::of("plain");
    std::fs::create_dir_all(dir.path().join("blobs/sha256")).unwrap();
    std::fs::write(dir.path().join("blobs/sha256").join(digest.hex()), "plain").unwrap();
    let found = block_on(layout.resolve(&digest.to_string())).unwrap().unwrap();
    assert_eq!((found.digest, found.size, found.media_type), (digest, 5, MediaType::default()));
}

#[test]
fn writers_at_the_same_time_lose_no_entry() {
    let dir = tempfile::tempdir().unwrap();
    std::thread::scope(|scope| {
        for writer in 0..8 {
            let path = dir.path();
            scope.spawn(move || {
                // A directory handle of its own, as another process would have.
                let layout = layout(path);
                for entry in 0..8 {
                    let tag = format!("{writer}-{entry}");
                    block_on(layout.add_to_index(vec![tagged(&tag, &tag)])).unwrap();
                }
            });
        }
    });
    let index = block_on(layout(dir.path()).index()).unwrap();
    assert_eq!(index.manifests.len(), 64);
    assert!(!dir.path().join("index.json.lock").exists());
}

#[test]
fn fields_that_other_writers_set_stay() {
    let dir = tempfile::tempdir().unwrap();
    let text = r#"{"schemaVersion":2,"manifests":null,"annotations":{"a":"b"}}"#;
    std::fs::write(dir.path().join("index.json"), text).unwrap();
    let layout = layout(dir.path());
    block_on(layout.add_to_index(vec![tagged("one", "latest")])).unwrap();
    let index = block_on(layout.index()).unwrap();
    assert_eq!(index.annotations["a"], "b");
    assert!(index.media_type.is_empty());
}

#[test]
fn an_index_that_would_pass_its_limit_is_not_written() {
    let dir = tempfile::tempdir().unwrap();
    let pool = Arc::new(ThreadPool::new());
    let options = LayoutOptions::default().with_max_index_bytes(400);
    let layout = block_on(OciLayout::create(dir.path(), pool, options)).unwrap();
    block_on(layout.add_to_index(vec![tagged("one", "one")])).unwrap();
    let before = std::fs::read(dir.path().join("index.json")).unwrap();
    let error = block_on(layout.add_to_index(vec![tagged("two", "two")])).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::LimitExceeded);
    assert_eq!(std::fs::read(dir.path().join("index.json")).unwrap(), before);
}

#[test]
fn what_is_no_layout_is_none() {
    let dir = tempfile::tempdir().unwrap();
    let open = |path: &Path| block_on(OciLayout::open(path, Arc::new(ThreadPool::new()), LayoutOptions::default()));
    assert!(open(&dir.path().join("absent")).unwrap().is_none());
    assert!(open(dir.path()).unwrap().is_none());
    layout(dir.path());
    assert!(open(dir.path()).unwrap().is_some());
}
