//! Blobs go into a layout verified and come out as they went in.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]
#![cfg(unix)]

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use cache_blobs::layout::{LayoutOptions, OciLayout};
use cache_core::ports::{Begun, BlobReader, Committed, Expected, ExportTarget, Fetcher, Ingest, Provider};
use cache_core::{Algorithm, Descriptor, Digest, DigestHasher, ErrorKind, Labels, MediaType, ThreadPool};
use futures::TryStreamExt;
use pollster::block_on;

fn layout(path: &Path) -> OciLayout {
    block_on(OciLayout::create(path, Arc::new(ThreadPool::new()), LayoutOptions::default())).unwrap()
}

fn descriptor(content: &[u8]) -> Descriptor {
    Descriptor::of(MediaType::OCI_LAYER, content)
}

fn start(layout: &OciLayout, expected: Expected) -> Box<dyn Ingest> {
    match block_on(layout.begin("key", expected)).unwrap() {
        Begun::Started(ingest) => ingest,
        Begun::AlreadyThere(info) => panic!("already there: {info:?}"),
    }
}

fn write(layout: &OciLayout, content: &[u8]) -> Committed {
    let descriptor = descriptor(content);
    let mut ingest = start(layout, Expected::of(&descriptor));
    block_on(ingest.write(Bytes::copy_from_slice(content))).unwrap();
    block_on(ingest.commit(Some(descriptor.digest), Labels::new())).unwrap()
}

fn read(reader: &dyn BlobReader, range: std::ops::Range<u64>) -> Vec<u8> {
    let chunks: Vec<Bytes> = block_on(async { reader.read(range).await.unwrap().try_collect().await.unwrap() });
    chunks.concat()
}

/// Every file below `path` but the version file, relative to it.
fn files(path: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut queue = vec![path.to_owned()];
    while let Some(directory) = queue.pop() {
        for entry in std::fs::read_dir(directory).unwrap() {
            let entry = entry.unwrap();
            if entry.file_type().unwrap().is_dir() {
                queue.push(entry.path());
            } else {
                found.push(entry.path().strip_prefix(path).unwrap().display().to_string());
            }
        }
    }
    found.retain(|name| name != "oci-layout");
    found.sort();
    found
}

#[test]
fn a_blob_lies_under_its_digest_and_reads_back() {
    let dir = tempfile::tempdir().unwrap();
    let layout = layout(dir.path());
    let content: Vec<u8> = (0..700_000_u32).map(|i| (i % 251) as u8).collect();
    let committed = write(&layout, &content);
    let descriptor = descriptor(&content);
    assert!(matches!(&committed, Committed::New(info) if info.digest == descriptor.digest && info.size == 700_000));
    assert_eq!(files(dir.path()), [format!("blobs/sha256/{}", descriptor.digest.hex())]);
    assert!(!dir.path().join("ingest").exists());

    let reader = block_on(layout.fetch(&descriptor)).unwrap().unwrap();
    assert_eq!(reader.size(), 700_000);
    assert_eq!(read(&*reader, 0..700_000), content);
    assert_eq!(read(&*reader, 262_100..262_200), content[262_100..262_200]);
    assert_eq!(read(&*reader, 699_999..u64::MAX), content[699_999..]);
    assert_eq!(read(&*reader, 700_000..700_001), b"");
    assert_eq!(read(&*reader, u64::MAX - 1..u64::MAX), b"");
    assert_eq!(std::fs::read(reader.local_file().unwrap()).unwrap(), content);
}

#[test]
fn the_version_file_is_what_the_specification_says() {
    let dir = tempfile::tempdir().unwrap();
    layout(dir.path());
    assert_eq!(std::fs::read(dir.path().join("oci-layout")).unwrap(), br#"{"imageLayoutVersion":"1.0.0"}"#);
}

#[test]
fn an_empty_blob_and_a_sha512_blob_are_blobs() {
    let dir = tempfile::tempdir().unwrap();
    let layout = layout(dir.path());
    assert_eq!(write(&layout, b"").info().size, 0);
    let mut hasher = DigestHasher::new(Algorithm::Sha512);
    hasher.update(b"long");
    let digest = hasher.finish();
    let mut ingest = start(&layout, Expected { digest: Some(digest), size: None });
    block_on(ingest.write(Bytes::from_static(b"long"))).unwrap();
    assert_eq!(block_on(ingest.commit(None, Labels::new())).unwrap().info().digest, digest);
    assert!(dir.path().join("blobs/sha512").join(digest.hex()).exists());
}

#[test]
fn a_missing_blob_is_none() {
    let dir = tempfile::tempdir().unwrap();
    let layout = layout(dir.path());
    assert!(block_on(layout.fetch(&descriptor(b"absent"))).unwrap().is_none());
    assert!(block_on(Provider::open(&layout, &descriptor(b"absent"))).unwrap().is_none());
}

#[test]
fn a_blob_that_is_there_is_not_written_again() {
    let dir = tempfile::tempdir().unwrap();
    let layout = layout(dir.path());
    write(&layout, b"once");
    let begun = block_on(layout.begin("key", Expected::of(&descriptor(b"once")))).unwrap();
    assert!(matches!(begun, Begun::AlreadyThere(info) if info.size == 4));
}

#[test]
fn two_writers_of_one_blob_both_succeed() {
    let dir = tempfile::tempdir().unwrap();
    let layout = layout(dir.path());
    let expected = Expected::of(&descriptor(b"twice"));
    let (mut first, mut second) = (start(&layout, expected), start(&layout, expected));
    block_on(first.write(Bytes::from_static(b"twice"))).unwrap();
    block_on(second.write(Bytes::from_static(b"twice"))).unwrap();
    assert!(matches!(block_on(first.commit(None, Labels::new())).unwrap(), Committed::New(_)));
    assert!(matches!(block_on(second.commit(None, Labels::new())).unwrap(), Committed::AlreadyThere(_)));
    assert_eq!(files(dir.path()).len(), 1);
}

#[test]
fn commit_rejects_a_wrong_digest_and_a_wrong_size_and_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let layout = layout(dir.path());
    let wanted = descriptor(b"wanted");
    for (expected, at_commit) in [
        (Expected::of(&wanted), None),
        (Expected::UNKNOWN, Some(wanted.digest)),
        (Expected { digest: None, size: Some(9) }, None),
        (Expected::of(&descriptor(b"hostil")), Some(wanted.digest)),
    ] {
        let mut ingest = start(&layout, expected);
        block_on(ingest.write(Bytes::from_static(b"hostil"))).unwrap();
        let error = block_on(ingest.commit(at_commit, Labels::new())).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{expected:?}");
        assert_eq!(files(dir.path()), [""; 0], "{expected:?}");
    }
}

#[test]
fn a_truncated_blob_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let layout = layout(dir.path());
    let mut ingest = start(&layout, Expected::of(&descriptor(b"whole")));
    block_on(ingest.write(Bytes::from_static(b"who"))).unwrap();
    assert_eq!(block_on(ingest.commit(None, Labels::new())).unwrap_err().kind(), ErrorKind::Corrupt);
}

#[test]
fn writing_past_the_expected_size_ends_the_writer() {
    let dir = tempfile::tempdir().unwrap();
    let layout = layout(dir.path());
    let mut ingest = start(&layout, Expected::of(&descriptor(b"five!")));
    assert_eq!(block_on(ingest.write(Bytes::from_static(b"sixsix"))).unwrap_err().kind(), ErrorKind::LimitExceeded);
    assert_eq!(block_on(ingest.write(Bytes::from_static(b"x"))).unwrap_err().kind(), ErrorKind::Invalid);
    assert_eq!(block_on(ingest.commit(None, Labels::new())).unwrap_err().kind(), ErrorKind::Invalid);
    assert_eq!(files(dir.path()), [""; 0]);
}

#[test]
fn aborted_kept_and_dropped_writers_leave_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let layout = layout(dir.path());
    for end in 0..3 {
        let mut ingest = start(&layout, Expected::UNKNOWN);
        block_on(ingest.write(Bytes::from_static(b"some"))).unwrap();
        assert_eq!(ingest.offset(), 4);
        assert_eq!(files(dir.path()).len(), 1);
        match end {
            0 => block_on(ingest.abort()).unwrap(),
            1 => block_on(ingest.keep()).unwrap(),
            _ => drop(ingest),
        }
        assert_eq!(files(dir.path()), [""; 0]);
    }
}

#[test]
fn a_file_of_the_wrong_length_is_replaced() {
    let dir = tempfile::tempdir().unwrap();
    let layout = layout(dir.path());
    write(&layout, b"intact");
    let path = dir.path().join("blobs/sha256").join(Digest::of(b"intact").hex());
    std::fs::write(&path, b"int").unwrap();
    assert!(matches!(write(&layout, b"intact"), Committed::New(_)));
    assert_eq!(std::fs::read(&path).unwrap(), b"intact");
}

#[test]
fn opening_for_writing_sweeps_what_killed_writers_left_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let first = layout(dir.path());
    let mut living = start(&first, Expected::of(&descriptor(b"alive")));
    std::fs::write(dir.path().join("ingest/layercache-1-99"), b"dead").unwrap();
    std::fs::write(dir.path().join("ingest/other"), b"of another tool").unwrap();
    layout(dir.path());
    let left = files(dir.path());
    assert_eq!(left.len(), 2, "{left:?}");
    assert!(left.contains(&"ingest/other".to_owned()), "{left:?}");
    block_on(living.write(Bytes::from_static(b"alive"))).unwrap();
    block_on(living.commit(None, Labels::new())).unwrap();
    assert!(files(dir.path()).iter().all(|name| !name.contains("layercache-")));
}

#[test]
fn a_blob_stays_readable_when_its_file_is_removed() {
    let dir = tempfile::tempdir().unwrap();
    let layout = layout(dir.path());
    write(&layout, b"gone");
    let reader = block_on(layout.fetch(&descriptor(b"gone"))).unwrap().unwrap();
    std::fs::remove_file(reader.local_file().unwrap()).unwrap();
    assert_eq!(read(&*reader, 0..4), b"gone");
}

#[test]
fn everything_public_can_be_shared_between_threads() {
    fn shared<T: Send + Sync + std::fmt::Debug>() {}
    shared::<OciLayout>();
    shared::<LayoutOptions>();
    shared::<cache_blobs::layout::LayoutIndex>();
    shared::<cache_blobs::layout::LayoutName>();
}
