//! What the local backends promise beyond their ports' suites.
#![cfg(all(target_os = "linux", feature = "local"))]
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

mod local_support;

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use cache_core::local::{Depth, Faults, Local, Repair, Step, StoreOptions};
use cache_core::memory::ManualClock;
use cache_core::ports::{
    Begun, Collector, Expected, Ingester, Lease, LeaseKind, LeaseManager, LeaseOptions, LockMode, Locks, Manager,
    Start, TemporaryLease,
};
use cache_core::{Digest, ErrorKind, Labels, ThreadPool};
use futures::{FutureExt, TryStreamExt};
use local_support::child::{Process, role, say};
use pollster::block_on;

fn open(directory: &Path) -> Local {
    open_with(directory, StoreOptions::new(Arc::new(ManualClock::default())))
}

fn open_with(directory: &Path, options: StoreOptions) -> Local {
    block_on(Local::open(directory, Arc::new(ThreadPool::new()), options)).unwrap()
}

fn lease(local: &Local) -> Lease {
    block_on(local.leases.create(LeaseOptions::default())).unwrap()
}

async fn put(local: &Local, lease: &Lease, key: &str, bytes: &[u8]) -> cache_core::Result<Digest> {
    match local.content.begin(lease, key, Expected::UNKNOWN, Start::Fresh).await? {
        Begun::AlreadyThere(info) => Ok(info.digest),
        Begun::Started(mut ingest) => {
            ingest.write(bytes.to_vec().into()).await?;
            Ok(ingest.commit(None, Labels::new()).await?.into_info().digest)
        }
    }
}

#[test]
fn child_process() {
    let Some((_, directory, _)) = role() else { return };
    let local = open(&directory);
    let _lock = block_on(local.locks.acquire("name", LockMode::Exclusive)).unwrap();
    say("locked");
    std::thread::park();
}

/// Another process is another opening: flock(2) knows no processes, only openings of a file.
#[test]
fn looking_at_a_lock_refuses_nobody_and_leaves_no_file() {
    let directory = tempfile::tempdir().unwrap();
    let (local, others) = (open(directory.path()), [open(directory.path()), open(directory.path())]);
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for other in &others {
            scope.spawn(|| {
                while !over.load(Ordering::SeqCst) {
                    block_on(other.locks.holder("name")).unwrap();
                }
            });
        }
        let refused = (0..2000).filter(|round| {
            let mode = if round % 2 == 0 { LockMode::Exclusive } else { LockMode::Shared };
            block_on(local.locks.try_acquire("name", mode)).unwrap().is_none()
        });
        let refused = refused.count();
        over.store(true, Ordering::SeqCst);
        assert_eq!(refused, 0);
    });
    assert_eq!(std::fs::read_dir(directory.path().join("locks")).unwrap().count(), 0);
}

#[test]
fn a_lock_of_another_process_is_waited_for_and_given_up() {
    let directory = tempfile::tempdir().unwrap();
    let local = open(directory.path());
    let mut process = Process::spawn("locker", directory.path(), 0);
    process.line().unwrap();
    assert!(block_on(local.locks.try_acquire("name", LockMode::Shared)).unwrap().is_none());
    let mut given_up = local.locks.acquire("name", LockMode::Exclusive);
    assert!((&mut given_up).now_or_never().is_none());
    drop(given_up);
    let waiting = std::thread::spawn({
        let local = local.clone();
        move || block_on(local.locks.acquire("name", LockMode::Exclusive)).unwrap()
    });
    process.kill();
    let held = waiting.join().unwrap();
    assert!(block_on(local.locks.try_acquire("name", LockMode::Shared)).unwrap().is_none());
    drop(held);
    assert!(block_on(local.locks.try_acquire("name", LockMode::Exclusive)).unwrap().is_some());
}

#[test]
fn a_lock_that_was_given_up_is_free_at_once() {
    let directory = tempfile::tempdir().unwrap();
    let local = open(directory.path());
    for _ in 0..200 {
        let mut given_up = local.locks.acquire("name", LockMode::Exclusive);
        let _ = (&mut given_up).now_or_never();
        drop(given_up);
        assert!(block_on(local.locks.try_acquire("name", LockMode::Exclusive)).unwrap().is_some());
    }
}

#[test]
fn dropped_calls_at_any_moment_leave_the_key_to_the_next_writer() {
    let directory = tempfile::tempdir().unwrap();
    let local = open(directory.path());
    let lease = lease(&local);
    let bytes = vec![7; 600_000];
    for round in 0..60 {
        block_on(async {
            let begun = local.content.begin(&lease, "key", Expected::UNKNOWN, Start::Fresh);
            if round % 4 == 0 {
                let mut begun = begun;
                let _ = (&mut begun).now_or_never();
                return;
            }
            let Begun::Started(mut ingest) = begun.await.unwrap() else { panic!("nothing is there") };
            let _ = ingest.write(bytes.clone().into()).now_or_never();
            match round % 4 {
                1 => drop(ingest),
                2 => drop(ingest.keep().now_or_never()),
                _ => drop(ingest.abort().now_or_never()),
            }
        });
    }
    block_on(async {
        let digest = put(&local, &lease, "key", b"whole").await.unwrap();
        assert_eq!(digest, Digest::of("whole"));
        assert!(local.content.ingests().await.unwrap().is_empty());
        let report = local.check(Depth::Bytes, Repair::Report).await.unwrap();
        assert!(report.damage.is_empty(), "{report:?}");
    });
}

/// Says that the disk is full while it is told to.
#[derive(Debug, Default)]
struct FullDisk(AtomicBool);

impl Faults for FullDisk {
    fn before(&self, step: Step<'_>) -> std::io::Result<()> {
        let takes_space = matches!(step, Step::Write { .. } | Step::Create(_) | Step::Commit { .. });
        if takes_space && self.0.load(Ordering::SeqCst) {
            return Err(std::io::ErrorKind::StorageFull.into());
        }
        Ok(())
    }
}

#[test]
fn a_full_disk_is_no_space_and_what_was_written_before_is_resumed() {
    let directory = tempfile::tempdir().unwrap();
    let disk = Arc::new(FullDisk::default());
    let options = StoreOptions::new(Arc::new(ManualClock::default())).with_faults(disk.clone());
    let local = open_with(directory.path(), options);
    let lease = lease(&local);
    let bytes = vec![7_u8; 1_000_000];
    let expected = Expected { digest: Some(Digest::of(&bytes)), size: Some(1_000_000) };
    block_on(async {
        let begin = |start| local.content.begin(&lease, "key", expected, start);
        let Begun::Started(mut ingest) = begin(Start::Fresh).await.unwrap() else { panic!("nothing is there") };
        ingest.write(bytes[..400_000].to_vec().into()).await.unwrap();
        ingest.keep().await.unwrap();
        let Begun::Started(mut ingest) = begin(Start::Resume).await.unwrap() else { panic!("nothing is there") };
        disk.0.store(true, Ordering::SeqCst);
        let mut outcome = Ok(());
        for piece in bytes[400_000..].chunks(300_000) {
            outcome = ingest.write(piece.to_vec().into()).await;
            if outcome.is_err() {
                break;
            }
        }
        // Writes are behind, so it may be the commit that tells.
        match outcome {
            Ok(()) => outcome = ingest.commit(None, Labels::new()).await.map(drop),
            Err(_) => drop(ingest),
        }
        assert_eq!(outcome.unwrap_err().kind(), ErrorKind::NoSpace);

        // So is a commit whose bytes fit and whose row does not.
        disk.0.store(false, Ordering::SeqCst);
        let Begun::Started(mut ingest) = begin(Start::Resume).await.unwrap() else { panic!("nothing is there") };
        assert!(ingest.offset() >= 400_000);
        let rest = bytes[ingest.offset() as usize..].to_vec();
        ingest.write(rest.into()).await.unwrap();
        ingest.keep().await.unwrap();
        let Begun::Started(ingest) = begin(Start::Resume).await.unwrap() else { panic!("nothing is there") };
        disk.0.store(true, Ordering::SeqCst);
        let outcome = ingest.commit(None, Labels::new()).await;
        assert_eq!(outcome.unwrap_err().kind(), ErrorKind::NoSpace);
        disk.0.store(false, Ordering::SeqCst);
        let Begun::Started(ingest) = begin(Start::Resume).await.unwrap() else { panic!("nothing is there") };
        assert_eq!(ingest.offset(), 1_000_000, "the bytes of the failed commit are there");
        ingest.commit(None, Labels::new()).await.unwrap();
        let report = local.check(Depth::Bytes, Repair::Report).await.unwrap();
        assert!(report.damage.is_empty(), "{report:?}");
    });
}

#[test]
fn blobs_are_listed_across_pages() {
    let directory = local_support::directory_in_memory();
    let local = open(directory.path());
    let lease = lease(&local);
    block_on(async {
        let mut wanted = Vec::new();
        for number in 0..1203_u32 {
            wanted.push(put(&local, &lease, "key", &number.to_le_bytes()).await.unwrap());
        }
        wanted.sort();
        let listed: Vec<_> = local.content.list().map_ok(|info| info.digest).try_collect().await.unwrap();
        assert_eq!(listed, wanted);
    });
}

#[test]
fn blobs_that_are_collected_while_they_are_listed_are_left_out_and_the_others_are_not() {
    let directory = local_support::directory_in_memory();
    let local = open(directory.path());
    let (kept, dropped) = (lease(&local), lease(&local));
    block_on(async {
        let mut wanted = BTreeSet::new();
        for number in 0..1203_u32 {
            let lease = if number % 2 == 0 { &kept } else { &dropped };
            let digest = put(&local, lease, "key", &number.to_le_bytes()).await.unwrap();
            if number % 2 == 0 {
                wanted.insert(digest);
            }
        }
        let mut list = local.content.list();
        let first = list.try_next().await.unwrap().unwrap().digest;
        local.leases.delete(dropped.id()).await.unwrap();
        assert_eq!(local.collector.collect().await.unwrap().blobs, 601);
        let rest: Vec<_> = list.map_ok(|info| info.digest).try_collect().await.unwrap();
        let listed: BTreeSet<_> = rest.iter().copied().chain([first]).collect();
        assert_eq!(listed.len(), rest.len() + 1);
        assert!(listed.is_superset(&wanted));
        // Only what was read in one page with the first one can be named although it is gone.
        let gone = listed.difference(&wanted).count();
        assert!(gone < 601, "{gone}");
    });
}

#[test]
fn what_a_temporary_lease_held_goes_when_it_is_dropped_or_its_store_closed() {
    let directory = tempfile::tempdir().unwrap();
    let local = open(directory.path());
    block_on(async {
        let temporary = TemporaryLease::create(&*local.leases).await.unwrap();
        let digest = put(&local, temporary.lease(), "key", b"content").await.unwrap();
        assert_eq!(local.collector.collect().await.unwrap().blobs, 0);
        drop(temporary);
        assert_eq!(local.collector.collect().await.unwrap().blobs, 1);
        assert_eq!(local.content.info(&digest).await.unwrap(), None);

        let kept = local.leases.create(LeaseOptions::new(LeaseKind::Temporary)).await.unwrap();
        put(&local, &kept, "key", b"content").await.unwrap();
        let (other, id) = (open(directory.path()), kept.id().to_owned());
        assert!(other.leases.get(&id).await.unwrap().is_some());
        drop((kept, local));
        // The store is closed on a thread of its pool.
        while other.leases.get(&id).await.unwrap().is_some() {
            std::thread::yield_now();
        }
        assert_eq!(other.collector.collect().await.unwrap().blobs, 1);
    });
}
