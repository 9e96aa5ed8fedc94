//! The memory backends are a bundle, and every check of the bundle suite can fail.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

use std::sync::Arc;

use cache_core::conformance::bundle::{BundleSubject, CHECKS};
use cache_core::conformance::{Fault, Faulty, SuiteClock, block_on, prove};
use cache_core::memory::{ManualClock, Memory};
use cache_core::mount::LinuxMounter;
use cache_core::ports::{Clock, Pool};
use cache_core::snapshot::{DirectorySnapshotter, Durability, MemoryRows, NativeOptions};
use cache_core::{Backends, ThreadPool};
use tempfile::TempDir;

const FAULTS: &[(&str, Fault)] = &[
    ("one_lease_holds_blobs_and_snapshots", Fault::LeaseNotAttached),
    ("a_lease_that_ends_frees_blobs_and_snapshots", Fault::CollectsNothing),
    ("a_lease_that_ends_frees_blobs_and_snapshots", Fault::CollectsLeased),
    ("a_lease_that_ends_frees_blobs_and_snapshots", Fault::ForgetsExpiry),
    ("what_is_written_in_a_snapshot_is_seen_by_the_next", Fault::MountsNothing),
    ("what_is_written_in_a_snapshot_is_seen_by_the_next", Fault::ForgetsParent),
    ("all_take_their_time_from_one_clock", Fault::ClockStoppedLongAgo),
    ("jobs_may_wait_for_each_other", Fault::RunsJobsInTurn),
    ("a_job_that_fails_takes_no_other_with_it", Fault::DropsJobs),
    ("a_sleep_ends_after_its_time", Fault::SleepsEndAtOnce),
    ("a_sleep_ends_after_its_time", Fault::SleepsNeverEnd),
    ("records_and_locks_serve_each_other", Fault::AcquireDoesNotWait),
];

/// The parts are faulty one by one: each is made of sound ones.
fn subject(fault: Fault) -> BundleSubject {
    let directory = TempDir::new().unwrap();
    for name in ["snapshots", "mounts", "scratch"] {
        std::fs::create_dir(directory.path().join(name)).unwrap();
    }
    let manual = Arc::new(ManualClock::default());
    let clock: Arc<dyn Clock> = manual.clone();
    let memory = Memory::new(clock.clone());
    let pool: Arc<dyn Pool> = Arc::new(ThreadPool::new());
    let rows = MemoryRows::open(directory.path().join("snapshots"), "native", pool.clone(), clock.clone());
    let rows = Arc::new(block_on(rows).unwrap().bound_to(memory.leases.clone()));
    let options = NativeOptions::default().with_durability(Durability::Relaxed);
    let native = Arc::new(DirectorySnapshotter::native(rows, pool.clone(), options).unwrap());
    memory.collector.add_snapshotter(native.clone());
    let mounter = Arc::new(LinuxMounter::new(pool.clone(), directory.path().join("mounts")));
    let collector = Faulty::new(memory.collector, fault).overlooking(memory.leases.clone());
    let backends = Backends {
        content: Arc::new(Faulty::new(memory.content, fault)),
        snapshotter: Arc::new(Faulty::new(native, fault)),
        leases: Arc::new(Faulty::new(memory.leases, fault)),
        metadata: Arc::new(Faulty::new(memory.metadata, fault)),
        locks: Arc::new(Faulty::new(memory.locks, fault)),
        mounter: Arc::new(Faulty::new(mounter, fault)),
        applier: None,
        collector: Some(Arc::new(collector)),
        pool: Arc::new(Faulty::new(pool, fault)),
        clock: Arc::new(Faulty::new(clock, fault)),
    };
    BundleSubject::new(backends, SuiteClock::Manual(manual), directory.path().join("scratch"))
        .with_images(memory.images)
        .keeping(directory)
}

#[test]
fn every_check_of_bundles_can_fail() {
    let passed_over = prove(CHECKS, FAULTS, subject).unwrap();
    assert_eq!(
        passed_over,
        ["a_committed_layer_is_unpacked_into_a_snapshot"],
        "proven in cache-blobs, where an applier is"
    );
}

fn sound() -> BundleSubject {
    subject(Fault::None)
}

cache_core::bundle_conformance!(sound);
