//! What the tests of the local store share.
#![allow(clippy::panic, missing_docs)]
#![allow(dead_code, reason = "each test binary uses its part")]

pub(crate) mod child;
pub(crate) mod power;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use cache_core::local::{BegunIngest, CheckReport, Depth, Garbage, Ingest, Repair, Store, StoreOptions};
use cache_core::ports::{Clock, Expected, LeaseKind, LeaseOptions, Start};
use cache_core::{Digest, ErrorKind, Labels, Result, Timestamp};
use futures::future::{BoxFuture, ready};

/// A clock that stands still until it is moved.
#[derive(Debug)]
pub(crate) struct HandClock(AtomicI64);

impl HandClock {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self(AtomicI64::new(1_700_000_000)))
    }

    pub(crate) fn advance(&self, duration: Duration) {
        self.0.fetch_add(duration.as_secs() as i64, Ordering::SeqCst);
    }
}

impl Clock for HandClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_unix(self.0.load(Ordering::SeqCst), 0).expect("a time of this century")
    }

    fn sleep(&self, _: Duration) -> BoxFuture<'static, ()> {
        Box::pin(ready(()))
    }
}

pub(crate) fn open(directory: &Path) -> Arc<Store> {
    Store::open(directory, StoreOptions::new(HandClock::new())).expect("the store opens")
}

pub(crate) fn lease(store: &Store, kind: LeaseKind) -> String {
    store.create_lease(&LeaseOptions::new(kind)).expect("a lease")
}

pub(crate) fn start(store: &Arc<Store>, lease: &str, key: &str, expected: Expected, start: Start) -> Box<Ingest> {
    match store.begin(lease, key, expected, start).expect("the ingest begins") {
        BegunIngest::Started(ingest) => ingest,
        BegunIngest::AlreadyThere(info) => panic!("{} is there", info.digest),
    }
}

/// Commits `content` in one go.
pub(crate) fn commit(store: &Arc<Store>, lease: &str, key: &str, content: &[u8], labels: &Labels) -> Result<Digest> {
    match store.begin(lease, key, Expected::UNKNOWN, Start::Fresh)? {
        BegunIngest::AlreadyThere(info) => Ok(info.digest),
        BegunIngest::Started(mut ingest) => {
            ingest.write(content)?;
            Ok(ingest.commit(None, labels)?.into_info().digest)
        }
    }
}

pub(crate) fn bytes(store: &Store, digest: &Digest) -> Option<Vec<u8>> {
    let mut blob = store.open_blob(digest).expect("the blob opens")?;
    let mut bytes = Vec::new();
    std::io::Read::read_to_end(&mut blob.file, &mut bytes).expect("the blob is read");
    Some(bytes)
}

/// Everything agrees, to the last byte.
#[track_caller]
pub(crate) fn assert_sound(store: &Store) -> CheckReport {
    let report = store.check(Depth::Bytes, Repair::Report).expect("the check runs");
    assert_eq!(report.damage, [], "{report:?}");
    report
}

/// Everything agrees, and a collection leaves no name without a row.
#[track_caller]
pub(crate) fn assert_clean_after_collection(store: &Store) {
    store.collect().expect("the collection runs");
    let report = assert_sound(store);
    let names: Vec<_> = report.garbage.iter().filter(|garbage| matches!(garbage, Garbage::Name(_))).collect();
    assert!(names.is_empty(), "{names:?}");
}

#[track_caller]
pub(crate) fn assert_kind<T: std::fmt::Debug>(outcome: Result<T>, kind: ErrorKind) {
    assert_eq!(outcome.expect_err("an error").kind(), kind);
}

pub(crate) fn label(name: &str, value: &str) -> Labels {
    Labels::from([(name.to_owned(), value.to_owned())])
}

/// A directory in memory, if the system has some for us: for tests of what does not depend on the disk.
pub(crate) fn directory_in_memory() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }.expect("a directory")
}
