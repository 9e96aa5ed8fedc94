//! The local store when the power goes, or a step fails.
#![cfg(all(target_os = "linux", feature = "local"))]
#![allow(clippy::panic, missing_docs)]

mod local_support;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use cache_core::local::{BegunIngest, Faults, Ingest, Step, Store, StoreOptions};
use cache_core::ports::{
    Expected, IndexEntry, LeaseKind, LeaseOptions, MetadataChange, Precondition, Resource, SnapshotKind, Start,
    Uniqueness, Usage,
};
use cache_core::snapshot::NewSnapshot;
use cache_core::{Algorithm, Descriptor, Digest, DigestHasher, Error, ErrorKind, Labels, MediaType, Result};
use local_support::power::PowerCuts;
use local_support::{
    HandClock, assert_clean_after_collection, assert_sound, bytes, commit, directory_in_memory, label, lease,
};

/// What the store has promised.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Promise {
    Lease(String),
    Blob { lease: String, content: Vec<u8>, digest: Digest },
    Kept { lease: String, key: String, content: Vec<u8> },
    Snapshot { lease: String, key: String, kind: SnapshotKind },
    Image(String),
    Record(String),
}

#[derive(Clone, Debug, Default)]
struct Promises(Arc<Mutex<Vec<Promise>>>);

impl Promises {
    fn add(&self, promise: Promise) {
        self.0.lock().expect("no test panicked").push(promise);
    }

    /// To be called before the store is told.
    fn take_back(&self, stays: impl FnMut(&Promise) -> bool) {
        self.0.lock().expect("no test panicked").retain(stays);
    }

    fn all(&self) -> Vec<Promise> {
        self.0.lock().expect("no test panicked").clone()
    }

    #[track_caller]
    fn assert_kept(&self, store: &Arc<Store>, when: &str) {
        for promise in self.all() {
            let holds = |lease: &str, resource: Resource| {
                store.resources(lease).is_ok_and(|resources| resources.contains(&resource))
            };
            let is_kept = match &promise {
                Promise::Lease(lease) => store.lease(lease).expect("a lease is read").is_some(),
                Promise::Blob { lease, content, digest } => {
                    bytes(store, digest).as_ref() == Some(content) && holds(lease, Resource::Content(*digest))
                }
                Promise::Kept { lease, key, content } => {
                    // Without an expected digest nothing but the store itself could tell other bytes from them.
                    let file = store.directory().join("ingest").join(Digest::of(key).hex());
                    let ingest = begin_again(store, lease, key);
                    ingest.status().offset == content.len() as u64
                        && fs::read(file).is_ok_and(|bytes| bytes == *content)
                }
                Promise::Snapshot { lease, key, kind } => {
                    let row = store.snapshot("native", key).expect("a snapshot is read");
                    row.is_some_and(|row| {
                        row.info.kind == *kind && store.snapshots_directory().join(row.id.to_string()).is_dir()
                    }) && holds(lease, Resource::Snapshot { snapshotter: "native".to_owned(), key: key.clone() })
                }
                Promise::Image(name) => store.image(name).expect("an image is read").is_some(),
                Promise::Record(key) => store.record(key).expect("a record is read").is_some(),
            };
            assert!(is_kept, "{when}: {promise:?} is broken");
        }
    }
}

fn sha512(content: &[u8]) -> Digest {
    let mut hasher = DigestHasher::new(Algorithm::Sha512);
    hasher.update(content);
    hasher.finish()
}

fn begin(store: &Arc<Store>, lease: &str, key: &str, expected: Expected, start: Start) -> Result<Box<Ingest>> {
    match store.begin(lease, key, expected, start)? {
        BegunIngest::Started(ingest) => Ok(ingest),
        BegunIngest::AlreadyThere(info) => Err(Error::new(ErrorKind::AlreadyExists, "begin", info.digest)),
    }
}

fn begin_again(store: &Arc<Store>, lease: &str, key: &str) -> Box<Ingest> {
    begin(store, lease, key, Expected::UNKNOWN, Start::Resume).expect("an ingest begins again")
}

/// One of everything that changes the disk.
fn scenario(store: &Arc<Store>, promises: &Promises) -> Result<()> {
    let permanent = store.create_lease(&Default::default())?;
    promises.add(Promise::Lease(permanent.clone()));
    let blob = |lease: &str, content: &[u8], digest: Digest| Promise::Blob {
        lease: lease.to_owned(),
        content: content.to_owned(),
        digest,
    };

    let first = commit(store, &permanent, "first", b"first", &label("a", "1"))?;
    promises.add(blob(&permanent, b"first", first));

    let expected = Expected { digest: Some(sha512(b"second in two parts")), size: Some(19) };
    let mut ingest = begin(store, &permanent, "second", expected, Start::Fresh)?;
    ingest.write(b"second in ")?;
    ingest.keep()?;
    let mut ingest = begin(store, &permanent, "second", expected, Start::Resume)?;
    ingest.write(b"two parts")?;
    let second = ingest.commit(None, &Labels::new())?.into_info().digest;
    promises.add(blob(&permanent, b"second in two parts", second));

    let mut kept = begin(store, &permanent, "kept", Expected::UNKNOWN, Start::Fresh)?;
    kept.write(b"kept")?;
    kept.keep()?;
    let promise = Promise::Kept { lease: permanent.clone(), key: "kept".to_owned(), content: b"kept".to_vec() };
    promises.add(promise.clone());
    let mut kept = begin(store, &permanent, "kept", Expected::UNKNOWN, Start::Resume)?;
    promises.take_back(|given| *given != promise);
    kept.write(b" and more")?;
    kept.keep()?;
    let content = b"kept and more".to_vec();
    promises.add(Promise::Kept { lease: permanent.clone(), key: "kept".to_owned(), content });

    let other = store.create_lease(&Default::default())?;
    commit(store, &other, "again", b"first", &label("b", "2"))?;
    promises.add(blob(&other, b"first", first));

    let labels = Labels::new();
    let directory = store.scratch_directory()?;
    fs::create_dir(directory.join("fs")).and_then(|()| fs::write(directory.join("fs/file"), "data")).expect("scratch");
    let new = NewSnapshot { key: "active".to_owned(), kind: SnapshotKind::Active, parent: None, labels: Labels::new() };
    let active = |kind, key: &str| Promise::Snapshot { lease: permanent.clone(), key: key.to_owned(), kind };
    let row = store.create_snapshot(&permanent, "native", &new, Some(&directory))?;
    promises.add(active(SnapshotKind::Active, "active"));
    promises.take_back(|promise| *promise != active(SnapshotKind::Active, "active"));
    store.commit_snapshot(&permanent, "native", "committed", &row, &labels, Usage { bytes: 4096, inodes: 2 })?;
    promises.add(active(SnapshotKind::Committed, "committed"));

    let target = Descriptor::new(MediaType::new("application/vnd.oci.image.manifest.v1+json"), first, 5);
    store.create_image("image", &target, &labels)?;
    promises.add(Promise::Image("image".to_owned()));

    let entry = IndexEntry { index: "i".to_owned(), value: "v".to_owned(), uniqueness: Uniqueness::Unique };
    store.change_records(&[MetadataChange::Put {
        key: "record".to_owned(),
        value: "value".into(),
        indexes: vec![entry],
        precondition: Precondition::Absent,
    }])?;
    promises.add(Promise::Record("record".to_owned()));

    let temporary = store.create_lease(&LeaseOptions::new(LeaseKind::Temporary))?;
    let third = commit(store, &temporary, "third", b"third", &labels)?;
    let mut dropped = begin(store, &temporary, "dropped", Expected::UNKNOWN, Start::Fresh)?;
    dropped.write(b"dropped")?;
    drop(dropped);
    let mut aborted = begin(store, &temporary, "aborted", Expected::UNKNOWN, Start::Fresh)?;
    aborted.write(b"aborted")?;
    aborted.abort()?;

    promises.take_back(|promise| !matches!(promise, Promise::Blob { lease, .. } if *lease == other));
    store.delete_lease(&other)?;
    store.collect()?;
    store.delete_lease(&temporary)?;
    store.collect()?;
    assert_eq!(store.blob(&third)?, None);
    commit(store, &permanent, "third again", b"third", &labels)?;
    promises.add(blob(&permanent, b"third", third));

    promises.take_back(|promise| *promise != active(SnapshotKind::Committed, "committed"));
    store.remove_snapshot("native", "committed")?;
    promises.take_back(|promise| !matches!(promise, Promise::Blob { digest, .. } if *digest == second));
    store.detach(&permanent, &[Resource::Content(second)])?;
    store.collect()?;
    Ok(())
}

fn options(faults: Arc<dyn Faults>) -> StoreOptions {
    StoreOptions::new(HandClock::new()).with_faults(faults)
}

fn open_without_faults(directory: &Path) -> Result<Arc<Store>> {
    Store::open(directory, StoreOptions::new(HandClock::new()))
}

#[test]
fn a_power_cut_between_any_two_steps_breaks_no_promise() {
    let directory = directory_in_memory();
    let (root, attic) = (directory.path().join("store"), directory.path().join("attic"));
    fs::create_dir(&attic).expect("a directory");
    fs::create_dir(&root).expect("a directory");
    let promises = Promises::default();
    let seen = promises.clone();
    let look = move |image: &Path, when: &str| {
        let store = open_without_faults(image).unwrap_or_else(|error| panic!("{when}: {error:?}"));
        let report = store.check(Default::default(), Default::default()).expect("the check runs");
        assert_eq!(report.damage, [], "{when}");
        seen.assert_kept(&store, when);
        assert_clean_after_collection(&store);
        seen.assert_kept(&store, when);
        let lease = lease(&store, LeaseKind::Permanent);
        for content in [&b"first"[..], b"third", b"new"] {
            let digest = commit(&store, &lease, "after", content, &Labels::new()).expect("the store is usable");
            assert_eq!(bytes(&store, &digest).as_deref(), Some(content), "{when}");
        }
        assert_sound(&store);
    };
    let cuts = Arc::new(PowerCuts::new(&root, &attic, Box::new(look)));
    let store = Store::open(&root, options(cuts.clone())).expect("the store opens");
    scenario(&store, &promises).expect("nothing fails");
    assert!(cuts.steps() > 80, "only {} steps were seen", cuts.steps());
}

/// Fails one step.
#[derive(Debug)]
struct FailAt {
    at: u64,
    errno: i32,
    steps: AtomicU64,
    failed: Mutex<Option<String>>,
}

impl Faults for FailAt {
    fn before(&self, step: Step<'_>) -> io::Result<()> {
        if self.steps.fetch_add(1, Ordering::SeqCst) + 1 == self.at {
            *self.failed.lock().expect("no test panicked") = Some(format!("{step:?}"));
            return Err(io::Error::from_raw_os_error(self.errno));
        }
        Ok(())
    }
}

fn fail_every_step(errno: i32, kind: ErrorKind) {
    for at in 1.. {
        let directory = directory_in_memory();
        let root: PathBuf = directory.path().join("store");
        let faults = Arc::new(FailAt { at, errno, steps: AtomicU64::new(0), failed: Mutex::default() });
        let promises = Promises::default();
        let opened = Store::open(&root, options(faults.clone()));
        let outcome = opened.clone().and_then(|store| scenario(&store, &promises));
        let failed = faults.failed.lock().expect("no test panicked").take();
        let Some(when) = failed else {
            outcome.expect("no step failed");
            assert!(at > 80, "only {at} steps were seen");
            return;
        };
        if let Err(error) = outcome {
            assert_eq!(error.kind(), kind, "{when}: {error:?}");
        }
        // The same opening, where there is one, is usable at once.
        let store = opened.or_else(|_| open_without_faults(&root)).expect("the store opens");
        promises.assert_kept(&store, &when);
        assert_sound(&store);
        let again = open_without_faults(&root).expect("the store opens");
        scenario_of_another(&again).unwrap_or_else(|error| panic!("{when}: {error:?}"));
        drop(again);
        assert_clean_after_collection(&store);
        promises.assert_kept(&store, &when);
    }
}

/// The scenario's commits, by somebody who finds what a failure left.
fn scenario_of_another(store: &Arc<Store>) -> Result<()> {
    let lease = store.create_lease(&Default::default())?;
    for (key, content) in [("first", &b"first"[..]), ("second", b"second in two parts"), ("third", b"third")] {
        let digest = commit(store, &lease, &format!("{key} of another"), content, &Labels::new())?;
        assert_eq!(bytes(store, &digest).as_deref(), Some(content));
    }
    Ok(())
}

#[test]
fn a_full_disk_at_any_step_is_no_space_and_the_store_stays_usable() {
    fail_every_step(28, ErrorKind::NoSpace);
}

#[test]
fn a_failing_disk_at_any_step_is_an_error_and_the_store_stays_sound() {
    fail_every_step(5, ErrorKind::Unavailable);
}
