//! The choice of a snapshotter.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

mod snapshot_support;

use std::fs;
use std::sync::Arc;

use cache_core::memory::ManualClock;
use cache_core::ports::{Clock, Pool, Snapshotter};
use cache_core::snapshot::{DirectorySnapshotter, Durability, MemoryRows, SnapshotRows, overlayfs_works};
use cache_core::{ErrorKind, Result, ThreadPool};
use pollster::block_on;
use rustix::fs::{Mode, OFlags};
use snapshot_support::may_mount;

fn rows(directory: &tempfile::TempDir, name: &str, pool: &Arc<dyn Pool>) -> Result<Arc<dyn SnapshotRows>> {
    let path = directory.path().join(name);
    fs::create_dir(&path).unwrap();
    let clock: Arc<dyn Clock> = Arc::new(ManualClock::default());
    Ok(Arc::new(block_on(MemoryRows::open(path, name, Arc::clone(pool), clock))?))
}

fn auto(directory: &tempfile::TempDir) -> DirectorySnapshotter {
    let pool: Arc<dyn Pool> = Arc::new(ThreadPool::new());
    let made = DirectorySnapshotter::auto(|name| rows(directory, name, &pool), Arc::clone(&pool), Durability::Relaxed);
    block_on(made).unwrap()
}

#[test]
fn overlayfs_is_chosen_exactly_where_it_works() {
    let directory = tempfile::tempdir().unwrap();
    let pool: Arc<dyn Pool> = Arc::new(ThreadPool::new());
    let probe = rows(&directory, "probe", &pool).unwrap();
    let works = block_on(overlayfs_works(&*probe, pool));
    let chosen = auto(&directory);
    assert_eq!(chosen.name(), if works.is_ok() { "overlayfs" } else { "native" });
    if !rustix::process::geteuid().is_root() {
        assert_eq!(works.unwrap_err().kind(), ErrorKind::PermissionDenied);
    }
}

#[test]
fn layers_that_cannot_lie_on_the_file_system_make_it_native() {
    if !may_mount() {
        return;
    }
    // An overlay cannot be the upper directory of another one.
    let outer = tempfile::tempdir().unwrap();
    let path = |name: &str| outer.path().join(name);
    for name in ["lower", "upper", "work", "merged"] {
        fs::create_dir(path(name)).unwrap();
    }
    let layers = cache_core::mount::OverlayLayers {
        lower: vec![path("lower")],
        upper: Some(path("upper")),
        work: Some(path("work")),
        options: Vec::new(),
    };
    let chosen = cache_core::mount::run_attached(&[layers.to_mount().unwrap()], &path("merged"), |merged| {
        // The pool's threads are started from this one, and so are in its namespace.
        let directory = tempfile::tempdir_in(merged).unwrap();
        let statfs = rustix::fs::fstatfs(rustix::fs::open(merged, OFlags::PATH, Mode::empty()).unwrap()).unwrap();
        assert_eq!(statfs.f_type as u64, 0x794c_7630, "it is no overlay");
        auto(&directory).name().to_owned()
    });
    assert_eq!(chosen.unwrap(), "native");
}
