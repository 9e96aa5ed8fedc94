//! What every public type of the suites and of the memory backends promises.
#![allow(missing_docs)]

use std::fmt::Debug;

use cache_core::conformance::collector::CollectorSubject;
use cache_core::conformance::content::ContentSubject;
use cache_core::conformance::export::ExportSubject;
use cache_core::conformance::fetch::FetchSubject;
use cache_core::conformance::image::ImageSubject;
use cache_core::conformance::lease::LeaseSubject;
use cache_core::conformance::lock::LockSubject;
use cache_core::conformance::metadata::MetadataSubject;
use cache_core::conformance::{Check, Fault, Faulty, SuiteClock, Unmet, Unproven, Violation};
use cache_core::memory::{
    ManualClock, Memory, MemoryCollector, MemoryContent, MemoryImages, MemoryLeases, MemoryLocks, MemoryMetadata,
    MemoryRemote,
};

fn promises<T: Debug + Send + Sync>() {}

#[test]
fn everything_public_is_debug_send_and_sync() {
    promises::<(ManualClock, Memory, MemoryCollector, MemoryContent, MemoryImages, MemoryLeases, MemoryLocks)>();
    promises::<(MemoryMetadata, MemoryRemote)>();
    promises::<(Check<LockSubject>, Fault, Faulty<MemoryContent>, SuiteClock, Unmet, Unproven, Violation)>();
    promises::<(CollectorSubject, ContentSubject, ExportSubject, FetchSubject, ImageSubject, LeaseSubject)>();
    promises::<(LockSubject, MetadataSubject)>();
}

#[cfg(target_os = "linux")]
#[test]
fn everything_public_about_trees_is_debug_send_and_sync() {
    use cache_core::conformance::apply::ApplySubject;
    use cache_core::conformance::bundle::BundleSubject;
    use cache_core::conformance::diff::DiffSubject;
    use cache_core::conformance::mount::MountSubject;
    use cache_core::conformance::snapshot::SnapshotSubject;

    promises::<(ApplySubject, BundleSubject, DiffSubject, MountSubject, SnapshotSubject)>();
}
