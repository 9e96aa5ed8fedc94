//! The embedded store keeps the contracts of the ports that it implements.
#![cfg(all(feature = "local", target_os = "linux"))]
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

mod driver_support;

use std::sync::Arc;

use cache_core::ThreadPool;
use cache_core::conformance::collector::CollectorSubject;
use cache_core::conformance::content::ContentSubject;
use cache_core::conformance::export::ExportSubject;
use cache_core::conformance::image::ImageSubject;
use cache_core::conformance::lease::LeaseSubject;
use cache_core::conformance::lock::LockSubject;
use cache_core::conformance::metadata::MetadataSubject;
use cache_core::conformance::{SuiteClock, block_on};
use cache_core::driver::DriverContent;
use cache_core::local::{Local, StoreOptions};
use cache_core::memory::ManualClock;
use cache_core::ports::{Clock, LeaseManager, LeaseOptions, Leased};
use tempfile::TempDir;

fn open(directory: &TempDir, clock: Arc<dyn Clock>) -> Local {
    block_on(Local::open(directory.path(), Arc::new(ThreadPool::new()), StoreOptions::new(clock))).unwrap()
}

fn local() -> (Local, SuiteClock, TempDir) {
    let directory = TempDir::new().unwrap();
    let clock = Arc::new(ManualClock::default());
    (open(&directory, clock.clone()), SuiteClock::Manual(clock), directory)
}

mod content {
    use super::*;

    fn subject() -> ContentSubject {
        let (local, clock, directory) = local();
        ContentSubject::new(local.content, local.leases, clock).keeping(directory)
    }

    cache_core::content_conformance!(subject);
}

/// A store of the bytes of a map, of which the local store knows.
mod content_over_a_driver {
    use super::*;

    fn subject() -> ContentSubject {
        let clock = Arc::new(ManualClock::default());
        let directory = TempDir::new().unwrap();
        let local = open(&directory, clock.clone());
        let objects = Arc::new(driver_support::Objects::default());
        let content = DriverContent::new(objects, local.leases.clone(), local.metadata, clock.clone());
        ContentSubject::new(Arc::new(content), local.leases, SuiteClock::Manual(clock)).keeping(directory)
    }

    cache_core::content_conformance!(subject);
}

mod leases {
    use super::*;

    fn subject() -> LeaseSubject {
        let (local, clock, directory) = local();
        LeaseSubject::new(local.leases, clock).keeping(directory)
    }

    cache_core::lease_conformance!(subject);
}

mod collector {
    use super::*;

    fn subject() -> CollectorSubject {
        let (local, clock, directory) = local();
        CollectorSubject::new(local.collector, local.content, local.leases, clock)
            .with_images(local.images)
            .keeping(directory)
    }

    cache_core::collector_conformance!(subject);
}

mod metadata {
    use super::*;

    fn subject() -> MetadataSubject {
        let (local, _, directory) = local();
        MetadataSubject::new(local.metadata).keeping(directory)
    }

    cache_core::metadata_conformance!(subject);
}

mod locks {
    use super::*;

    /// Every second holder opens the store for itself, as another process would.
    fn subject() -> LockSubject {
        let (local, _, directory) = local();
        let other = open(&directory, Arc::new(ManualClock::default()));
        LockSubject::new(local.locks).with_other_handle(other.locks).keeping(directory)
    }

    cache_core::lock_conformance!(subject);
}

mod images {
    use super::*;

    fn subject() -> ImageSubject {
        let (local, clock, directory) = local();
        ImageSubject::new(local.images, clock).with_content(local.content, local.leases).keeping(directory)
    }

    cache_core::image_conformance!(subject);
}

mod export {
    use super::*;

    fn subject() -> ExportSubject {
        let (local, _, directory) = local();
        let lease = block_on(local.leases.create(LeaseOptions::default())).unwrap();
        let target = Leased::new(local.content.clone(), lease);
        ExportSubject::with_provider(Arc::new(target), local.content).keeping(directory)
    }

    cache_core::export_conformance!(subject);
}

#[cfg(target_os = "linux")]
mod snapshots {
    use cache_core::conformance::snapshot::SnapshotSubject;
    use cache_core::mount::LinuxMounter;
    use cache_core::ports::Pool;
    use cache_core::snapshot::{DirectorySnapshotter, Durability, NativeOptions, OverlayfsOptions, SnapshotRows};

    use super::*;

    fn subject(
        name: &str,
        make: impl FnOnce(Arc<dyn SnapshotRows>, Arc<dyn Pool>) -> cache_core::Result<DirectorySnapshotter>,
    ) -> SnapshotSubject {
        let (local, clock, directory) = local();
        let beside = TempDir::new().unwrap();
        for name in ["mounts", "scratch"] {
            std::fs::create_dir(beside.path().join(name)).unwrap();
        }
        let pool: Arc<dyn Pool> = Arc::new(ThreadPool::new());
        let snapshotter = make(local.snapshots(name), Arc::clone(&pool)).unwrap();
        let mounter = LinuxMounter::new(pool, beside.path().join("mounts"));
        SnapshotSubject::new(Arc::new(snapshotter), local.leases, clock)
            .with_trees(Arc::new(mounter), beside.path().join("scratch"))
            .with_collector(local.collector, local.content)
            .keeping((directory, beside))
    }

    mod native {
        use super::*;

        fn subject() -> SnapshotSubject {
            let options = NativeOptions::default().with_durability(Durability::Relaxed);
            super::subject("native", |rows, pool| DirectorySnapshotter::native(rows, pool, options))
        }

        cache_core::snapshot_conformance!(subject);
    }

    /// Layers need the right to mount.
    mod overlayfs {
        use super::*;

        fn subject() -> SnapshotSubject {
            let options = OverlayfsOptions::default().with_durability(Durability::Relaxed);
            super::subject("overlayfs", |rows, pool| block_on(DirectorySnapshotter::overlayfs(rows, pool, options)))
        }

        cache_core::snapshot_conformance!(subject);
    }
}
