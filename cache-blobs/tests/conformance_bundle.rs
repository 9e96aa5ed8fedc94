//! The embedded store with the applier is a bundle that keeps all contracts.
#![cfg(all(target_os = "linux", feature = "local"))]
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

use std::sync::Arc;

use cache_blobs::LayerApplier;
use cache_core::conformance::bundle::{BundleSubject, CHECKS};
use cache_core::conformance::{Fault, Faulty, SuiteClock, block_on, prove};
use cache_core::local::{Local, StoreOptions};
use cache_core::memory::ManualClock;
use cache_core::mount::LinuxMounter;
use cache_core::ports::Pool;
use cache_core::snapshot::{DirectorySnapshotter, Durability};
use cache_core::{Backends, ThreadPool};
use tempfile::TempDir;

const UNPACKED: &str = "a_committed_layer_is_unpacked_into_a_snapshot";

fn subject(fault: Fault) -> BundleSubject {
    let (directory, beside) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    for name in ["mounts", "scratch"] {
        std::fs::create_dir(beside.path().join(name)).unwrap();
    }
    let clock = Arc::new(ManualClock::default());
    let pool: Arc<dyn Pool> = Arc::new(ThreadPool::new());
    let options = StoreOptions::new(clock.clone());
    let local = block_on(Local::open(directory.path(), pool.clone(), options)).unwrap();
    let rows = |name: &str| Ok(local.snapshots(name) as _);
    let snapshotter = block_on(DirectorySnapshotter::auto(rows, pool.clone(), Durability::Relaxed)).unwrap();
    let mounter = Arc::new(LinuxMounter::new(pool.clone(), beside.path().join("mounts")));
    let applier = LayerApplier::new(local.content.clone(), mounter.clone(), pool.clone(), Default::default());
    let backends = Backends {
        content: local.content,
        snapshotter: Arc::new(snapshotter),
        leases: local.leases,
        metadata: local.metadata,
        locks: local.locks,
        mounter,
        applier: Some(Arc::new(Faulty::new(Arc::new(applier), fault))),
        collector: Some(local.collector),
        pool,
        clock: clock.clone(),
    };
    BundleSubject::new(backends, SuiteClock::Manual(clock), beside.path().join("scratch"))
        .with_images(local.images)
        .keeping((directory, beside))
}

#[test]
fn the_check_of_the_applier_can_fail() {
    let check: Vec<_> = CHECKS.iter().copied().filter(|check| check.name == UNPACKED).collect();
    assert_eq!(prove(&check, &[(UNPACKED, Fault::UnpacksNothing)], subject).unwrap(), [""; 0]);
}

fn sound() -> BundleSubject {
    subject(Fault::None)
}

cache_core::bundle_conformance!(sound);
