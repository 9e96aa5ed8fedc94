//! The local store in one process.
#![cfg(all(target_os = "linux", feature = "local"))]
#![allow(clippy::panic, missing_docs)]

mod local_support;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use cache_core::local::{
    Damage, Depth, FileSystemClass, Garbage, IfMissing, Repair, Store, StoreOptions, file_system_class,
};
use cache_core::ports::{
    BatchOutcome, Committed, Expected, ImageOutcome, IndexEntry, IndexQuery, LeaseKind, LeaseOptions, LockMode,
    MetadataChange, Precondition, Resource, SnapshotKind, Start, Uniqueness, Usage,
};
use cache_core::snapshot::{NewSnapshot, SnapshotRow};
use cache_core::{Algorithm, Descriptor, Digest, DigestHasher, ErrorKind, LabelChange, Labels, MediaType};
use local_support::{
    HandClock, assert_clean_after_collection, assert_kind, assert_sound, bytes, commit, label, lease, open, start,
};
use tempfile::{TempDir, tempdir};

fn directory() -> TempDir {
    tempdir().expect("a directory")
}

fn digest_of(algorithm: Algorithm, content: &[u8]) -> Digest {
    let mut hasher = DigestHasher::new(algorithm);
    hasher.update(content);
    hasher.finish()
}

#[test]
fn a_store_of_a_newer_schema_is_refused_and_not_touched() {
    let directory = directory();
    drop(open(directory.path()));
    let database = directory.path().join("cache.db");
    let connection = rusqlite::Connection::open(&database).expect("it opens");
    connection.execute_batch("PRAGMA user_version = 2; PRAGMA wal_checkpoint(TRUNCATE);").expect("it is changed");
    drop(connection);
    let names = || {
        let mut names = Vec::new();
        for folder in ["", "owners", "blobs", "ingest"] {
            for entry in fs::read_dir(directory.path().join(folder)).expect("it is there") {
                names.push(entry.expect("it is there").path());
            }
        }
        names.retain(|path| !path.to_string_lossy().ends_with("-wal") && !path.to_string_lossy().ends_with("-shm"));
        names.sort();
        names
    };
    let before = (names(), fs::read(&database).expect("it is there"));
    assert_kind(Store::open(directory.path(), StoreOptions::new(HandClock::new())), ErrorKind::Unsupported);
    assert_eq!((names(), fs::read(&database).expect("it is there")), before);
}

#[test]
fn who_wants_no_new_store_is_told_that_there_is_none_and_nothing_is_made() {
    let directory = directory();
    let existing = || StoreOptions::new(HandClock::new()).with_if_missing(IfMissing::Fail);
    let absent = directory.path().join("absent");
    for place in [directory.path(), &absent] {
        assert_kind(Store::open(place, existing()), ErrorKind::NotFound);
    }
    assert_eq!(fs::read_dir(directory.path()).expect("it is there").count(), 0);
    drop(open(&absent));
    assert!(Store::open(&absent, existing()).is_ok());
}

#[test]
fn a_foreign_database_is_refused() {
    let directory = directory();
    let connection = rusqlite::Connection::open(directory.path().join("cache.db")).expect("it opens");
    connection.execute_batch("CREATE TABLE t (c); PRAGMA application_id = 7;").expect("it is made");
    drop(connection);
    assert_kind(Store::open(directory.path(), StoreOptions::new(HandClock::new())), ErrorKind::Unsupported);
}

#[test]
fn a_file_that_is_no_database_is_corrupt() {
    let directory = directory();
    fs::write(directory.path().join("cache.db"), "not a database, but long enough for a header".repeat(100))
        .expect("ok");
    assert_kind(Store::open(directory.path(), StoreOptions::new(HandClock::new())), ErrorKind::Corrupt);
}

#[test]
fn network_file_systems_are_told_from_local_ones() {
    for (f_type, class) in [
        (0x6969, FileSystemClass::Network("nfs")),
        (0xff53_4d42, FileSystemClass::Network("smb")),
        (0xffff_ffff_ff53_4d42, FileSystemClass::Network("smb")),
        (0xfe53_4d42, FileSystemClass::Network("smb")),
        (0x0102_1997, FileSystemClass::Network("9p")),
        (0x00c3_6400, FileSystemClass::Network("ceph")),
        (0x6573_5546, FileSystemClass::Fuse),
        (0xef53, FileSystemClass::Local),
        (0x5846_5342, FileSystemClass::Local),
        (0x9123_683e, FileSystemClass::Local),
        (0x0102_1994, FileSystemClass::Local),
        (0x794c_7630, FileSystemClass::Local),
    ] {
        assert_eq!(file_system_class(f_type), class, "{f_type:x}");
    }
}

#[test]
fn a_commit_of_every_algorithm_lies_under_its_digest_read_only() {
    let directory = directory();
    let store = open(directory.path());
    let lease = lease(&store, LeaseKind::Permanent);
    for algorithm in Algorithm::ALL {
        let digest = digest_of(algorithm, b"content");
        let expected = Expected { digest: Some(digest), size: Some(7) };
        let mut ingest = start(&store, &lease, "key", expected, Start::Fresh);
        ingest.write(b"con").expect("it is written");
        ingest.write(b"tent").expect("it is written");
        assert_eq!(bytes(&store, &digest), None, "invisible before its commit");
        assert!(
            matches!(ingest.commit(None, &label("a", "b")), Ok(Committed::New(info)) if info.labels == label("a", "b"))
        );
        let path = directory.path().join("blobs").join(algorithm.name()).join(digest.hex());
        assert_eq!(fs::metadata(&path).expect("it is there").permissions().mode() & 0o777, 0o444);
        assert_eq!(fs::read(&path).expect("it is there"), b"content");
        assert_eq!(store.ingests().expect("they are listed"), []);
    }
    assert_eq!(store.blobs().expect("they are listed").len(), 3);
    assert_clean_after_collection(&store);
}

#[test]
fn commit_rejects_a_wrong_digest_or_size_and_keeps_what_may_be_mended() {
    let directory = directory();
    let store = open(directory.path());
    let lease = lease(&store, LeaseKind::Permanent);
    let right = Digest::of("content");
    let wrong = Digest::of("other");
    let in_full = |digest, size| Expected { digest, size };
    for (number, (begun, committed)) in [
        (in_full(None, None), Some(wrong)),
        (in_full(Some(wrong), None), None),
        (in_full(Some(wrong), None), Some(right)),
        (in_full(Some(right), None), Some(wrong)),
        (in_full(None, Some(8)), None),
        (in_full(Some(right), None), Some(digest_of(Algorithm::Sha512, b"other"))),
    ]
    .into_iter()
    .enumerate()
    {
        let key = format!("key {number}");
        let mut ingest = start(&store, &lease, &key, begun, Start::Fresh);
        ingest.write(b"content").expect("it is written");
        assert_kind(ingest.commit(committed, &Labels::new()), ErrorKind::Corrupt);
        assert_eq!(store.blobs().expect("they are listed"), []);
        let ingest = start(&store, &lease, &key, begun, Start::Resume);
        assert_eq!(ingest.status().offset, 7);
        ingest.abort().expect("it is dropped");
    }
    // What is as long as expected and still wrong is of no use to anybody.
    for (begun, committed) in [
        (in_full(Some(wrong), Some(7)), None),
        (in_full(Some(right), Some(7)), Some(digest_of(Algorithm::Sha512, b"other"))),
    ] {
        let mut ingest = start(&store, &lease, "full", begun, Start::Fresh);
        ingest.write(b"content").expect("it is written");
        assert_kind(ingest.commit(committed, &Labels::new()), ErrorKind::Corrupt);
        assert_eq!(store.ingests().expect("they are listed"), []);
        assert_sound(&store);
    }
    let mut ingest = start(&store, &lease, "key", Expected::UNKNOWN, Start::Fresh);
    ingest.write(b"content").expect("it is written");
    assert_kind(ingest.commit(Some(wrong), &Labels::new()), ErrorKind::Corrupt);
    let ingest = start(&store, &lease, "key", Expected::UNKNOWN, Start::Resume);
    assert_eq!(ingest.commit(Some(right), &Labels::new()).expect("it is right").info().digest, right);
    assert_clean_after_collection(&store);
}

#[test]
fn a_commit_may_name_the_digest_of_another_algorithm() {
    let directory = directory();
    let store = open(directory.path());
    let lease = lease(&store, LeaseKind::Permanent);
    let mut ingest = start(&store, &lease, "key", Expected::UNKNOWN, Start::Fresh);
    ingest.write(b"content").expect("it is written");
    let digest = digest_of(Algorithm::Sha384, b"content");
    assert_eq!(ingest.commit(Some(digest), &Labels::new()).expect("it is right").info().digest, digest);
    assert_sound(&store);
}

#[test]
fn a_write_past_the_expected_size_ends_the_writer() {
    let directory = directory();
    let store = open(directory.path());
    let lease = lease(&store, LeaseKind::Permanent);
    let expected = Expected { digest: None, size: Some(4) };
    let mut ingest = start(&store, &lease, "key", expected, Start::Fresh);
    ingest.write(b"1234").expect("it fits");
    assert_kind(ingest.write(b"5"), ErrorKind::LimitExceeded);
    assert_kind(ingest.write(b""), ErrorKind::Invalid);
    assert_kind(ingest.commit(None, &Labels::new()), ErrorKind::Invalid);
}

#[test]
fn one_key_has_one_writer() {
    let directory = directory();
    let store = open(directory.path());
    let lease = lease(&store, LeaseKind::Permanent);
    let ingest = start(&store, &lease, "key", Expected::UNKNOWN, Start::Fresh);
    for begin in [Start::Fresh, Start::Resume] {
        assert_kind(store.begin(&lease, "key", Expected::UNKNOWN, begin), ErrorKind::Busy);
    }
    assert_kind(store.abort_ingest("key"), ErrorKind::Busy);
    drop(ingest);
    assert!(store.abort_ingest("key").expect("it is free"));
    assert!(!store.abort_ingest("key").expect("it is gone"));
    assert_kind(store.begin(&lease, "", Expected::UNKNOWN, Start::Fresh), ErrorKind::Invalid);
}

#[test]
fn resuming_continues_only_what_expects_the_same() {
    let directory = directory();
    let store = open(directory.path());
    let lease = lease(&store, LeaseKind::Permanent);
    let expected = Expected { digest: Some(Digest::of("content")), size: Some(7) };
    let mut ingest = start(&store, &lease, "key", expected, Start::Fresh);
    ingest.write(b"con").expect("it is written");
    ingest.keep().expect("it is kept");
    for (other, begin, offset) in [
        (expected, Start::Resume, 3),
        (Expected { size: Some(8), ..expected }, Start::Resume, 0),
        (expected, Start::Resume, 0),
    ] {
        let ingest = start(&store, &lease, "key", other, begin);
        assert_eq!(ingest.status().offset, offset);
    }
    let mut ingest = start(&store, &lease, "key", expected, Start::Fresh);
    ingest.write(b"con").expect("it is written");
    drop(ingest);
    let mut ingest = start(&store, &lease, "key", expected, Start::Resume);
    ingest.write(b"tent").expect("it is written");
    ingest.commit(None, &Labels::new()).expect("it is right");
}

#[test]
fn without_an_expected_digest_only_kept_bytes_are_resumed() {
    let directory = directory();
    let store = open(directory.path());
    let lease = lease(&store, LeaseKind::Permanent);
    let mut ingest = start(&store, &lease, "key", Expected::UNKNOWN, Start::Fresh);
    ingest.write(b"kept").expect("it is written");
    ingest.keep().expect("it is kept");
    let mut ingest = start(&store, &lease, "key", Expected::UNKNOWN, Start::Resume);
    ingest.write(b" and not kept").expect("it is written");
    drop(ingest);
    let ingest = start(&store, &lease, "key", Expected::UNKNOWN, Start::Resume);
    assert_eq!(ingest.status().offset, 4);
    let info = ingest.commit(None, &Labels::new()).expect("it is committed").into_info();
    assert_eq!((info.digest, info.size), (Digest::of("kept"), 4));
    assert_sound(&store);
}

#[test]
fn a_blob_that_is_there_is_leased_and_gets_the_labels_it_lacks() {
    let directory = directory();
    let store = open(directory.path());
    let (first, second) = (lease(&store, LeaseKind::Permanent), lease(&store, LeaseKind::Permanent));
    let digest = commit(&store, &first, "one", b"content", &label("a", "1")).expect("it is committed");
    let mut ingest = start(&store, &second, "two", Expected::UNKNOWN, Start::Fresh);
    ingest.write(b"content").expect("it is written");
    let labels = Labels::from([("a".to_owned(), "2".to_owned()), ("b".to_owned(), "3".to_owned())]);
    let Ok(Committed::AlreadyThere(info)) = ingest.commit(None, &labels) else { panic!("it is there") };
    assert_eq!(info.labels, Labels::from([("a".to_owned(), "1".to_owned()), ("b".to_owned(), "3".to_owned())]));
    store.delete_lease(&first).expect("it is deleted");
    assert_eq!(store.collect().expect("it runs").blobs, 0);
    assert_eq!(store.resources(&second).expect("it lives"), [Resource::Content(digest)]);

    let third = lease(&store, LeaseKind::Flat);
    let expected = Expected { digest: Some(digest), size: None };
    assert!(matches!(
        store.begin(&third, "three", expected, Start::Fresh),
        Ok(cache_core::local::BegunIngest::AlreadyThere(info)) if info.digest == digest
    ));
    store.delete_lease(&second).expect("it is deleted");
    assert_eq!(store.collect().expect("it runs").blobs, 0);
    let contradiction = Expected { digest: Some(digest), size: Some(1) };
    let mut ingest = start(&store, &third, "four", contradiction, Start::Fresh);
    assert_kind(ingest.write(b"content"), ErrorKind::LimitExceeded);
    drop(ingest);
    store.delete_lease(&third).expect("it is deleted");
    assert_eq!(store.collect().expect("it runs").blobs, 1);
    assert_clean_after_collection(&store);
}

#[test]
fn nothing_is_created_under_a_dead_lease() {
    let directory = directory();
    let store = open(directory.path());
    let gone = lease(&store, LeaseKind::Permanent);
    let mut ingest = start(&store, &gone, "key", Expected::UNKNOWN, Start::Fresh);
    ingest.write(b"content").expect("it is written");
    store.delete_lease(&gone).expect("it is deleted");
    assert_kind(ingest.commit(None, &Labels::new()), ErrorKind::Invalid);
    for dead in [gone.as_str(), "never there"] {
        assert_kind(store.begin(dead, "other", Expected::UNKNOWN, Start::Fresh), ErrorKind::Invalid);
        assert_kind(store.attach(dead, &[]), ErrorKind::Invalid);
        assert_kind(store.detach(dead, &[]), ErrorKind::Invalid);
        assert_kind(store.resources(dead), ErrorKind::Invalid);
        assert_kind(store.renew_lease(dead), ErrorKind::Invalid);
        assert!(!store.delete_lease(dead).expect("it is no error"));
    }
    assert_eq!(store.blobs().expect("they are listed"), []);
}

#[test]
fn a_lease_ends_with_its_time_unless_it_is_renewed() {
    let directory = directory();
    let clock = HandClock::new();
    let store = Store::open(directory.path(), StoreOptions::new(clock.clone())).expect("it opens");
    let hour = Duration::from_secs(3600);
    let id = store.create_lease(&LeaseOptions::default().with_expiry(hour).with_id("hour")).expect("a lease");
    commit(&store, &id, "key", b"content", &Labels::new()).expect("it is committed");
    assert_kind(store.create_lease(&LeaseOptions::default().with_id("hour")), ErrorKind::AlreadyExists);
    clock.advance(hour / 2);
    store.renew_lease(&id).expect("it lives");
    clock.advance(hour / 2);
    assert_eq!(store.collect().expect("it runs").blobs, 0);
    assert!(store.lease(&id).expect("it is read").is_some());
    clock.advance(hour / 2);
    assert_eq!(store.lease(&id).expect("it is read"), None);
    assert_eq!(store.leases().expect("they are listed"), []);
    assert_kind(store.renew_lease(&id), ErrorKind::Invalid);
    let fresh = store.create_lease(&LeaseOptions::default().with_id("hour")).expect("the name is free");
    assert_eq!(store.resources(&fresh).expect("it lives"), []);
    assert_eq!(store.collect().expect("it runs").blobs, 1);
}

#[test]
fn labels_roots_and_images_keep_what_they_name() {
    let directory = directory();
    let clock = HandClock::new();
    let store = Store::open(directory.path(), StoreOptions::new(clock.clone())).expect("it opens");
    let temporary = lease(&store, LeaseKind::Temporary);
    let put = |content: &str, labels: &Labels| {
        commit(&store, &temporary, content, content.as_bytes(), labels).expect("it is committed")
    };
    let layer = put("layer", &Labels::new());
    let config = put("config", &Labels::new());
    let manifest = put(
        "manifest",
        &Labels::from([
            ("containerd.io/gc.ref.content.0".to_owned(), config.to_string()),
            ("containerd.io/gc.ref.content/layer".to_owned(), layer.to_string()),
        ]),
    );
    let not_named = put("not named", &Labels::new());
    let root = put("root", &label("containerd.io/gc.root", "now"));
    let bad = put("bad", &label("containerd.io/gc.root.not", "now"));
    let named_badly = put("named badly", &label("containerd.io/gc.ref.contentbad", &not_named.to_string()));
    let child = put("child", &label("containerd.io/gc.bref.content", &root.to_string()));
    let flat_target = put("flat target", &Labels::new());
    let flat_root = put("flat root", &label("containerd.io/gc.ref.content", &flat_target.to_string()));
    let expired = put("expired image", &Labels::new());

    let descriptor = |digest| Descriptor::new(MediaType::new("application/vnd.oci.image.manifest.v1+json"), digest, 1);
    store.create_image("image", &descriptor(manifest), &Labels::new()).expect("it is created");
    let expiry = label("containerd.io/gc.expire", "2001-01-01T00:00:00Z");
    store.create_image("expired", &descriptor(expired), &expiry).expect("it is created");
    let flat = lease(&store, LeaseKind::Flat);
    let full = lease(&store, LeaseKind::Permanent);
    store.attach(&flat, &[Resource::Content(flat_root)]).expect("it lives");
    store.attach(&full, &[Resource::Content(named_badly)]).expect("it lives");

    store.delete_lease(&temporary).expect("it is deleted");
    let collected = store.collect().expect("it runs");
    for kept in [layer, config, manifest, root, child, flat_root, named_badly] {
        assert!(store.blob(&kept).expect("it is read").is_some());
    }
    for gone in [not_named, bad, flat_target, expired] {
        assert_eq!(store.blob(&gone).expect("it is read"), None);
    }
    assert_eq!(collected.blobs, 4);
    assert!(collected.bytes > 0);
    assert_eq!(store.images().expect("they are listed").len(), 1);

    store.delete_image("image").expect("it is deleted");
    let changes = [LabelChange::remove("containerd.io/gc.root")];
    store.change_blob_labels(&root, &changes).expect("it is there");
    assert_eq!(store.collect().expect("it runs").blobs, 5);
    assert_clean_after_collection(&store);
}

#[test]
fn what_a_flat_lease_and_a_full_one_hold_is_followed() {
    let directory = directory();
    let store = open(directory.path());
    let temporary = lease(&store, LeaseKind::Temporary);
    let target = commit(&store, &temporary, "1", b"target", &Labels::new()).expect("ok");
    let names = label("containerd.io/gc.ref.content", &target.to_string());
    let source = commit(&store, &temporary, "2", b"source", &names).expect("ok");
    for kind in [LeaseKind::Flat, LeaseKind::Permanent, LeaseKind::Flat] {
        store.attach(&lease(&store, kind), &[Resource::Content(source)]).expect("it lives");
    }
    store.delete_lease(&temporary).expect("it is deleted");
    assert_eq!(store.collect().expect("it runs").blobs, 0);
}

#[test]
fn labels_change_key_by_key_or_not_at_all() {
    let directory = directory();
    let store = open(directory.path());
    let lease = lease(&store, LeaseKind::Permanent);
    let digest = commit(&store, &lease, "key", b"content", &label("a", "1")).expect("it is committed");
    let info = store.change_blob_labels(&digest, &[LabelChange::set("b", "2"), LabelChange::remove("x")]).expect("ok");
    assert_eq!(info.labels.len(), 2);
    let bad = [LabelChange::remove("a"), LabelChange::set("", "")];
    assert_kind(store.change_blob_labels(&digest, &bad), ErrorKind::Invalid);
    assert_eq!(store.blob(&digest).expect("it is read").expect("it is there").labels, info.labels);
    assert_kind(store.change_blob_labels(&Digest::of("?"), &[]), ErrorKind::NotFound);
}

#[test]
fn an_open_blob_outlives_its_collection() {
    let directory = directory();
    let store = open(directory.path());
    let lease = lease(&store, LeaseKind::Permanent);
    let digest = commit(&store, &lease, "key", b"content", &Labels::new()).expect("it is committed");
    let blob = store.open_blob(&digest).expect("it opens").expect("it is there");
    store.delete_lease(&lease).expect("it is deleted");
    assert_eq!(store.collect().expect("it runs").blobs, 1);
    assert!(!blob.path.exists());
    assert_eq!(std::io::read_to_string(&blob.file).expect("it is read"), "content");
}

#[test]
fn a_batch_of_records_is_made_whole_or_not_at_all() {
    let directory = directory();
    let store = open(directory.path());
    let put = |key: &str, value: &str, precondition, indexes: &[(&str, &str, Uniqueness)]| MetadataChange::Put {
        key: key.to_owned(),
        value: value.as_bytes().to_vec().into(),
        indexes: indexes
            .iter()
            .map(|(index, value, uniqueness)| IndexEntry {
                index: (*index).to_owned(),
                value: (*value).to_owned(),
                uniqueness: *uniqueness,
            })
            .collect(),
        precondition,
    };
    let delete = |key: &str| MetadataChange::Delete { key: key.to_owned(), precondition: Precondition::Any };
    let check = |key: &str, precondition| MetadataChange::Check { key: key.to_owned(), precondition };
    let refused = |key: &str| BatchOutcome::Refused { key: key.to_owned() };
    let apply = |changes: &[MetadataChange]| store.change_records(changes).expect("the database works");

    let unique = [("chain", "c1", Uniqueness::Unique), ("by", "x1", Uniqueness::Shared)];
    assert_eq!(apply(&[put("a", "1", Precondition::Absent, &unique)]), BatchOutcome::Applied);
    let first = store.record("a").expect("it is read").expect("it is there");
    assert_eq!((&first.value[..], first.indexes.len()), (&b"1"[..], 2));

    assert_eq!(apply(&[delete("a"), put("a", "2", Precondition::Present, &[])]), refused("a"));
    assert_eq!(apply(&[put("b", "1", Precondition::Any, &[]), put("a", "2", Precondition::Absent, &[])]), refused("a"));
    assert_eq!(apply(&[put("b", "1", Precondition::Any, &unique[..1])]), refused("b"));
    let shared = [("chain", "c1", Uniqueness::Shared)];
    assert_eq!(apply(&[put("b", "1", Precondition::Any, &shared)]), refused("b"));
    assert_eq!(apply(&[check("a", Precondition::Revision(first.revision + 1))]), refused("a"));
    assert_eq!(store.record("b").expect("it is read"), None);
    assert_eq!(store.record("a").expect("it is read"), Some(first.clone()));

    let revision = Precondition::Revision(first.revision);
    assert_eq!(apply(&[delete("x"), put("a", "2", revision, &unique)]), BatchOutcome::Applied);
    assert_eq!(apply(&[delete("a")]), BatchOutcome::Applied);
    assert_eq!(apply(&[put("a", "3", Precondition::Absent, &unique)]), BatchOutcome::Applied);
    let third = store.record("a").expect("it is read").expect("it is there");
    assert!(third.revision > first.revision + 1, "a deleted record's revisions do not come again");

    let by = [("by", "x2", Uniqueness::Shared), ("by", "y", Uniqueness::Shared)];
    assert_eq!(
        apply(&[put("c%", "1", Precondition::Any, &by), put("b", "1", Precondition::Any, &by)]),
        BatchOutcome::Applied
    );
    let find = |query| {
        let records = store.find_records(&query).expect("it is found");
        records.into_iter().map(|record| record.key).collect::<Vec<_>>()
    };
    let exact = |value: &str| IndexQuery::Exact { index: "by".to_owned(), value: value.to_owned() };
    let prefix = |prefix: &str| IndexQuery::Prefix { index: "by".to_owned(), prefix: prefix.to_owned() };
    let keys = |prefix: &str| IndexQuery::Keys { prefix: prefix.to_owned() };
    assert_eq!(find(exact("x2")), ["b", "c%"]);
    assert_eq!(find(exact("x")), Vec::<String>::new());
    assert_eq!(find(prefix("x")), ["a", "b", "c%"]);
    assert_eq!(find(prefix("")), ["a", "b", "c%"]);
    assert_eq!(find(keys("c")), ["c%"]);
    assert_eq!(find(keys("c%")), ["c%"]);
    assert_eq!(find(keys("")), ["a", "b", "c%"]);
}

#[test]
fn image_names_are_created_once_and_updated_only_if_there() {
    let directory = directory();
    let store = open(directory.path());
    let lease = lease(&store, LeaseKind::Permanent);
    let digest = commit(&store, &lease, "key", b"content", &Labels::new()).expect("it is committed");
    let target = Descriptor::new(MediaType::new("application/vnd.oci.image.manifest.v1+json"), digest, 7)
        .with_annotation("a", "b");
    let missing = Descriptor::new(MediaType::new("x"), Digest::of("missing"), 7);
    let labels = label("l", "1");
    assert_eq!(store.update_image("name", &target, &labels).expect("ok"), ImageOutcome::Refused);
    assert_kind(store.create_image("name", &missing, &labels), ErrorKind::NotFound);
    assert_kind(store.create_image("", &target, &labels), ErrorKind::Invalid);
    let created = store.create_image("name", &target, &labels).expect("ok");
    assert!(matches!(&created, ImageOutcome::Done(image) if image.target == target && image.labels == labels));
    assert_eq!(store.create_image("name", &target, &labels).expect("ok"), ImageOutcome::Refused);
    assert!(
        matches!(store.update_image("name", &target, &Labels::new()), Ok(ImageOutcome::Done(image)) if image.labels.is_empty())
    );
    assert_eq!(store.images().expect("they are listed").len(), 1);
    assert!(store.delete_image("name").expect("ok"));
    assert!(!store.delete_image("name").expect("ok"));
    assert_eq!(store.image("name").expect("ok"), None);
}

#[test]
fn snapshots_have_rows_and_directories_together() {
    let directory = directory();
    let store = open(directory.path());
    let held = lease(&store, LeaseKind::Flat);
    let scratch = store.scratch_directory().expect("a directory");
    fs::create_dir(scratch.join("fs")).expect("ours");
    let new = |key: &str, parent: Option<&SnapshotRow>| NewSnapshot {
        key: key.to_owned(),
        kind: SnapshotKind::Active,
        parent: parent.cloned(),
        labels: label("a", "1"),
    };
    let create = |lease: &str, new: &NewSnapshot| store.create_snapshot(lease, "overlayfs", new, None);
    let place = |row: &SnapshotRow| store.snapshots_directory().join(row.id.to_string());
    let active = store.create_snapshot(&held, "overlayfs", &new("active", None), Some(&scratch)).expect("created");
    assert!(place(&active).join("fs").is_dir());
    assert!(!scratch.exists());
    assert_kind(create(&held, &new("active", None)), ErrorKind::AlreadyExists);
    assert_kind(create(&held, &new("child", Some(&active))), ErrorKind::Invalid);

    let usage = Usage { bytes: 8192, inodes: 3 };
    let commit = |name, row: &SnapshotRow| store.commit_snapshot(&held, "overlayfs", name, row, &Labels::new(), usage);
    let base = commit("base", &active).expect("it is committed");
    assert_eq!((base.id, base.info.kind, base.usage), (active.id, SnapshotKind::Committed, usage));
    assert_eq!(base.info.labels, Labels::new());
    assert_kind(commit("other", &active), ErrorKind::Invalid);
    assert_eq!(store.snapshot("overlayfs", "active").expect("it is read"), None);

    let child = create(&held, &new("child", Some(&base))).expect("it is created");
    assert_eq!(child.info.parent.as_deref(), Some("base"));
    assert_eq!(child.parents, [base.id]);
    assert_kind(store.remove_snapshot("overlayfs", "base"), ErrorKind::Busy);
    assert_kind(commit("base", &child), ErrorKind::AlreadyExists);
    let child = commit("middle", &child).expect("it is committed");
    let top = create(&held, &new("top", Some(&child))).expect("it is created");
    assert_eq!(top.parents, [child.id, base.id]);
    store.change_snapshot_labels("overlayfs", "top", &[LabelChange::set("b", "2")]).expect("it is there");
    assert_eq!(store.snapshots("overlayfs").expect("they are listed").len(), 3);
    assert_eq!(store.snapshots("native").expect("they are listed").len(), 0);

    // A flat lease on the child keeps its parents.
    let flat = lease(&store, LeaseKind::Flat);
    let resource = Resource::Snapshot { snapshotter: "overlayfs".to_owned(), key: "top".to_owned() };
    store.attach(&flat, std::slice::from_ref(&resource)).expect("it lives");
    store.delete_lease(&held).expect("it is deleted");
    assert_eq!(store.collect().expect("it runs").snapshots, 0);
    store.detach(&flat, &[resource]).expect("it lives");
    assert_eq!(store.collect().expect("it runs").snapshots, 3);
    assert!(!place(&base).exists());
    assert_clean_after_collection(&store);
    assert_kind(create(&flat, &new("late", Some(&base))), ErrorKind::NotFound);
    assert_kind(commit("late", &top), ErrorKind::Invalid);
}

#[test]
fn removing_a_snapshot_removes_trees_that_nobody_may_write_to() {
    let directory = directory();
    let store = open(directory.path());
    let held = lease(&store, LeaseKind::Flat);
    let scratch = store.scratch_directory().expect("a directory");
    fs::create_dir_all(scratch.join("fs/a/b")).expect("ours");
    fs::write(scratch.join("fs/a/b/file"), "x").expect("ours");
    fs::set_permissions(scratch.join("fs/a/b"), fs::Permissions::from_mode(0o500)).expect("ours");
    fs::set_permissions(scratch.join("fs/a"), fs::Permissions::from_mode(0o000)).expect("ours");
    let new = NewSnapshot { key: "key".to_owned(), kind: SnapshotKind::View, parent: None, labels: Labels::new() };
    let row = store.create_snapshot(&held, "native", &new, Some(&scratch)).expect("it is created");
    store.remove_snapshot("native", "key").expect("it is removed");
    assert!(!store.snapshots_directory().join(row.id.to_string()).exists());
    assert_kind(store.remove_snapshot("native", "key"), ErrorKind::NotFound);
}

#[test]
fn a_check_finds_damage_and_a_repair_forgets_it() {
    let directory = directory();
    let store = open(directory.path());
    let lease = lease(&store, LeaseKind::Permanent);
    let put = |content: &str| commit(&store, &lease, content, content.as_bytes(), &Labels::new()).expect("ok");
    let (whole, lost, longer, altered) = (put("whole"), put("lost"), put("longer"), put("altered"));
    let path = |digest: &Digest| directory.path().join("blobs/sha256").join(digest.hex());
    let overwrite = |digest: &Digest, bytes: &str| {
        fs::set_permissions(path(digest), fs::Permissions::from_mode(0o644)).expect("ours");
        fs::write(path(digest), bytes).expect("ours");
    };
    fs::remove_file(path(&lost)).expect("ours");
    overwrite(&longer, "longer than it was");
    overwrite(&altered, "ALTERED");
    let stray = directory.path().join("blobs/sha256").join(Digest::of("stray").hex());
    fs::write(&stray, "stray").expect("ours");
    assert_kind(store.open_blob(&lost), ErrorKind::Corrupt);
    assert_kind(store.open_blob(&longer), ErrorKind::Corrupt);

    let shallow = store.check(Depth::Names, Repair::Report).expect("it runs");
    assert_eq!(shallow.damage.len(), 2);
    let deep = store.check(Depth::Bytes, Repair::Report).expect("it runs");
    for damage in [Damage::LostBlob(lost), Damage::WrongLength(longer), Damage::WrongBytes(altered)] {
        assert!(deep.damage.contains(&damage), "{damage:?}");
    }
    assert_eq!(deep.damage.len(), 3);
    assert_eq!(deep.garbage, [Garbage::Name(stray)]);

    store.check(Depth::Bytes, Repair::Forget).expect("it runs");
    let after = assert_sound(&store);
    assert!(after.garbage.iter().all(|garbage| matches!(garbage, Garbage::Dangling { .. })));
    assert!(store.blob(&whole).expect("it is read").is_some());
    assert_eq!(put("altered"), altered);
    assert_eq!(bytes(&store, &altered).as_deref(), Some(&b"altered"[..]));
}

#[test]
fn collected_bytes_are_counted_as_du_counts_them() {
    let directory = directory();
    let store = open(directory.path());
    let lease = lease(&store, LeaseKind::Permanent);
    let digest = commit(&store, &lease, "key", &[7; 100_000], &Labels::new()).expect("ok");
    let path = store.open_blob(&digest).expect("it opens").expect("it is there").path;
    let du = std::process::Command::new("du").arg("-k").arg(path).output().expect("du runs");
    let kibibytes: u64 =
        String::from_utf8_lossy(&du.stdout).split_whitespace().next().and_then(|n| n.parse().ok()).expect("a number");
    store.delete_lease(&lease).expect("it is deleted");
    assert_eq!(store.collect().expect("it runs").bytes, kibibytes * 1024);
}

#[test]
fn named_locks_are_shared_or_exclusive() {
    let directory = directory();
    let (store, other) = (open(directory.path()), open(directory.path()));
    let shared = store.lock("name", LockMode::Shared).expect("it is free");
    let also = other.try_lock("name", LockMode::Shared).expect("locks work").expect("it is shared");
    assert!(other.try_lock("name", LockMode::Exclusive).expect("locks work").is_none());
    drop(shared);
    assert!(store.try_lock("name", LockMode::Exclusive).expect("locks work").is_none());
    drop(also);
    let exclusive = store.try_lock("name", LockMode::Exclusive).expect("locks work").expect("it is free");
    assert!(store.try_lock("name", LockMode::Shared).expect("locks work").is_none());
    assert!(store.try_lock("other", LockMode::Shared).expect("locks work").is_some());
    std::thread::scope(|scope| {
        let waiter = scope.spawn(|| other.lock("name", LockMode::Exclusive).map(drop));
        drop(exclusive);
        waiter.join().expect("no panic").expect("it gets it");
    });
    assert_kind(store.lock("", LockMode::Shared), ErrorKind::Invalid);
    assert_eq!(fs::read_dir(directory.path().join("locks")).expect("it is there").count(), 0);
}
