//! The memory backends keep the contracts of their ports.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

use std::sync::Arc;

use cache_core::conformance::collector::CollectorSubject;
use cache_core::conformance::content::ContentSubject;
use cache_core::conformance::export::ExportSubject;
use cache_core::conformance::image::ImageSubject;
use cache_core::conformance::lease::LeaseSubject;
use cache_core::conformance::lock::LockSubject;
use cache_core::conformance::metadata::MetadataSubject;
use cache_core::conformance::{SuiteClock, block_on};
use cache_core::memory::{ManualClock, Memory, MemoryRemote};
use cache_core::ports::{LeaseManager, LeaseOptions, Leased};

fn memory() -> (Memory, SuiteClock) {
    let clock = Arc::new(ManualClock::default());
    (Memory::new(clock.clone()), SuiteClock::Manual(clock))
}

mod content {
    use super::*;

    fn subject() -> ContentSubject {
        let (memory, clock) = memory();
        ContentSubject::new(memory.content, memory.leases, clock)
    }

    cache_core::content_conformance!(subject);
}

mod leases {
    use super::*;

    fn subject() -> LeaseSubject {
        let (memory, clock) = memory();
        LeaseSubject::new(memory.leases, clock)
    }

    cache_core::lease_conformance!(subject);
}

mod metadata {
    use super::*;

    fn subject() -> MetadataSubject {
        MetadataSubject::new(memory().0.metadata)
    }

    cache_core::metadata_conformance!(subject);
}

mod locks {
    use super::*;

    fn subject() -> LockSubject {
        LockSubject::new(memory().0.locks)
    }

    cache_core::lock_conformance!(subject);
}

mod images {
    use super::*;

    fn subject() -> ImageSubject {
        let (memory, clock) = memory();
        ImageSubject::new(memory.images, clock).with_content(memory.content, memory.leases)
    }

    cache_core::image_conformance!(subject);
}

mod collector {
    use super::*;

    fn subject() -> CollectorSubject {
        let (memory, clock) = memory();
        CollectorSubject::new(memory.collector, memory.content, memory.leases, clock).with_images(memory.images)
    }

    cache_core::collector_conformance!(subject);
}

mod export_to_a_leased_store {
    use super::*;

    fn subject() -> ExportSubject {
        let (memory, _) = memory();
        let lease = block_on(memory.leases.create(LeaseOptions::default())).unwrap();
        let target = Leased::new(memory.content.clone(), lease);
        ExportSubject::with_provider(Arc::new(target), memory.content)
    }

    cache_core::export_conformance!(subject);
}

mod export_to_a_remote {
    use super::*;

    fn subject() -> ExportSubject {
        let remote = Arc::new(MemoryRemote::new(Arc::new(ManualClock::default())));
        ExportSubject::with_fetcher(remote.clone(), remote)
    }

    cache_core::export_conformance!(subject);
}
