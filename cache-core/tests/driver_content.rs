//! A content store over a storage driver keeps the contract of its ports, and frees what it does not need.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

mod driver_support;

use std::sync::Arc;

use cache_core::conformance::SuiteClock;
use cache_core::conformance::content::ContentSubject;
use cache_core::ports::{Begun, BlobReader, Expected, Ingest, Ingester, LeaseManager, Manager, Provider, Start};
use cache_core::{Descriptor, Digest, ErrorKind, LabelChange, Labels, MediaType};
use driver_support::{Fault, Parts};
use futures::TryStreamExt;
use pollster::block_on;

mod suite {
    use super::*;

    fn subject() -> ContentSubject {
        let parts = Parts::default();
        let clock = SuiteClock::Manual(Arc::clone(&parts.clock));
        ContentSubject::new(Arc::new(parts.store()), parts.leases(), clock)
    }

    cache_core::content_conformance!(subject);
}

async fn begin(store: &impl Ingester, parts: &Parts, key: &str, start: Start) -> Box<dyn Ingest> {
    let lease = parts.leases().create(Default::default()).await.unwrap();
    match store.begin(&lease, key, Expected::UNKNOWN, start).await.unwrap() {
        Begun::Started(ingest) => ingest,
        Begun::AlreadyThere(_) => panic!("nothing is expected"),
    }
}

async fn put(store: &impl Ingester, parts: &Parts, key: &str, bytes: &'static str) -> Digest {
    let mut ingest = begin(store, parts, key, Start::Fresh).await;
    ingest.write(bytes.into()).await.unwrap();
    ingest.commit(None, Labels::from([("key".into(), key.into())])).await.unwrap().info().digest
}

async fn open(store: &impl Provider, digest: Digest) -> Option<Box<dyn BlobReader>> {
    store.open(&Descriptor::new(MediaType::default(), digest, 0)).await.unwrap()
}

async fn read(reader: &dyn BlobReader) -> Vec<u8> {
    let chunks: Vec<_> = reader.read(0..u64::MAX).await.unwrap().try_collect().await.unwrap();
    chunks.concat()
}

#[test]
fn blobs_are_there_when_the_store_is_opened_again() {
    block_on(async {
        let parts = Parts::default();
        let first = parts.store();
        let digest = put(&first, &parts, "key", "bytes").await;
        let info = first.info(&digest).await.unwrap();
        begin(&first, &parts, "other", Start::Fresh).await.write("lost".into()).await.unwrap();
        drop(first);
        let again = parts.store();
        assert_eq!(again.info(&digest).await.unwrap(), info);
        assert_eq!(again.ingests().await.unwrap(), []);
        let other = put(&again, &parts, "key", "other bytes").await;
        assert_eq!(read(&*open(&again, digest).await.unwrap()).await, b"bytes");
        assert_eq!(read(&*open(&again, other).await.unwrap()).await, b"other bytes");
    });
}

#[test]
fn objects_that_nobody_needs_are_deleted() {
    block_on(async {
        let parts = Parts::default();
        let store = parts.store();
        put(&store, &parts, "first", "bytes").await;
        put(&store, &parts, "second", "bytes").await;
        assert_eq!(parts.objects.contents(), [b"bytes"]);
        for key in ["aborted", "replaced", "aborted by key"] {
            begin(&store, &parts, key, Start::Fresh).await.write("kept".into()).await.unwrap();
        }
        assert_eq!(parts.objects.contents().len(), 4);
        begin(&store, &parts, "aborted", Start::Resume).await.abort().await.unwrap();
        begin(&store, &parts, "replaced", Start::Fresh).await.abort().await.unwrap();
        assert!(store.abort("aborted by key").await.unwrap());
        assert_eq!(parts.objects.contents(), [b"bytes"]);
    });
}

#[test]
fn an_append_that_failed_or_was_dropped_ends_the_writer_and_nothing_of_it_is_resumed() {
    block_on(async {
        for fault in [Fault::AppendHalf, Fault::AppendNever] {
            let parts = Parts::default();
            let store = parts.store();
            let mut ingest = begin(&store, &parts, "key", Start::Fresh).await;
            ingest.write("some".into()).await.unwrap();
            parts.objects.fail(fault);
            match futures::poll!(ingest.write("more".into())) {
                std::task::Poll::Ready(written) => assert_eq!(written.unwrap_err().kind(), ErrorKind::NoSpace),
                std::task::Poll::Pending => assert_eq!(fault, Fault::AppendNever),
            }
            assert_eq!(ingest.write("more".into()).await.unwrap_err().kind(), ErrorKind::Invalid);
            drop(ingest);
            let again = begin(&store, &parts, "key", Start::Resume).await;
            assert_eq!(again.offset(), 0);
            assert!(parts.objects.contents().is_empty());
        }
    });
}

#[test]
fn an_object_that_cannot_be_deleted_waits_for_the_next_call() {
    block_on(async {
        let parts = Parts::default();
        let store = parts.store();
        let mut ingest = begin(&store, &parts, "key", Start::Fresh).await;
        ingest.write("bytes".into()).await.unwrap();
        parts.objects.fail(Fault::Delete);
        ingest.abort().await.unwrap();
        assert_eq!(parts.objects.contents(), [b"bytes"]);
        begin(&store, &parts, "key", Start::Fresh).await;
        assert!(parts.objects.contents().is_empty());
    });
}

#[test]
fn bytes_that_are_not_on_disk_are_no_blob() {
    block_on(async {
        let parts = Parts::default();
        let store = parts.store();
        let mut ingest = begin(&store, &parts, "key", Start::Fresh).await;
        ingest.write("bytes".into()).await.unwrap();
        parts.objects.fail(Fault::Sync);
        assert_eq!(ingest.commit(None, Labels::new()).await.unwrap_err().kind(), ErrorKind::NoSpace);
        assert_eq!(store.info(&Digest::of("bytes")).await.unwrap(), None);
        let again = begin(&store, &parts, "key", Start::Resume).await;
        assert_eq!(again.offset(), 5);
        again.commit(Some(Digest::of("bytes")), Labels::new()).await.unwrap();
    });
}

#[test]
fn a_commit_that_was_dropped_after_its_record_was_stored_keeps_the_bytes_of_the_record() {
    block_on(async {
        let parts = Parts::default();
        let store = parts.store();
        for start in [Start::Fresh, Start::Resume] {
            let mut ingest = begin(&store, &parts, "key", Start::Fresh).await;
            ingest.write("bytes".into()).await.unwrap();
            parts.metadata.stall_after_apply();
            assert!(futures::poll!(ingest.commit(None, Labels::new())).is_pending());
            let mut next = begin(&store, &parts, "key", start).await;
            next.write("more".into()).await.unwrap();
            next.abort().await.unwrap();
            let reader = open(&store, Digest::of("bytes")).await.unwrap();
            assert_eq!(read(&*reader).await, b"bytes");
            drop(reader);
            assert!(store.remove(&Digest::of("bytes")).await.unwrap());
        }
    });
}

#[test]
fn what_was_removed_is_not_resumed() {
    block_on(async {
        let parts = Parts::default();
        let store = parts.store();
        let mut ingest = begin(&store, &parts, "key", Start::Fresh).await;
        ingest.write("bytes".into()).await.unwrap();
        parts.metadata.stall_after_apply();
        assert!(futures::poll!(ingest.commit(None, Labels::new())).is_pending());
        let resumed = begin(&store, &parts, "key", Start::Resume).await;
        assert_eq!(resumed.offset(), 5);
        assert!(store.remove(&Digest::of("bytes")).await.unwrap());
        assert_eq!(resumed.commit(None, Labels::new()).await.unwrap_err().kind(), ErrorKind::Invalid);
        let again = begin(&store, &parts, "key", Start::Resume).await;
        assert_eq!(again.offset(), 0);
    });
}

#[test]
fn labels_that_are_changed_at_once_are_all_kept() {
    block_on(async {
        let parts = Parts::default();
        let store = parts.store();
        let digest = put(&store, &parts, "key", "bytes").await;
        let [one, two] = ["one", "two"].map(|label| [LabelChange::set(label, "set")]);
        parts.metadata.yield_after_get();
        let (one, two) = futures::join!(store.change_labels(&digest, &one), store.change_labels(&digest, &two));
        assert!(one.is_ok() && two.is_ok());
        let labels = store.info(&digest).await.unwrap().unwrap().labels;
        assert_eq!(labels.keys().collect::<Vec<_>>(), ["key", "one", "two"]);
    });
}

#[test]
fn a_removed_blob_is_gone_and_its_last_reader_still_reads_it() {
    block_on(async {
        let parts = Parts::default();
        let store = parts.store();
        let digest = put(&store, &parts, "key", "bytes").await;
        let readers = [open(&store, digest).await.unwrap(), open(&store, digest).await.unwrap()];
        assert!(store.remove(&digest).await.unwrap());
        assert!(!store.remove(&digest).await.unwrap());
        assert_eq!(store.info(&digest).await.unwrap(), None);
        assert!(open(&store, digest).await.is_none());
        for reader in readers {
            begin(&store, &parts, "other", Start::Fresh).await.abort().await.unwrap();
            assert_eq!(read(&*reader).await, b"bytes");
        }
        begin(&store, &parts, "key", Start::Fresh).await;
        assert!(parts.objects.contents().is_empty());
    });
}
