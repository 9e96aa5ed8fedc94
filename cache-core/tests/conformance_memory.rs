//! The memory backends keep the contracts of their ports.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

use std::sync::Arc;

use cache_core::conformance::SuiteClock;
use cache_core::conformance::content::ContentSubject;
use cache_core::conformance::lease::LeaseSubject;
use cache_core::conformance::metadata::MetadataSubject;
use cache_core::memory::{ManualClock, Memory};

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
