//! What every snapshotter over rows does with keys, names, parents and leases.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

mod snapshot_support;

use std::fs;
use std::sync::Arc;

use cache_core::memory::ManualClock;
use cache_core::ports::{LeaseManager, LeaseOptions, Resource, SnapshotKind, Snapshotter};
use cache_core::snapshot::{MemoryRows, SnapshotRows};
use cache_core::{ErrorKind, LabelChange, Labels, ThreadPool};
use pollster::block_on;
use snapshot_support::Fixture;

fn resource(key: &str) -> Resource {
    Resource::Snapshot { snapshotter: "native".to_owned(), key: key.to_owned() }
}

#[test]
fn a_key_that_any_kind_of_snapshot_has_is_taken() {
    let fixture = Fixture::native();
    fixture.prepare("a", None);
    fixture.commit("committed", "a");
    fixture.prepare("active", None);
    fixture.view("view", None);
    for key in ["committed", "active", "view"] {
        let prepared = block_on(fixture.snapshotter.prepare(&fixture.lease, key, None, Labels::new()));
        assert_eq!(prepared.unwrap_err().kind(), ErrorKind::AlreadyExists, "{key}");
        let viewed = block_on(fixture.snapshotter.view(&fixture.lease, key, None, Labels::new()));
        assert_eq!(viewed.unwrap_err().kind(), ErrorKind::AlreadyExists, "{key}");
        let committed = block_on(fixture.snapshotter.commit(&fixture.lease, key, "active", Labels::new()));
        assert_eq!(committed.unwrap_err().kind(), ErrorKind::AlreadyExists, "{key}");
    }
}

#[test]
fn a_parent_must_be_there_and_committed() {
    let fixture = Fixture::native();
    fixture.prepare("active", None);
    for (parent, kind) in [("missing", ErrorKind::NotFound), ("active", ErrorKind::Invalid)] {
        let prepared = block_on(fixture.snapshotter.prepare(&fixture.lease, "a", Some(parent), Labels::new()));
        assert_eq!(prepared.unwrap_err().kind(), kind, "{parent}");
    }
    assert_eq!(fixture.directories(), ["1"], "nothing is left of what failed");
}

#[test]
fn only_an_active_snapshot_can_be_committed() {
    let fixture = Fixture::native();
    fixture.prepare("a", None);
    fixture.commit("committed", "a");
    fixture.view("view", None);
    for (key, kind) in [("a", ErrorKind::NotFound), ("committed", ErrorKind::Invalid), ("view", ErrorKind::Invalid)] {
        let committed = block_on(fixture.snapshotter.commit(&fixture.lease, "name", key, Labels::new()));
        assert_eq!(committed.unwrap_err().kind(), kind, "{key}");
    }
    let mounts = block_on(fixture.snapshotter.mounts("committed"));
    assert_eq!(mounts.unwrap_err().kind(), ErrorKind::Invalid);
}

#[test]
fn a_snapshot_with_children_is_busy() {
    let fixture = Fixture::native();
    fixture.prepare("a", None);
    fixture.commit("base", "a");
    fixture.prepare("child", Some("base"));
    fixture.view("view", Some("base"));
    for child in ["child", "view"] {
        assert_eq!(block_on(fixture.snapshotter.remove("base")).unwrap_err().kind(), ErrorKind::Busy);
        block_on(fixture.snapshotter.remove(child)).unwrap();
    }
    block_on(fixture.snapshotter.remove("base")).unwrap();
    assert_eq!(block_on(fixture.snapshotter.remove("base")).unwrap_err().kind(), ErrorKind::NotFound);
    assert!(fixture.directories().is_empty());
}

#[test]
fn a_removed_key_can_be_used_again_and_its_number_cannot() {
    let fixture = Fixture::native();
    for _ in 0..2 {
        fixture.prepare("key", None);
        block_on(fixture.snapshotter.remove("key")).unwrap();
        fixture.view("key", None);
        block_on(fixture.snapshotter.remove("key")).unwrap();
    }
    fixture.prepare("old", None);
    fixture.commit("key", "old");
    assert_eq!(fixture.directories(), ["5"]);
}

#[test]
fn a_commit_replaces_labels_and_keeps_number_parent_and_creation_time() {
    let fixture = Fixture::native();
    fixture.prepare("a", None);
    fixture.commit("base", "a");
    let labels = |value: &str| Labels::from([("label".to_owned(), value.to_owned())]);
    block_on(fixture.snapshotter.prepare(&fixture.lease, "b", Some("base"), labels("active"))).unwrap();
    let before = block_on(fixture.rows.get("b")).unwrap().unwrap();
    block_on(fixture.snapshotter.commit(&fixture.lease, "top", "b", Labels::new())).unwrap();
    assert_eq!(block_on(fixture.rows.get("b")).unwrap(), None);
    let after = block_on(fixture.rows.get("top")).unwrap().unwrap();
    assert_eq!((after.id, &after.parents), (before.id, &before.parents));
    assert_eq!(after.info.kind, SnapshotKind::Committed);
    assert_eq!(after.info.parent.as_deref(), Some("base"));
    assert_eq!(after.info.created_at, before.info.created_at);
    assert!(after.info.labels.is_empty());
}

#[test]
fn labels_change_key_by_key() {
    let fixture = Fixture::native();
    fixture.prepare("a", None);
    let changes = [LabelChange::set("one", "1"), LabelChange::set("two", "2")];
    block_on(fixture.snapshotter.change_labels("a", &changes)).unwrap();
    let changes = [LabelChange::remove("one"), LabelChange::remove("none"), LabelChange::set("three", "3")];
    let info = block_on(fixture.snapshotter.change_labels("a", &changes)).unwrap();
    assert_eq!(info.labels.into_keys().collect::<Vec<_>>(), ["three", "two"]);
    let missing = block_on(fixture.snapshotter.change_labels("missing", &changes));
    assert_eq!(missing.unwrap_err().kind(), ErrorKind::NotFound);
}

#[test]
fn the_lease_of_an_active_snapshot_holds_its_name_after_the_commit() {
    let fixture = Fixture::native();
    let leases = &fixture.memory.leases;
    fixture.prepare("a", None);
    let other = block_on(leases.create(LeaseOptions::default())).unwrap();
    block_on(fixture.snapshotter.commit(&other, "name", "a", Labels::new())).unwrap();
    for lease in [&fixture.lease, &other] {
        assert_eq!(block_on(leases.resources(lease)).unwrap(), [resource("name")]);
    }
}

#[test]
fn a_dead_lease_creates_nothing() {
    let fixture = Fixture::native();
    block_on(fixture.memory.leases.delete(fixture.lease.id())).unwrap();
    let prepared = block_on(fixture.snapshotter.prepare(&fixture.lease, "a", None, Labels::new()));
    assert_eq!(prepared.unwrap_err().kind(), ErrorKind::Invalid);
    assert_eq!(block_on(fixture.snapshotter.stat("a")).unwrap(), None);
}

#[test]
fn keys_may_hold_anything_but_nothing() {
    let fixture = Fixture::native();
    for key in ["../../escape", "a/b", "new\nline", "\0", "ключ", "1"] {
        fixture.prepare(key, None);
        assert_eq!(block_on(fixture.snapshotter.stat(key)).unwrap().unwrap().key, key);
    }
    assert_eq!(fixture.directories(), ["1", "2", "3", "4", "5", "6"]);
    let empty = block_on(fixture.snapshotter.prepare(&fixture.lease, "", None, Labels::new()));
    assert_eq!(empty.unwrap_err().kind(), ErrorKind::Invalid);
}

#[test]
fn a_list_shows_what_stat_shows() {
    let fixture = Fixture::native();
    fixture.prepare("a", None);
    fixture.commit("base", "a");
    fixture.prepare("active", Some("base"));
    fixture.view("view", Some("base"));
    let list = block_on(fixture.snapshotter.list()).unwrap();
    assert_eq!(list.len(), 3);
    for info in list {
        assert_eq!(block_on(fixture.snapshotter.stat(&info.key)).unwrap(), Some(info));
    }
}

#[test]
fn a_parent_that_was_replaced_under_its_name_is_not_mistaken_for_the_old_one() {
    let fixture = Fixture::native();
    fixture.prepare("a", None);
    fixture.commit("base", "a");
    let old = block_on(fixture.rows.get("base")).unwrap();
    block_on(fixture.snapshotter.remove("base")).unwrap();
    fixture.prepare("b", None);
    fixture.commit("base", "b");
    let new = cache_core::snapshot::NewSnapshot {
        key: "child".to_owned(),
        kind: SnapshotKind::View,
        parent: old,
        labels: Labels::new(),
    };
    let created = block_on(fixture.rows.create(&fixture.lease, new, None));
    assert_eq!(created.unwrap_err().kind(), ErrorKind::NotFound);
}

#[test]
fn public_types_can_be_shown_and_shared() {
    fn check<T: std::fmt::Debug + Send + Sync>() {}
    check::<cache_core::snapshot::DirectorySnapshotter>();
    check::<MemoryRows>();
    check::<cache_core::snapshot::SnapshotRow>();
    check::<cache_core::snapshot::NewSnapshot>();
    check::<cache_core::snapshot::ScratchTree>();
    check::<cache_core::snapshot::NativeOptions>();
    check::<cache_core::snapshot::OverlayfsOptions>();
    check::<cache_core::mount::LinuxMounter>();
    check::<cache_core::mount::LinuxTree>();
    check::<cache_core::mount::OverlayLayers>();
    #[cfg(feature = "local")]
    check::<cache_core::local::LocalSnapshots>();
}

#[test]
fn memory_rows_refuse_a_directory_with_something_in_it() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("file"), "").unwrap();
    let rows =
        MemoryRows::open(directory.path(), "native", Arc::new(ThreadPool::new()), Arc::new(ManualClock::default()));
    assert_eq!(block_on(rows).unwrap_err().kind(), ErrorKind::Invalid);
}
