//! Snapshotters over the embedded store.
#![cfg(all(target_os = "linux", feature = "local"))]
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout, missing_docs)]

mod snapshot_support;

use std::fs;
use std::path::Path;
use std::sync::Arc;

use cache_core::local::{Depth, Local, Repair, StoreOptions};
use cache_core::memory::ManualClock;
use cache_core::mount::LinuxMounter;
use cache_core::ports::{
    Access, Collector, Lease, LeaseKind, LeaseManager, LeaseOptions, Mounter, Pool, Prepared, Resource, SnapshotKind,
    Snapshotter,
};
use cache_core::snapshot::{DirectorySnapshotter, Durability, NativeOptions, OverlayfsOptions, SnapshotRows};
use cache_core::{ErrorKind, Labels, ThreadPool};
use pollster::block_on;
use snapshot_support::names;

/// One opening of the store, with a permanent lease.
struct Opened {
    store: Local,
    lease: Lease,
    pool: Arc<dyn Pool>,
    snapshotter: DirectorySnapshotter,
    directory: std::path::PathBuf,
}

fn open(directory: &Path, name: &str) -> Opened {
    let pool: Arc<dyn Pool> = Arc::new(ThreadPool::new());
    let clock = Arc::new(ManualClock::default());
    let store = block_on(Local::open(directory, Arc::clone(&pool), StoreOptions::new(clock))).unwrap();
    let lease = block_on(store.leases.create(LeaseOptions::new(LeaseKind::Permanent))).unwrap();
    let rows = store.snapshots(name);
    // Nobody cuts the power here, and a busy machine takes seconds to flush a disk.
    let snapshotter = match name {
        "native" => {
            let options = NativeOptions::default().with_durability(Durability::Relaxed);
            DirectorySnapshotter::native(rows, Arc::clone(&pool), options).unwrap()
        }
        _ => {
            let options = OverlayfsOptions::default().with_durability(Durability::Relaxed);
            block_on(DirectorySnapshotter::overlayfs(rows, Arc::clone(&pool), options)).unwrap()
        }
    };
    Opened { store, lease, pool, snapshotter, directory: directory.join("snapshots") }
}

impl Opened {
    fn prepare(&self, key: &str, parent: Option<&str>) -> Vec<cache_core::ports::Mount> {
        match block_on(self.snapshotter.prepare(&self.lease, key, parent, Labels::new())).unwrap() {
            Prepared::Mounts(mounts) => mounts,
            Prepared::AlreadyCommitted => unreachable!("nothing is remote here"),
        }
    }

    fn commit(&self, name: &str, key: &str) {
        block_on(self.snapshotter.commit(&self.lease, name, key, Labels::new())).unwrap();
    }
}

#[track_caller]
fn assert_sound(store: &Local) {
    let report = block_on(store.check(Depth::Bytes, Repair::Report)).unwrap();
    assert!(report.damage.is_empty(), "{report:?}");
}

/// Also without root, because a first snapshot is written to where it lies.
#[test]
fn snapshots_outlive_the_store_that_made_them_and_are_seen_by_another() {
    for name in ["native", "overlayfs"] {
        let directory = tempfile::tempdir().unwrap();
        let first = open(directory.path(), name);
        let second = open(directory.path(), name);
        let mounts = first.prepare("a", None);
        fs::write(mounts[0].source.join("file"), "contents").unwrap();
        assert_eq!(block_on(second.snapshotter.mounts("a")).unwrap(), mounts);
        first.commit("base", "a");
        assert_eq!(
            block_on(first.store.leases.resources(&first.lease)).unwrap(),
            [Resource::Snapshot { snapshotter: name.to_owned(), key: "base".to_owned() }]
        );
        let taken = block_on(second.snapshotter.prepare(&second.lease, "base", None, Labels::new()));
        assert_eq!(taken.unwrap_err().kind(), ErrorKind::AlreadyExists);
        second.prepare("child", Some("base"));
        assert_eq!(block_on(first.snapshotter.remove("base")).unwrap_err().kind(), ErrorKind::Busy);
        drop((first, second));
        let third = open(directory.path(), name);
        let info = block_on(third.snapshotter.stat("child")).unwrap().unwrap();
        assert_eq!((info.kind, info.parent.as_deref()), (SnapshotKind::Active, Some("base")));
        assert!(block_on(third.snapshotter.usage("base")).unwrap().inodes == 2);
        assert_sound(&third.store);
        for key in ["child", "base"] {
            block_on(third.snapshotter.remove(key)).unwrap();
        }
        assert!(names(&third.directory).is_empty());
    }
}

#[test]
fn a_refused_prepare_leaves_no_directory_behind() {
    let directory = tempfile::tempdir().unwrap();
    let opened = open(directory.path(), "native");
    opened.prepare("a", None);
    block_on(opened.store.leases.delete(opened.lease.id())).unwrap();
    let refused = block_on(opened.snapshotter.prepare(&opened.lease, "b", None, Labels::new()));
    assert_eq!(refused.unwrap_err().kind(), ErrorKind::Invalid);
    assert_eq!(names(&opened.directory), ["1"]);
    assert_sound(&opened.store);
}

#[test]
fn a_collection_removes_what_no_lease_holds_and_keeps_the_parents_of_what_one_does() {
    let directory = tempfile::tempdir().unwrap();
    let opened = open(directory.path(), "native");
    opened.prepare("a", None);
    opened.commit("base", "a");
    opened.prepare("b", Some("base"));
    opened.commit("top", "b");
    opened.prepare("unwanted", Some("base"));
    let held = block_on(opened.store.leases.create(LeaseOptions::new(LeaseKind::Permanent))).unwrap();
    let top = Resource::Snapshot { snapshotter: "native".to_owned(), key: "top".to_owned() };
    block_on(opened.store.leases.attach(&held, &[top])).unwrap();
    block_on(opened.store.leases.delete(opened.lease.id())).unwrap();
    block_on(opened.store.collector.collect()).unwrap();
    let mut left: Vec<_> = block_on(opened.snapshotter.list()).unwrap().into_iter().map(|info| info.key).collect();
    left.sort();
    assert_eq!(left, ["base", "top"]);
    assert_eq!(names(&opened.directory), ["1", "2"]);
    block_on(opened.store.leases.delete(held.id())).unwrap();
    block_on(opened.store.collector.collect()).unwrap();
    assert!(names(&opened.directory).is_empty());
    assert_sound(&opened.store);
}

#[test]
fn layers_of_overlayfs_are_mounted_from_the_store() {
    if !snapshot_support::may_mount() {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let opened = open(directory.path(), "overlayfs");
    let mounter = LinuxMounter::new(Arc::clone(&opened.pool), directory.path());
    let mut parent = None;
    for name in ["one", "two", "three"] {
        let tree = block_on(mounter.mount(&opened.prepare("active", parent), Access::ReadWrite)).unwrap();
        fs::write(tree.path().join(name), name).unwrap();
        drop(tree);
        opened.commit(name, "active");
        parent = Some(name);
    }
    let view = block_on(opened.snapshotter.view(&opened.lease, "view", parent, Labels::new())).unwrap();
    let tree = block_on(mounter.mount(&view, Access::ReadOnly)).unwrap();
    assert_eq!(names(&tree.path()), ["one", "three", "two"]);
    assert_sound(&opened.store);
}

#[test]
fn auto_uses_the_rows_of_the_snapshotter_that_it_picks() {
    let directory = tempfile::tempdir().unwrap();
    let opened = open(directory.path(), "native");
    let rows = |name: &str| Ok(opened.store.snapshots(name) as Arc<dyn SnapshotRows>);
    let chosen = DirectorySnapshotter::auto(rows, Arc::clone(&opened.pool), Durability::Synced);
    let chosen = block_on(chosen).unwrap();
    let prepared = block_on(chosen.prepare(&opened.lease, "a", None, Labels::new()));
    prepared.unwrap();
    assert_eq!(block_on(opened.store.snapshots(chosen.name()).list()).unwrap().len(), 1);
}

#[test]
fn of_many_that_race_for_a_key_or_a_name_one_gets_it() {
    let directory = tempfile::tempdir().unwrap();
    let stores = [open(directory.path(), "native"), open(directory.path(), "native")];
    let race = |work: &(dyn Fn(&Opened, usize) -> cache_core::Result<()> + Sync)| {
        let outcomes: Vec<_> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8)
                .map(|number| {
                    let opened = &stores[number % 2];
                    scope.spawn(move || work(opened, number))
                })
                .collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1);
        for error in outcomes.into_iter().filter_map(Result::err) {
            assert_eq!(error.kind(), ErrorKind::AlreadyExists);
        }
    };
    race(&|opened, _| block_on(opened.snapshotter.prepare(&opened.lease, "key", None, Labels::new())).map(drop));
    for number in 0..8 {
        stores[0].prepare(&format!("active-{number}"), None);
    }
    race(&|opened, number| {
        let key = format!("active-{number}");
        block_on(opened.snapshotter.commit(&opened.lease, "name", &key, Labels::new()))
    });
    assert_eq!(names(&stores[0].directory).len(), 9);
    assert_sound(&stores[0].store);
}

/// The directory of the store in which this test binary, started again, prepares snapshots until it is killed.
const STORE: &str = "LAYERCACHE_TEST_STORE";

#[test]
fn a_process_that_is_killed_while_it_prepares_and_commits_leaves_nothing_but_whole_snapshots() {
    use std::io::BufRead;
    if let Some(directory) = std::env::var_os(STORE) {
        let opened = open(Path::new(&directory), "native");
        for number in 0.. {
            let key = format!("{}-{number}", std::process::id());
            let mounts = opened.prepare(&key, Some("base"));
            assert_eq!(names(&mounts[0].source).len(), 300);
            opened.commit(&format!("committed-{key}"), &key);
            println!("\ncommitted {key}");
        }
    }
    let directory = tempfile::tempdir().unwrap();
    let opened = open(directory.path(), "native");
    let root = opened.prepare("a", None)[0].source.clone();
    for number in 0..300 {
        fs::write(root.join(number.to_string()), vec![7; 5000]).unwrap();
    }
    opened.commit("base", "a");
    for round in 1..=5 {
        let name = "a_process_that_is_killed_while_it_prepares_and_commits_leaves_nothing_but_whole_snapshots";
        let mut child = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", name, "--nocapture"])
            .env(STORE, directory.path())
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let lines = std::io::BufReader::new(child.stdout.take().unwrap()).lines();
        let acknowledged: Vec<_> = lines
            .map_while(Result::ok)
            .filter_map(|line| line.strip_prefix("committed ").map(str::to_owned))
            .take(round)
            .collect();
        child.kill().unwrap();
        child.wait().unwrap();

        let again = open(directory.path(), "native");
        block_on(again.store.collector.collect()).unwrap();
        assert_sound(&again.store);
        let list = block_on(again.snapshotter.list()).unwrap();
        assert_eq!(names(&again.directory).len(), list.len());
        for key in acknowledged {
            assert!(list.iter().any(|info| info.key == format!("committed-{key}")), "{key} is lost");
        }
        for info in list {
            let row = block_on(again.store.snapshots("native").get(&info.key)).unwrap().unwrap();
            assert_eq!(names(&again.directory.join(row.id.to_string())).len(), 300, "{info:?}");
        }
        let scratch = fs::read_dir(directory.path().join("owners")).unwrap().map(|entry| entry.unwrap().path());
        for owner in scratch.filter(|path| path.is_dir()) {
            assert!(names(&owner).is_empty(), "{} is left", owner.display());
        }
    }
}
