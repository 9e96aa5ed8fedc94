//! What every public type promises.
#![allow(clippy::panic, clippy::unwrap_used, missing_docs)]

use std::fmt::Debug;
use std::sync::mpsc;

use cache_core::driver::DriverContent;
use cache_core::ports::{
    Begun, BlobInfo, Clock, Committed, DiffOptions, Image, IngestStatus, Lease, LeaseOptions, Mount, NoProgress, Phase,
    Pool, PoolExt, SnapshotInfo, TemporaryLease,
};
use cache_core::{
    Backends, BlobChain, Compression, CompressionConfig, Descriptor, Digest, Error, ErrorKind, Layer, MediaType,
    Platform, SystemClock, ThreadPool, Timestamp,
};

fn promises<T: Debug + Send + Sync>() {}

#[test]
fn everything_public_is_debug_send_and_sync() {
    promises::<(Backends, BlobChain, Compression, CompressionConfig, Descriptor, Digest, Error)>();
    promises::<(Layer, MediaType, Platform, SystemClock, ThreadPool, Timestamp)>();
    promises::<(Begun, BlobInfo, Committed, DiffOptions, Image, IngestStatus, Lease, LeaseOptions)>();
    promises::<(DriverContent, Mount, NoProgress, Phase, SnapshotInfo, TemporaryLease)>();
    promises::<(cache_core::cache::MissingBlobs, cache_core::variants::VariantWalk<'_>)>();
}

#[test]
fn an_error_names_operation_and_target_and_keeps_its_cause_apart() {
    let cause = std::io::Error::from(std::io::ErrorKind::StorageFull);
    let error = Error::io("write blob", "sha256:x", cause);
    assert_eq!(error.kind(), ErrorKind::NoSpace);
    assert_eq!(error.to_string(), "write blob sha256:x: no space");
    assert!(std::error::Error::source(&error.clone()).is_some());
}

#[test]
fn pool_jobs_may_wait_for_each_other() {
    let pool = ThreadPool::new();
    let mut receiver = None;
    for _ in 0..32 {
        let (sender, next) = mpsc::channel::<()>();
        let previous = receiver.replace(next);
        pool.spawn(Box::new(move || {
            if let Some(previous) = previous {
                previous.recv().unwrap();
            }
            sender.send(()).unwrap();
        }))
        .unwrap();
    }
    receiver.unwrap().recv().unwrap();
}

#[test]
fn a_panicking_job_is_a_cancelled_call_and_the_pool_lives_on() {
    let pool = ThreadPool::new();
    let panicked: Result<(), Error> = pollster::block_on(pool.run(|| panic!("on purpose")));
    assert_eq!(panicked.unwrap_err().kind(), ErrorKind::Cancelled);
    assert_eq!(pollster::block_on(pool.run(|| Ok(7))).unwrap(), 7);
}

#[test]
fn a_sleep_ends_after_its_time() {
    let clock = SystemClock::new(std::sync::Arc::new(ThreadPool::new()));
    let before = clock.now();
    pollster::block_on(clock.sleep(std::time::Duration::from_millis(1)));
    assert!(clock.now() > before);
}
