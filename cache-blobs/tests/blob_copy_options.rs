//! What a copy can be asked for besides the bytes: labels, progress, an end, a key of its own.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use cache_blobs::{BlobSource, BusyKey, CopyError, CopyOptions, copy_blob};
use cache_core::memory::{ManualClock, Memory};
use cache_core::ports::{
    Begun, Committed, Expected, ExportTarget, Ingester, Lease, LeaseKind, LeaseManager, LeaseOptions, Leased, Manager,
    Phase, Progress, ProgressEvent, Start,
};
use cache_core::{Descriptor, ErrorKind, Labels, MediaType};
use pollster::block_on;

const CONTENT: Bytes = Bytes::from_static(b"what is copied");

fn descriptor() -> Descriptor {
    Descriptor::of(MediaType::OCI_LAYER, &CONTENT)
}

fn store() -> (Memory, Lease, Leased) {
    let memory = Memory::new(Arc::new(ManualClock::default()));
    let lease = block_on(memory.leases.create(LeaseOptions::new(LeaseKind::Temporary))).unwrap();
    let target = Leased::new(Arc::clone(&memory.content) as Arc<dyn Ingester>, lease.clone());
    (memory, lease, target)
}

fn copy(target: &Leased, options: &CopyOptions<'_>) -> Result<Committed, CopyError> {
    block_on(copy_blob(BlobSource::Bytes(&CONTENT), target, &descriptor(), "copy", options))
}

/// Leaves `bytes` for the next copy.
fn leave(target: &Leased, bytes: Bytes) {
    let Begun::Started(mut ingest) = block_on(target.begin("copy", Expected::of(&descriptor()))).unwrap() else {
        panic!("the blob is not there yet")
    };
    block_on(ingest.write(bytes)).unwrap();
    block_on(ingest.keep()).unwrap();
}

fn labels<const N: usize>(labels: [(&str, &str); N]) -> Labels {
    labels.map(|(key, value)| (key.to_owned(), value.to_owned())).into()
}

#[test]
fn a_blob_that_is_there_gets_the_labels_where_a_manager_is_given() {
    let (memory, _, target) = store();
    let first = CopyOptions::default().with_labels(labels([("kept", "1"), ("changed", "1")]));
    copy(&target, &first).unwrap();
    let second = CopyOptions::default().with_labels(labels([("changed", "2"), ("new", "2")]));
    assert_eq!(copy(&target, &second).unwrap().info().labels, first.labels);
    let managed = second.with_manager(&*memory.content);
    let copied = copy(&target, &managed).unwrap();
    assert!(matches!(copied, Committed::AlreadyThere(_)));
    assert_eq!(copied.info().labels, labels([("changed", "2"), ("kept", "1"), ("new", "2")]));
    assert_eq!(block_on(memory.content.info(&descriptor().digest)).unwrap().as_ref(), Some(copied.info()));
}

#[test]
fn a_stopped_copy_is_cancelled_and_keeps_what_it_had() {
    let (memory, _, target) = store();
    let stop = AtomicBool::new(true);
    let stopped = CopyOptions::default().with_stop(&stop);
    assert_eq!(copy(&target, &stopped).unwrap_err().kind(), ErrorKind::Cancelled);
    assert_eq!(block_on(memory.content.ingests()).unwrap(), [], "it had nothing");
    leave(&target, CONTENT.slice(..5));
    assert_eq!(copy(&target, &stopped).unwrap_err().kind(), ErrorKind::Cancelled);
    assert_eq!(block_on(memory.content.ingests()).unwrap()[0].offset, 5);
    copy(&target, &CopyOptions::default().with_stop(&AtomicBool::new(false))).unwrap();
}

#[test]
fn a_taken_key_is_busy_unless_another_may_be_used() {
    let (memory, lease, target) = store();
    let other = block_on(memory.content.begin(&lease, "copy", Expected::UNKNOWN, Start::Fresh)).unwrap();
    assert_eq!(copy(&target, &CopyOptions::default()).unwrap_err().kind(), ErrorKind::Busy);
    let copied = copy(&target, &CopyOptions::default().with_busy_key(BusyKey::UseAnother)).unwrap();
    assert!(matches!(copied, Committed::New(_)));
    assert_eq!(block_on(memory.content.ingests()).unwrap().len(), 1, "only the other one is left");
    drop(other);
}

#[derive(Debug, Default)]
struct Told(Mutex<Vec<u64>>);

impl Progress for Told {
    fn event(&self, event: ProgressEvent) {
        if let ProgressEvent::Advanced { current, .. } = event {
            self.0.lock().unwrap().push(current);
        }
    }
}

#[test]
fn a_phase_is_told_of_every_byte_once() {
    let size = CONTENT.len() as u64;
    for (left, told) in [
        (None, vec![size]),
        (Some(CONTENT.slice(..5)), vec![5, size]),
        (Some(CONTENT), vec![size]),
        // Wrong ones, which come a second time.
        (Some(Bytes::from_static(b"wrong")), vec![5, size]),
    ] {
        let (_memory, _, target) = store();
        if let Some(left) = left {
            leave(&target, left);
        }
        let lines = Arc::new(Told::default());
        let phase = Phase::start(&(Arc::clone(&lines) as Arc<dyn Progress>), "copy");
        let options = CopyOptions::default().with_phase(&phase);
        copy(&target, &options).unwrap();
        assert_eq!(*lines.0.lock().unwrap(), told);
        // What is there already counts too, and several copies add up.
        copy(&target, &options).unwrap();
        assert_eq!(lines.0.lock().unwrap().last(), Some(&(2 * size)));
    }
}
