//! The local store among processes.
#![cfg(all(target_os = "linux", feature = "local"))]
#![allow(clippy::panic, missing_docs)]

mod local_support;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use cache_core::local::{Faults, Garbage, Step, Store, StoreOptions};
use cache_core::ports::{Expected, LeaseKind, LeaseOptions, LockMode, Resource, Start};
use cache_core::{Digest, ErrorKind, Labels};
use local_support::child::{Process, role, say};
use local_support::{
    HandClock, assert_clean_after_collection, assert_kind, assert_sound, bytes, commit, lease, open, start,
};

/// The contents that all committers fight for. The larger ones take several pages and several writes.
fn content(number: u64) -> Vec<u8> {
    let length = [1, 100, 5_000, 70_000][number as usize % 4];
    (0..length).map(|index| (index * 31 + number as usize * 7) as u8).collect()
}

/// Numbers without meaning, the same for the same seed (splitmix64).
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }
}

#[test]
fn child_process() {
    // Run as one of the tests, it has nothing to do.
    let Some((role, directory, argument)) = role() else { return };
    match role.as_str() {
        "committer" => commit_forever(&directory, argument),
        "collector" => collect_forever(&directory),
        "holder" => hold(&directory),
        "locker" => count_under_a_lock(&directory, argument),
        role => panic!("unknown role {role}"),
    }
}

/// Commits contents that others commit too, says so, and after a while lets go of most of them.
fn commit_forever(directory: &Path, seed: u64) {
    let mut numbers = Numbers(seed);
    let store = open(directory);
    let mut held = Vec::new();
    for round in 0_u64.. {
        let number = numbers.below(6);
        let content = content(number);
        let expected = Expected { digest: Some(Digest::of(&content)), size: Some(content.len() as u64) };
        let lease = lease(&store, LeaseKind::Permanent);
        let expected = if numbers.below(2) == 0 { expected } else { Expected::UNKNOWN };
        let key = format!("{seed} {round}");
        match store.begin(&lease, &key, expected, Start::Fresh).expect("the ingest begins") {
            cache_core::local::BegunIngest::AlreadyThere(_) => {}
            cache_core::local::BegunIngest::Started(mut ingest) => {
                for piece in content.chunks(16 * 1024) {
                    ingest.write(piece).expect("it is written");
                }
                ingest.commit(None, &Labels::new()).expect("it is committed");
            }
        }
        say(&format!("held {lease} {number}"));
        held.push(lease);
        if held.len() > 2 {
            let lease = held.swap_remove(numbers.below(3) as usize);
            if numbers.below(8) != 0 {
                say(&format!("dropped {lease}"));
                store.delete_lease(&lease).expect("it is deleted");
            }
        }
    }
}

fn collect_forever(directory: &Path) {
    let store = open(directory);
    loop {
        let collected = store.collect().expect("the collection runs");
        say(&format!("collected {}", collected.blobs));
    }
}

/// What was acknowledged and not let go: lease and content.
type Held = BTreeMap<String, u64>;

fn note(held: &mut Held, said: &str) {
    let words: Vec<&str> = said.split(' ').collect();
    match words[..] {
        ["held", lease, number] => drop(held.insert(lease.to_owned(), number.parse().expect("a number"))),
        ["dropped", lease] => drop(held.remove(lease)),
        _ => {}
    }
}

#[track_caller]
fn assert_held(store: &Store, held: &Held) {
    for (lease, number) in held {
        let content = content(*number);
        let digest = Digest::of(&content);
        let resources = store.resources(lease).unwrap_or_else(|error| panic!("{lease} is dead: {error:?}"));
        assert!(resources.contains(&Resource::Content(digest)), "{lease} lost {digest}");
        assert_eq!(bytes(store, &digest), Some(content), "{lease} lost {digest}");
    }
}

fn rounds(default: u64) -> u64 {
    std::env::var("LAYERCACHE_ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(default)
}

#[test]
fn rows_and_files_agree_when_committers_of_equal_digests_and_a_collector_are_killed() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut numbers = Numbers(42);
    let mut held = Held::new();
    for round in 0..rounds(10) {
        let mut processes: Vec<Process> = (0..5)
            .map(|index| {
                let role = if index == 4 { "collector" } else { "committer" };
                Process::spawn(role, directory.path(), round * 10 + index)
            })
            .collect();
        // Each is killed somewhere after some lines of its own; the others go on.
        while !processes.is_empty() {
            let mut process = processes.swap_remove(numbers.below(processes.len() as u64) as usize);
            for _ in 0..=numbers.below(12) {
                let said = process.line().expect("it runs until it is killed");
                note(&mut held, &said);
            }
            for _ in 0..numbers.below(200_000) {
                std::hint::spin_loop();
            }
            for said in process.kill() {
                note(&mut held, &said);
            }
        }
        let store = open(directory.path());
        assert_sound(&store);
        assert_held(&store, &held);
        assert_clean_after_collection(&store);
        assert_held(&store, &held);
        // What nobody was told of is dropped too, so that the store does not only grow.
        for lease in store.leases().expect("leases are listed") {
            if !held.contains_key(&lease.id) || numbers.below(2) == 0 {
                held.remove(&lease.id);
                store.delete_lease(&lease.id).expect("it is deleted");
            }
        }
    }
}

/// Holds one of everything that is a process's own, until it is killed.
fn hold(directory: &Path) {
    let store = open(directory);
    let temporary = lease(&store, LeaseKind::Temporary);
    let digest = commit(&store, &temporary, "done", b"temporary", &Labels::new()).expect("it is committed");
    let mut ingest = start(&store, &temporary, "under way", Expected::UNKNOWN, Start::Fresh);
    ingest.write(b"half").expect("it is written");
    let permanent = store.create_lease(&LeaseOptions::default().with_id("permanent")).expect("a lease");
    let expected = Expected { digest: Some(Digest::of("whole")), size: None };
    let mut kept = start(&store, &permanent, "resumable", expected, Start::Fresh);
    kept.write(b"who").expect("it is written");
    let _lock = store.lock("name", LockMode::Exclusive).expect("the lock is free");
    say(&format!("{temporary} {digest}"));
    std::thread::park();
}

fn holder(directory: &Path) -> (Process, String, Digest) {
    let mut process = Process::spawn("holder", directory, 0);
    let said = process.line().expect("it holds");
    let (lease, digest) = said.split_once(' ').expect("two words");
    let outcome = (lease.to_owned(), digest.parse().expect("a digest"));
    (process, outcome.0, outcome.1)
}

#[test]
fn what_a_living_process_holds_is_never_collected() {
    let directory = tempfile::tempdir().expect("a directory");
    let store = open(directory.path());
    let (process, temporary, digest) = holder(directory.path());
    let again = open(directory.path());
    for store in [&store, &again] {
        let collected = store.collect().expect("the collection runs");
        assert_eq!((collected.blobs, collected.ingests), (0, 0));
        assert_eq!(bytes(store, &digest).as_deref(), Some(&b"temporary"[..]));
        assert!(store.lease(&temporary).expect("leases are read").is_some());
        assert_eq!(store.ingests().expect("ingests are listed").len(), 2);
        let own = lease(store, LeaseKind::Permanent);
        assert_kind(store.begin(&own, "under way", Expected::UNKNOWN, Start::Resume), ErrorKind::Busy);
        assert_kind(store.abort_ingest("under way"), ErrorKind::Busy);
        assert!(store.try_lock("name", LockMode::Shared).expect("locks work").is_none());
    }
    // Not even when its lease is ended by somebody else.
    store.delete_lease(&temporary).expect("it is deleted");
    store.collect().expect("the collection runs");
    assert!(store.ingests().expect("ingests are listed").iter().any(|status| status.key == "under way"));
    process.kill();
}

#[test]
fn a_killed_process_frees_its_ingests_and_temporary_leases_at_once() {
    let directory = tempfile::tempdir().expect("a directory");
    let store = open(directory.path());
    let (process, temporary, digest) = holder(directory.path());
    process.kill();
    assert_eq!(store.lease(&temporary).expect("leases are read"), None);
    assert_kind(store.attach(&temporary, &[]), ErrorKind::Invalid);
    assert!(store.try_lock("name", LockMode::Exclusive).expect("locks work").is_some());

    // What a lease that outlives the process holds can be resumed.
    let expected = Expected { digest: Some(Digest::of("whole")), size: None };
    let mut ingest = start(&store, "permanent", "resumable", expected, Start::Resume);
    assert_eq!(ingest.status().offset, 3);
    ingest.write(b"le").expect("it is written");
    ingest.commit(None, &Labels::new()).expect("it is whole");

    let collected = store.collect().expect("the collection runs");
    assert_eq!(collected.blobs, 1);
    assert_eq!(store.blob(&digest).expect("blobs are read"), None);
    assert_eq!(store.ingests().expect("ingests are listed"), []);
    let report = assert_sound(&store);
    assert!(!report.garbage.iter().any(|garbage| matches!(garbage, Garbage::Name(_))), "{report:?}");
}

#[test]
fn opening_frees_what_a_killed_process_held() {
    let directory = tempfile::tempdir().expect("a directory");
    let (process, temporary, _) = holder(directory.path());
    process.kill();
    let store = open(directory.path());
    assert!(store.leases().expect("leases are listed").iter().all(|lease| lease.id != temporary));
    let keys: Vec<String> = store.ingests().expect("ingests are listed").into_iter().map(|status| status.key).collect();
    assert_eq!(keys, ["resumable"]);
    let names = std::fs::read_dir(directory.path().join("ingest")).expect("it is there").count();
    assert_eq!(names, 1);
}

/// Raises a number in a file, which only a lock keeps whole.
fn count_under_a_lock(directory: &Path, times: u64) {
    let store = open(directory);
    let path = directory.join("number");
    for _ in 0..times {
        let _lock = store.lock("number", LockMode::Exclusive).expect("it can be had");
        let number: u64 = std::fs::read_to_string(&path).expect("it is there").parse().expect("it is whole");
        std::fs::write(&path, (number + 1).to_string()).expect("it can be written");
    }
}

#[test]
fn a_named_lock_excludes_other_processes() {
    const TIMES: u64 = 100;
    let directory = tempfile::tempdir().expect("a directory");
    std::fs::write(directory.path().join("number"), "0").expect("it can be written");
    let store = open(directory.path());
    let processes: Vec<Process> = (0..4).map(|_| Process::spawn("locker", directory.path(), TIMES)).collect();
    for process in processes {
        assert!(process.wait().0);
    }
    let number = std::fs::read_to_string(directory.path().join("number")).expect("it is there");
    assert_eq!(number, (4 * TIMES).to_string());
    let left = std::fs::read_dir(directory.path().join("locks")).expect("it is there").count();
    assert_eq!(left, 0, "lock files stayed");
    drop(store);
}

#[test]
fn threads_of_one_opening_may_commit_at_once() {
    let directory = tempfile::tempdir().expect("a directory");
    let store = open(directory.path());
    std::thread::scope(|scope| {
        for thread in 0..8_u64 {
            let store: Arc<Store> = Arc::clone(&store);
            scope.spawn(move || {
                let lease = lease(&store, LeaseKind::Permanent);
                for number in 0..10 {
                    let key = format!("{thread} {number}");
                    let digest = commit(&store, &lease, &key, &content(number), &Labels::new()).expect("it commits");
                    assert_eq!(bytes(&store, &digest), Some(content(number)));
                }
            });
        }
    });
    assert_clean_after_collection(&store);
    assert_eq!(store.blobs().expect("blobs are listed").len(), 10);
}

/// A disk on which every commit takes its time.
#[derive(Debug, Default)]
struct SlowDisk {
    commits: AtomicU64,
    fails_from: Option<u64>,
}

impl Faults for SlowDisk {
    fn before(&self, step: Step<'_>) -> std::io::Result<()> {
        if step == (Step::Commit { synced: true }) {
            let commits = self.commits.fetch_add(1, Ordering::SeqCst);
            std::thread::sleep(Duration::from_millis(3));
            if self.fails_from.is_some_and(|from| commits >= from) {
                return Err(std::io::ErrorKind::StorageFull.into());
            }
        }
        Ok(())
    }
}

const THREADS: u64 = 8;
const COMMITS: u64 = 20;

/// Has many threads commit at once, and gives the store and what each commit gave.
fn commit_at_once(directory: &Path, disk: &Arc<SlowDisk>) -> (Arc<Store>, Vec<cache_core::Result<Digest>>) {
    let options = StoreOptions::new(HandClock::new()).with_faults(Arc::clone(disk) as Arc<dyn Faults>);
    let store = Store::open(directory, options).expect("the store opens");
    let held = lease(&store, LeaseKind::Permanent);
    let outcomes = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS)
            .map(|thread| {
                let (store, held) = (&store, &held);
                scope.spawn(move || {
                    let put = |number| {
                        let key = format!("{thread} {number}");
                        // Half of them commit what others commit too.
                        let content = if number % 2 == 0 { format!("{number}") } else { key.clone() };
                        commit(store, held, &key, content.as_bytes(), &Labels::new())
                    };
                    (0..COMMITS).map(put).collect::<Vec<_>>()
                })
            })
            .collect();
        threads.into_iter().flat_map(|thread| thread.join().expect("no panic")).collect()
    });
    (store, outcomes)
}

#[test]
fn threads_that_commit_at_once_share_their_syncs() {
    let directory = tempfile::tempdir().expect("a directory");
    let disk = Arc::new(SlowDisk::default());
    let (store, outcomes) = commit_at_once(directory.path(), &disk);
    for outcome in outcomes {
        let digest = outcome.expect("it is committed");
        assert!(store.blob(&digest).expect("it is read").is_some());
    }
    let commits = disk.commits.load(Ordering::SeqCst);
    assert!(commits < THREADS * COMMITS / 2, "{commits} commits");
    assert_clean_after_collection(&store);
}

#[test]
fn a_shared_commit_that_fails_fails_for_all_and_keeps_their_bytes() {
    let directory = tempfile::tempdir().expect("a directory");
    let disk = Arc::new(SlowDisk { fails_from: Some(6), ..SlowDisk::default() });
    let (store, outcomes) = commit_at_once(directory.path(), &disk);
    let mut failed = 0;
    for outcome in outcomes {
        match outcome {
            Ok(digest) => assert!(store.blob(&digest).expect("it is read").is_some()),
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::NoSpace);
                failed += 1;
            }
        }
    }
    assert!(failed > 0);
    let report = assert_sound(&store);
    // An ingest that could not begin may leave its empty file, but nothing is left at a blob's name.
    let blobs = directory.path().join("blobs");
    assert!(!report.garbage.iter().any(|garbage| matches!(garbage, Garbage::Name(path) if path.starts_with(&blobs))));
    drop(store);
    let store = open(directory.path());
    let ingests = store.ingests().expect("they are listed");
    assert!(!ingests.is_empty());
    assert!(ingests.iter().all(|status| status.offset > 0), "{ingests:?}");
    assert_clean_after_collection(&store);
}
