//! The local backends keep the contracts of their ports.
#![cfg(all(target_os = "linux", feature = "local"))]
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

use std::sync::Arc;

use cache_core::ThreadPool;
use cache_core::conformance::content::ContentSubject;
use cache_core::conformance::lease::LeaseSubject;
use cache_core::conformance::metadata::MetadataSubject;
use cache_core::conformance::{SuiteClock, block_on};
use cache_core::local::{Local, StoreOptions};
use cache_core::memory::ManualClock;
use tempfile::TempDir;

fn local() -> (Local, SuiteClock, TempDir) {
    let clock = Arc::new(ManualClock::default());
    let directory = tempfile::tempdir().unwrap();
    let options = StoreOptions::new(clock.clone());
    let local = block_on(Local::open(directory.path(), Arc::new(ThreadPool::new()), options)).unwrap();
    (local, SuiteClock::Manual(clock), directory)
}

mod content {
    use super::*;

    fn subject() -> ContentSubject {
        let (local, clock, directory) = local();
        ContentSubject::new(local.content, local.leases, clock).keeping(directory)
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

mod metadata {
    use super::*;

    fn subject() -> MetadataSubject {
        let (local, _, directory) = local();
        MetadataSubject::new(local.metadata).keeping(directory)
    }

    cache_core::metadata_conformance!(subject);
}
