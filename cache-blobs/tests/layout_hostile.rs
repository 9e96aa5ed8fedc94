//! A layout that somebody else made can lie, but not lead out of its directory, block or fill the memory.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]
#![cfg(unix)]

use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::Arc;

use cache_blobs::layout::{LayoutOptions, OciLayout};
use cache_core::ports::{Expected, ExportTarget, Fetcher, Provider, Resolver};
use cache_core::{Descriptor, ErrorKind, MediaType, ThreadPool};
use pollster::block_on;

fn open(path: &Path) -> cache_core::Result<Option<OciLayout>> {
    block_on(OciLayout::open(path, Arc::new(ThreadPool::new()), LayoutOptions::default()))
}

/// A layout with one blob, and that blob's descriptor.
fn sample() -> (tempfile::TempDir, Descriptor) {
    let dir = tempfile::tempdir().unwrap();
    let descriptor = Descriptor::of(MediaType::OCI_LAYER, b"secret");
    std::fs::create_dir_all(dir.path().join("blobs/sha256")).unwrap();
    std::fs::write(dir.path().join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();
    std::fs::write(dir.path().join("blobs/sha256").join(descriptor.digest.hex()), "secret").unwrap();
    (dir, descriptor)
}

fn fifo(path: &Path) {
    let mode = rustix::fs::Mode::from_raw_mode(0o644);
    rustix::fs::mknodat(rustix::fs::CWD, path, rustix::fs::FileType::Fifo, mode, 0).unwrap();
}

#[test]
fn symbolic_links_are_not_followed() {
    for link in ["blobs", "blobs/sha256", "BLOB"] {
        let (dir, descriptor) = sample();
        let outside = tempfile::tempdir().unwrap();
        let link = link.replace("BLOB", &format!("blobs/sha256/{}", descriptor.digest.hex()));
        std::fs::rename(dir.path().join(&link), outside.path().join("moved")).unwrap();
        symlink(outside.path().join("moved"), dir.path().join(&link)).unwrap();
        let layout = open(dir.path()).unwrap().unwrap();
        let kinds = [
            block_on(layout.fetch(&descriptor)).unwrap_err().kind(),
            block_on(Provider::open(&layout, &descriptor)).unwrap_err().kind(),
            block_on(layout.begin("key", Expected::of(&descriptor))).unwrap_err().kind(),
        ];
        assert_eq!(kinds, [ErrorKind::Corrupt; 3], "{link}");
    }
}

#[test]
fn a_linked_index_or_version_file_is_refused() {
    let (dir, _) = sample();
    let outside = tempfile::tempdir().unwrap();
    std::fs::write(outside.path().join("index.json"), r#"{"schemaVersion":2}"#).unwrap();
    symlink(outside.path().join("index.json"), dir.path().join("index.json")).unwrap();
    assert_eq!(open(dir.path()).unwrap_err().kind(), ErrorKind::Corrupt);
    std::fs::remove_file(dir.path().join("index.json")).unwrap();
    std::fs::remove_file(dir.path().join("oci-layout")).unwrap();
    symlink(outside.path().join("index.json"), dir.path().join("oci-layout")).unwrap();
    assert_eq!(open(dir.path()).unwrap_err().kind(), ErrorKind::Corrupt);
}

#[test]
fn a_linked_ingest_directory_is_not_written_through() {
    let (dir, _) = sample();
    let outside = tempfile::tempdir().unwrap();
    symlink(outside.path(), dir.path().join("ingest")).unwrap();
    let layout = open(dir.path()).unwrap().unwrap();
    let error = block_on(layout.begin("key", Expected::UNKNOWN)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    let error = block_on(layout.add_to_index(vec![])).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    assert_eq!(std::fs::read_dir(outside.path()).unwrap().count(), 0);
}

#[test]
fn pipes_and_directories_in_the_place_of_files_are_refused_at_once() {
    let (dir, descriptor) = sample();
    let blob = dir.path().join("blobs/sha256").join(descriptor.digest.hex());
    std::fs::remove_file(&blob).unwrap();
    fifo(&blob);
    let layout = open(dir.path()).unwrap().unwrap();
    assert_eq!(block_on(layout.fetch(&descriptor)).unwrap_err().kind(), ErrorKind::Corrupt);
    std::fs::remove_file(&blob).unwrap();
    std::fs::create_dir(&blob).unwrap();
    assert_eq!(block_on(layout.fetch(&descriptor)).unwrap_err().kind(), ErrorKind::Corrupt);
    fifo(&dir.path().join("index.json"));
    assert_eq!(block_on(layout.index()).unwrap_err().kind(), ErrorKind::Corrupt);
}

#[test]
fn a_size_that_is_not_the_files_is_refused() {
    let (dir, descriptor) = sample();
    let layout = open(dir.path()).unwrap().unwrap();
    for size in [0, 5, 7, u64::MAX] {
        let lying = Descriptor { size, ..descriptor.clone() };
        assert_eq!(block_on(layout.fetch(&lying)).unwrap_err().kind(), ErrorKind::Corrupt, "{size}");
    }
}

#[test]
fn an_index_over_its_limit_is_not_read() {
    let (dir, _) = sample();
    // A sparse file: nothing may be read or allocated to find out.
    let file = std::fs::File::create(dir.path().join("index.json")).unwrap();
    file.set_len(1 << 40).unwrap();
    assert_eq!(open(dir.path()).unwrap_err().kind(), ErrorKind::LimitExceeded);
}

#[test]
fn an_index_that_is_none_is_corrupt() {
    let deep = "[".repeat(100_000);
    for text in [
        "",
        "null",
        "[]",
        "{}",
        r#"{"schemaVersion":1}"#,
        r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json"}"#,
        r#"{"schemaVersion":2,"manifests":[{"digest":"sha256:../../../etc/passwd","size":1}]}"#,
        r#"{"schemaVersion":2,"manifests":[{"digest":"sha256:12","size":1}]}"#,
        r#"{"schemaVersion":2,"manifests":[{"size":-1}]}"#,
        r#"{"schemaVersion":2} trailing"#,
        &deep,
    ] {
        let (dir, _) = sample();
        std::fs::write(dir.path().join("index.json"), text).unwrap();
        let layout = open(dir.path()).unwrap().unwrap();
        let text = &text[..text.len().min(60)];
        assert_eq!(block_on(layout.index()).unwrap_err().kind(), ErrorKind::Corrupt, "{text}");
        assert_eq!(block_on(layout.resolve("latest")).unwrap_err().kind(), ErrorKind::Corrupt, "{text}");
        assert_eq!(block_on(layout.add_to_index(vec![])).unwrap_err().kind(), ErrorKind::Corrupt, "{text}");
    }
}

#[test]
fn a_layout_of_another_version_is_unsupported_and_one_without_is_corrupt() {
    for (text, kind) in [
        (r#"{"imageLayoutVersion":"2.0.0"}"#, ErrorKind::Unsupported),
        ("{}", ErrorKind::Corrupt),
        ("", ErrorKind::Corrupt),
    ] {
        let (dir, _) = sample();
        std::fs::write(dir.path().join("oci-layout"), text).unwrap();
        assert_eq!(open(dir.path()).unwrap_err().kind(), kind, "{text}");
    }
}

#[test]
fn the_path_to_the_layout_may_hold_links() {
    let (dir, descriptor) = sample();
    let elsewhere = tempfile::tempdir().unwrap();
    let link = elsewhere.path().join("link");
    symlink(dir.path(), &link).unwrap();
    let layout = open(&link).unwrap().unwrap();
    assert!(block_on(layout.fetch(&descriptor)).unwrap().is_some());
}
