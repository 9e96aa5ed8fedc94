//! The memory content store keeps the contract of content stores.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

use std::sync::Arc;

use cache_core::conformance::SuiteClock;
use cache_core::conformance::content::ContentSubject;
use cache_core::memory::{ManualClock, Memory};

fn subject() -> ContentSubject {
    let clock = Arc::new(ManualClock::default());
    let memory = Memory::new(clock.clone());
    ContentSubject::new(memory.content, memory.leases, SuiteClock::Manual(clock))
}

cache_core::content_conformance!(subject);
