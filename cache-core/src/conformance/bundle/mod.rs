//! The suite for the bundle of backends: whether its parts belong together.
//!
//! [`bundle_conformance!`](crate::bundle_conformance) runs this suite and, on the parts, all suites of their own.

pub mod service;
pub mod together;

use std::any::Any;
use std::path::PathBuf;
use std::sync::Arc;

use crate::Backends;
use crate::conformance::apply::ApplySubject;
use crate::conformance::collector::CollectorSubject;
use crate::conformance::content::ContentSubject;
use crate::conformance::image::ImageSubject;
use crate::conformance::lease::LeaseSubject;
use crate::conformance::lock::LockSubject;
use crate::conformance::metadata::MetadataSubject;
use crate::conformance::mount::MountSubject;
use crate::conformance::snapshot::SnapshotSubject;
use crate::conformance::{SuiteClock, Unmet};
use crate::error::Result;
use crate::ports::{Collector, ImageStore, Lease, LeaseOptions};

/// Backends as they are given to a cache manager, without anything in them.
#[derive(Debug)]
pub struct BundleSubject {
    backends: Backends,
    clock: SuiteClock,
    scratch: PathBuf,
    images: Option<Arc<dyn ImageStore>>,
    keep: Option<Box<dyn Any + Send + Sync>>,
}

impl BundleSubject {
    /// `backends`, which are empty, the clock from which all of them take their times, and `scratch`, an empty
    /// directory on a file system with extended attributes.
    pub fn new(backends: Backends, clock: SuiteClock, scratch: impl Into<PathBuf>) -> Self {
        Self { backends, clock, scratch: scratch.into(), images: None, keep: None }
    }

    /// The same with the image store whose names keep blobs of the bundle.
    #[must_use]
    pub fn with_images(mut self, images: Arc<dyn ImageStore>) -> Self {
        self.images = Some(images);
        self
    }

    /// The same, holding `keep` (a temporary directory, a server) until the check has ended.
    #[must_use]
    pub fn keeping(mut self, keep: impl Any + Send + Sync) -> Self {
        self.keep = Some(Box::new(keep));
        self
    }

    async fn lease(&self) -> Result<Lease> {
        self.backends.leases.create(LeaseOptions::default()).await
    }

    /// The collector; a bundle may collect by itself when a lease is deleted.
    fn collector(&self) -> Result<Arc<dyn Collector>, Unmet> {
        self.backends.collector.clone().ok_or(Unmet::needs("a collector"))
    }

    /// The content store, for its own suite.
    pub fn into_content(self) -> ContentSubject {
        ContentSubject::new(self.backends.content, self.backends.leases, self.clock).keeping(self.keep)
    }

    /// The lease manager, for its own suite.
    pub fn into_leases(self) -> LeaseSubject {
        LeaseSubject::new(self.backends.leases, self.clock).keeping(self.keep)
    }

    /// The collector, for its own suite; `None` if the bundle has none.
    pub fn into_collector(self) -> Option<CollectorSubject> {
        let collector = self.backends.collector?;
        let subject = CollectorSubject::new(collector, self.backends.content, self.backends.leases, self.clock);
        let subject = match self.images {
            Some(images) => subject.with_images(images),
            None => subject,
        };
        Some(subject.keeping(self.keep))
    }

    /// The metadata store, for its own suite.
    pub fn into_metadata(self) -> MetadataSubject {
        MetadataSubject::new(self.backends.metadata).keeping(self.keep)
    }

    /// The locks, for their own suite.
    pub fn into_locks(self) -> LockSubject {
        LockSubject::new(self.backends.locks).keeping(self.keep)
    }

    /// The image store, for its own suite; `None` if the bundle has none.
    pub fn into_images(self) -> Option<ImageSubject> {
        let subject = ImageSubject::new(self.images?, self.clock);
        Some(subject.with_content(self.backends.content, self.backends.leases).keeping(self.keep))
    }

    /// The snapshotter, for its own suite.
    pub fn into_snapshots(self) -> SnapshotSubject {
        let subject = SnapshotSubject::new(self.backends.snapshotter, self.backends.leases, self.clock)
            .with_trees(self.backends.mounter, self.scratch);
        match self.backends.collector {
            Some(collector) => subject.with_collector(collector, self.backends.content),
            None => subject,
        }
        .keeping(self.keep)
    }

    /// The mounter, for its own suite.
    pub fn into_mounts(self) -> MountSubject {
        MountSubject::new(self.backends.mounter, self.scratch).keeping(self.keep)
    }

    /// The applier, for its own suite; `None` if the bundle has none.
    pub fn into_applier(self) -> Option<ApplySubject> {
        let subject = ApplySubject::new(self.backends.applier?, self.scratch);
        Some(subject.with_content(self.backends.content, self.backends.leases).keeping(self.keep))
    }
}

suite! {
    ($)
    /// One `#[test]` for every check of [`conformance::bundle`](crate::conformance::bundle), each on a fresh subject of
    /// the given factory. [`bundle_conformance!`](crate::bundle_conformance) runs the suites of the parts, too.
    bundle_parts_conformance, bundle, BundleSubject;
    together::one_lease_holds_blobs_and_snapshots,
    together::a_lease_that_ends_frees_blobs_and_snapshots,
    together::what_is_written_in_a_snapshot_is_seen_by_the_next,
    together::a_committed_layer_is_unpacked_into_a_snapshot,
    together::all_take_their_time_from_one_clock,
    service::jobs_may_wait_for_each_other,
    service::a_job_that_fails_takes_no_other_with_it,
    service::a_sleep_ends_after_its_time,
    service::records_and_locks_serve_each_other,
}

/// All suites on a bundle of backends: a module of tests for each part, and one for what they do together. The factory
/// gives a [`BundleSubject`](crate::conformance::bundle::BundleSubject).
#[macro_export]
macro_rules! bundle_conformance {
    ($factory:path) => {
        mod together {
            #[allow(unused_imports, clippy::wildcard_imports)]
            use super::*;
            $crate::bundle_parts_conformance!($factory);
        }
        mod content {
            #[allow(unused_imports, clippy::wildcard_imports)]
            use super::*;
            $crate::content_conformance!((|| $factory().into_content()));
        }
        mod leases {
            #[allow(unused_imports, clippy::wildcard_imports)]
            use super::*;
            $crate::lease_conformance!((|| $factory().into_leases()));
        }
        mod collector {
            #[allow(unused_imports, clippy::wildcard_imports)]
            use super::*;
            $crate::collector_conformance!((|| $factory().into_collector()));
        }
        mod metadata {
            #[allow(unused_imports, clippy::wildcard_imports)]
            use super::*;
            $crate::metadata_conformance!((|| $factory().into_metadata()));
        }
        mod locks {
            #[allow(unused_imports, clippy::wildcard_imports)]
            use super::*;
            $crate::lock_conformance!((|| $factory().into_locks()));
        }
        mod images {
            #[allow(unused_imports, clippy::wildcard_imports)]
            use super::*;
            $crate::image_conformance!((|| $factory().into_images()));
        }
        mod snapshots {
            #[allow(unused_imports, clippy::wildcard_imports)]
            use super::*;
            $crate::snapshot_conformance!((|| $factory().into_snapshots()));
        }
        mod mounts {
            #[allow(unused_imports, clippy::wildcard_imports)]
            use super::*;
            $crate::mount_conformance!((|| $factory().into_mounts()));
        }
        mod applier {
            #[allow(unused_imports, clippy::wildcard_imports)]
            use super::*;
            $crate::apply_conformance!((|| $factory().into_applier()));
        }
    };
}
