//! The local content store keeps the contract of content stores.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

use std::sync::Arc;

use cache_core::ThreadPool;
use cache_core::conformance::content::ContentSubject;
use cache_core::conformance::{SuiteClock, block_on};
use cache_core::local::{Local, StoreOptions};
use cache_core::memory::ManualClock;

fn subject() -> ContentSubject {
    let clock = Arc::new(ManualClock::default());
    let directory = tempfile::tempdir().unwrap();
    let options = StoreOptions::new(clock.clone());
    let local = block_on(Local::open(directory.path(), Arc::new(ThreadPool::new()), options)).unwrap();
    ContentSubject::new(local.content, local.leases, SuiteClock::Manual(clock)).keeping(directory)
}

cache_core::content_conformance!(subject);
