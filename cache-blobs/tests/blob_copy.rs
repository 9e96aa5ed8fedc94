//! Copying blobs: resumption, verification, and what is left when a copy fails.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

use std::ops::Range;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use cache_blobs::{BlobSource, CopyError, CopyOptions, copy_blob};
use cache_core::conformance::{Fault, Faulty};
use cache_core::memory::{ManualClock, Memory, MemoryRemote};
use cache_core::ports::{
    Begun, BlobReader, ByteStream, Committed, Expected, ExportTarget, Fetcher, Ingester, LeaseKind, LeaseManager,
    LeaseOptions, Leased, Manager,
};
use cache_core::{Descriptor, Digest, Error, ErrorKind, Labels, MediaType, Result, Timestamp};
use futures::StreamExt;
use pollster::block_on;

/// A remote with one blob, which may misbehave. It notes the ranges that are read.
#[derive(Clone, Debug)]
struct Remote {
    size: u64,
    chunks: Vec<Result<Bytes>>,
    reads: Arc<Mutex<Vec<Range<u64>>>>,
}

impl Remote {
    fn of(content: &[u8]) -> Self {
        let chunks = content.chunks(10).map(|chunk| Ok(Bytes::copy_from_slice(chunk))).collect();
        Self { size: content.len() as u64, chunks, reads: Arc::default() }
    }
}

#[async_trait]
impl Fetcher for Remote {
    async fn fetch(&self, _descriptor: &Descriptor) -> Result<Option<Box<dyn BlobReader>>> {
        Ok((self.size > 0).then(|| Box::new(self.clone()) as Box<dyn BlobReader>))
    }
}

#[async_trait]
impl BlobReader for Remote {
    fn size(&self) -> u64 {
        self.size
    }

    async fn read(&self, range: Range<u64>) -> Result<ByteStream> {
        assert_eq!(range.start % 10, 0, "chunks have ten bytes");
        let first = range.start as usize / 10;
        self.reads.lock().unwrap().push(range);
        Ok(futures::stream::iter(self.chunks[first..].to_vec()).boxed())
    }

    fn local_file(&self) -> Option<PathBuf> {
        None
    }
}

const CONTENT: &[u8] =
    b"a hundred and some bytes, which arrive in chunks of ten, so that a copy can be cut off and go on again..";

fn descriptor() -> Descriptor {
    Descriptor::of(MediaType::OCI_LAYER, CONTENT)
}

fn store() -> (Memory, Leased) {
    let memory = Memory::new(Arc::new(ManualClock::new(Timestamp::UNIX_EPOCH)));
    let lease = block_on(memory.leases.create(LeaseOptions::new(LeaseKind::Temporary))).unwrap();
    let target = Leased::new(Arc::clone(&memory.content) as Arc<dyn Ingester>, lease);
    (memory, target)
}

fn copy(remote: &Remote, target: &dyn ExportTarget) -> Result<Committed, CopyError> {
    block_on(copy_blob(BlobSource::Fetcher(remote), target, &descriptor(), "copy", &CopyOptions::default()))
}

fn ingests(memory: &Memory) -> usize {
    block_on(memory.content.ingests()).unwrap().len()
}

#[test]
fn a_copied_blob_has_the_labels_and_a_second_copy_opens_nothing() {
    let (memory, target) = store();
    let remote = Remote::of(CONTENT);
    let labels = Labels::from([("a".to_owned(), "b".to_owned())]);
    let options = CopyOptions::default().with_labels(labels.clone());
    let copied = block_on(copy_blob(BlobSource::Fetcher(&remote), &target, &descriptor(), "copy", &options));
    assert!(matches!(copied.unwrap(), Committed::New(_)));
    assert_eq!(block_on(memory.content.info(&Digest::of(CONTENT))).unwrap().unwrap().labels, labels);
    assert!(matches!(copy(&remote, &target).unwrap(), Committed::AlreadyThere(_)));
    assert_eq!(remote.reads.lock().unwrap().len(), 1);
}

#[test]
fn a_blob_is_copied_from_a_store_to_a_remote() {
    let (memory, target) = store();
    copy(&Remote::of(CONTENT), &target).unwrap();
    let remote = MemoryRemote::new(Arc::new(ManualClock::new(Timestamp::UNIX_EPOCH)));
    let source = BlobSource::Provider(&*memory.content);
    block_on(copy_blob(source, &remote, &descriptor(), "push", &CopyOptions::default())).unwrap();
    assert!(block_on(remote.fetch(&descriptor())).unwrap().is_some());
}

#[test]
fn a_copy_that_breaks_off_goes_on_where_it_was() {
    let (memory, target) = store();
    let mut broken = Remote::of(CONTENT);
    broken.chunks[4] = Err(Error::new(ErrorKind::Unavailable, "read", "the network"));
    assert_eq!(copy(&broken, &target).unwrap_err().kind(), ErrorKind::Unavailable);
    assert_eq!(ingests(&memory), 1);
    let whole = Remote::of(CONTENT);
    copy(&whole, &target).unwrap();
    assert_eq!(whole.reads.lock().unwrap().as_slice(), std::slice::from_ref(&(40..CONTENT.len() as u64)));
    assert_eq!(ingests(&memory), 0);
}

#[test]
fn a_source_that_ends_early_or_gives_more_or_is_of_another_size_is_corrupt_and_nothing_is_kept() {
    let mut short = Remote::of(CONTENT);
    short.chunks.truncate(5);
    let mut long = Remote::of(CONTENT);
    long.chunks.push(Ok(Bytes::from_static(b"more")));
    let other_size = Remote::of(&CONTENT[1..]);
    for remote in [short, long, other_size] {
        let (memory, target) = store();
        assert_eq!(copy(&remote, &target).unwrap_err().kind(), ErrorKind::Corrupt);
        assert_eq!(ingests(&memory), 0);
        assert_eq!(block_on(memory.content.info(&Digest::of(CONTENT))).unwrap(), None);
        copy(&Remote::of(CONTENT), &target).unwrap();
    }
}

#[test]
fn wrong_bytes_are_corrupt_and_nothing_of_them_is_kept() {
    let (memory, target) = store();
    let mut wrong = CONTENT.to_vec();
    wrong[50] ^= 1;
    assert_eq!(copy(&Remote::of(&wrong), &target).unwrap_err().kind(), ErrorKind::Corrupt);
    assert_eq!(ingests(&memory), 0);
    copy(&Remote::of(CONTENT), &target).unwrap();
}

#[test]
fn wrong_bytes_of_an_earlier_copy_are_dropped_and_the_copy_begins_anew() {
    for kept in [20, CONTENT.len()] {
        let (memory, target) = store();
        let Begun::Started(mut ingest) = block_on(target.begin("copy", Expected::of(&descriptor()))).unwrap() else {
            panic!("the blob is not there yet")
        };
        block_on(ingest.write(Bytes::from(vec![b'x'; kept]))).unwrap();
        block_on(ingest.keep()).unwrap();
        let remote = Remote::of(CONTENT);
        assert!(matches!(copy(&remote, &target).unwrap(), Committed::New(_)));
        assert_eq!(remote.reads.lock().unwrap().last(), Some(&(0..CONTENT.len() as u64)));
        assert_eq!(ingests(&memory), 0);
    }
}

#[test]
fn refused_bytes_that_a_target_keeps_against_its_contract_do_not_spoil_later_copies() {
    let (memory, target) = store();
    let target = Faulty::new(Arc::new(target), Fault::RefusedCommitKeepsBytes);
    let wrong = Remote::of(&[b'x'; CONTENT.len()]);
    for _ in 0..2 {
        assert_eq!(copy(&wrong, &target).unwrap_err().kind(), ErrorKind::Corrupt);
        assert_eq!(ingests(&memory), 1);
    }
    assert!(matches!(copy(&Remote::of(CONTENT), &target).unwrap(), Committed::New(_)));
    assert_eq!(ingests(&memory), 0);
}

#[test]
fn a_blob_that_the_source_lacks_is_not_found() {
    let (memory, target) = store();
    let error = copy(&Remote::of(b""), &target).unwrap_err();
    assert!(matches!(error, CopyError::Missing(digest) if digest == descriptor().digest));
    assert_eq!(Error::from(error).kind(), ErrorKind::NotFound);
    assert_eq!(ingests(&memory), 0);
}

#[test]
fn inline_bytes_are_used_if_they_are_the_blob() {
    let (_memory, target) = store();
    let nowhere = Remote::of(b"");
    let mut inline = descriptor();
    inline.data = Some(b"other bytes".to_vec());
    let wrong = block_on(copy_blob(BlobSource::Fetcher(&nowhere), &target, &inline, "copy", &CopyOptions::default()));
    assert_eq!(wrong.unwrap_err().kind(), ErrorKind::NotFound);
    inline.data = Some(CONTENT.to_vec());
    block_on(copy_blob(BlobSource::Fetcher(&nowhere), &target, &inline, "copy", &CopyOptions::default())).unwrap();
}
