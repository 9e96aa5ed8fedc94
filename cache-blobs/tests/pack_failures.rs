//! Whatever fails while a layer is packed, nothing becomes visible and everything has ended when the error is told.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

mod odd_rig;
mod pack_rig;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::sleep;
use std::time::Duration;

use cache_blobs::changes::{DoubleWalk, Error as ChangesError, FileKind, Tree, double_walk};
use cache_blobs::codec::{Block, BlockEncoder, Codec, Encoded, Sequence};
use cache_blobs::layer::{self, LayerOptions, write_layer, write_layer_ahead};
use cache_blobs::pack::{PackOptions, PackWriter, Packed, pack};
use cache_blobs::tar;
use cache_core::ports::{Job, Pool};
use cache_core::{Error, ErrorKind, Result};
use odd_rig::{Odd, Vanishing};
use pack_rig::{BlockCodec, Fate, Pace, budget, data, pool, same_bytes, sink, until, write_all};
use pollster::block_on;

/// Packs 200 blocks of 1000 bytes; gives the outcome and what became of the sink.
fn pack_into(codec: &dyn Codec, pool: &Arc<dyn Pool>, pace: Pace) -> (Result<Packed<()>>, Fate) {
    let (ingest, seen) = sink(pace);
    let budget = budget(2, 100_000);
    let produce = |writer: &mut PackWriter| write_all(writer, &data(200_000, 1));
    let outcome = block_on(pack(&budget, pool, codec, ingest, PackOptions::default(), produce));
    assert_eq!(budget.usage().used_bytes, 0, "nothing is held any more");
    let fate = seen.lock().unwrap().fate.clone();
    (outcome, fate)
}

#[test]
fn a_failing_producer_is_told_and_the_ingest_is_aborted() {
    let (ingest, seen) = sink(Pace::Fast);
    let produce = |writer: &mut PackWriter| -> Result<()> {
        write_all(writer, &data(10_000, 1))?;
        Err(Error::new(ErrorKind::PermissionDenied, "read", "a file"))
    };
    let outcome =
        block_on(pack(&budget(2, 100_000), &pool(), &same_bytes(1000), ingest, PackOptions::default(), produce));
    assert_eq!(outcome.unwrap_err().kind(), ErrorKind::PermissionDenied);
    assert_eq!(seen.lock().unwrap().fate, Fate::Aborted);
}

/// Why no layer of a tree came about.
#[derive(Debug)]
enum Failed {
    Packing(Error),
    Layer(layer::Error),
}

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        Self::Packing(error)
    }
}

type WriteLayer = fn(DoubleWalk, &mut PackWriter) -> Result<(), layer::Error>;

const WAYS: [WriteLayer; 2] = [
    |changes, out| write_layer(changes, out, LayerOptions::default()).map(drop),
    |changes, out| write_layer_ahead(changes, out, LayerOptions::default()).map(drop),
];

/// Packs the layer of `tree`; gives why that failed, after the ingest was aborted.
fn failure_of(tree: &dyn Tree, write: WriteLayer) -> layer::Error {
    let (ingest, seen) = sink(Pace::Fast);
    let changes = double_walk(None, tree).unwrap();
    let produce = move |writer: &mut PackWriter| write(changes, writer).map_err(Failed::Layer);
    let budget = budget(2, 100_000);
    let outcome = block_on(pack(&budget, &pool(), &same_bytes(100), ingest, PackOptions::default(), produce));
    assert_eq!(budget.usage().used_bytes, 0);
    assert_eq!(seen.lock().unwrap().fate, Fate::Aborted);
    match outcome.unwrap_err() {
        Failed::Layer(error) => error,
        Failed::Packing(error) => panic!("{error}"),
    }
}

#[test]
fn a_file_that_grows_or_shrinks_while_it_is_packed_is_named_and_the_ingest_is_aborted() {
    for write in WAYS {
        for size in [4, 6] {
            let failed = failure_of(&Odd { kind: FileKind::File, size }, write);
            let layer::Error::Archive(tar::Error::WrongSize { place, .. }) = failed else { panic!("{failed:?}") };
            assert_eq!(place.path.as_deref(), Some(&b"odd"[..]));
        }
    }
}

#[test]
fn a_file_that_vanishes_before_it_is_packed_is_named_and_the_ingest_is_aborted() {
    for write in WAYS {
        let failed = failure_of(&Vanishing(Odd { kind: FileKind::File, size: 5 }), write);
        let layer::Error::Changes(ChangesError::Io { path, source, .. }) = failed else { panic!("{failed:?}") };
        assert_eq!((&path[..], source.kind()), (&b"odd"[..], std::io::ErrorKind::NotFound));
    }
}

#[test]
fn a_panicking_producer_is_cancelled_and_the_ingest_is_aborted() {
    let (ingest, seen) = sink(Pace::Fast);
    let produce = |writer: &mut PackWriter| -> Result<()> {
        write_all(writer, &data(10_000, 1))?;
        panic!("a bug in a producer");
    };
    let outcome =
        block_on(pack(&budget(2, 100_000), &pool(), &same_bytes(1000), ingest, PackOptions::default(), produce));
    assert_eq!(outcome.unwrap_err().kind(), ErrorKind::Cancelled);
    assert_eq!(seen.lock().unwrap().fate, Fate::Aborted);
}

#[derive(Debug)]
enum Broken {
    Fails,
    Panics,
}

impl BlockEncoder for Broken {
    fn block_bytes(&self) -> usize {
        1000
    }

    fn encoded_bound(&self) -> usize {
        1000
    }

    fn sequence(&self) -> Option<Box<dyn Sequence>> {
        None
    }

    fn encode(&self, block: &mut Block) -> Result<Encoded> {
        match self {
            _ if block.offset != 20_000 => Ok(Encoded { bytes: std::mem::take(&mut block.bytes), notes: None }),
            Self::Fails => Err(Error::new(ErrorKind::Unavailable, "encode", "a block")),
            Self::Panics => panic!("a bug in an encoder"),
        }
    }
}

#[test]
fn a_failing_encoder_is_told_and_the_ingest_is_aborted() {
    let (outcome, fate) = pack_into(&BlockCodec(Arc::new(Broken::Fails)), &pool(), Pace::Fast);
    assert_eq!(outcome.unwrap_err().kind(), ErrorKind::Unavailable);
    assert_eq!(fate, Fate::Aborted);
}

#[test]
fn a_panicking_encoder_is_cancelled_and_its_worker_goes_on_with_other_layers() {
    let budget = budget(1, 100_000);
    for _ in 0..3 {
        let (ingest, seen) = sink(Pace::Fast);
        let codec = BlockCodec(Arc::new(Broken::Panics));
        let produce = |writer: &mut PackWriter| write_all(writer, &data(200_000, 1));
        let outcome = block_on(pack(&budget, &pool(), &codec, ingest, PackOptions::default(), produce));
        assert_eq!(outcome.unwrap_err().kind(), ErrorKind::Cancelled);
        assert_eq!(seen.lock().unwrap().fate, Fate::Aborted);
        let (ingest, _) = sink(Pace::Fast);
        let produce = |writer: &mut PackWriter| write_all(writer, &data(200_000, 1));
        block_on(pack(&budget, &pool(), &same_bytes(1000), ingest, PackOptions::default(), produce)).unwrap();
    }
}

/// How far a layer is whose first block fails while its second one is encoded.
#[derive(Debug, Default)]
struct Course {
    second_begun: AtomicBool,
    given_up: AtomicBool,
    told: AtomicBool,
    told_too_early: AtomicBool,
}

/// The encoder of that layer.
#[derive(Debug)]
struct Crossing(Arc<Course>);

impl BlockEncoder for Crossing {
    fn block_bytes(&self) -> usize {
        1000
    }

    fn encoded_bound(&self) -> usize {
        1000
    }

    fn sequence(&self) -> Option<Box<dyn Sequence>> {
        None
    }

    fn encode(&self, block: &mut Block) -> Result<Encoded> {
        if block.offset == 0 {
            until(|| self.0.second_begun.load(Ordering::SeqCst));
            return Err(Error::new(ErrorKind::Unavailable, "encode", "a block"));
        }
        self.0.second_begun.store(true, Ordering::SeqCst);
        until(|| self.0.given_up.load(Ordering::SeqCst));
        Ok(Encoded { bytes: std::mem::take(&mut block.bytes), notes: Some(Box::new(Lingering(Arc::clone(&self.0)))) })
    }
}

/// Part of what a block became. It goes slowly, and looks whether the end of the layer is told meanwhile.
struct Lingering(Arc<Course>);

impl Drop for Lingering {
    fn drop(&mut self) {
        for _ in 0..200 {
            sleep(Duration::from_millis(1));
            self.0.told_too_early.fetch_or(self.0.told.load(Ordering::SeqCst), Ordering::SeqCst);
        }
    }
}

#[test]
fn what_a_block_became_is_gone_when_the_failure_of_another_one_is_told() {
    let (ingest, _) = sink(Pace::Fast);
    let course = Arc::new(Course::default());
    let produce = {
        let course = Arc::clone(&course);
        move |writer: &mut PackWriter| {
            let outcome = write_all(writer, &data(1_000_000, 1));
            course.given_up.store(true, Ordering::SeqCst);
            outcome
        }
    };
    let codec = BlockCodec(Arc::new(Crossing(Arc::clone(&course))));
    let budget = budget(2, 100_000);
    let outcome = block_on(pack(&budget, &pool(), &codec, ingest, PackOptions::default(), produce));
    course.told.store(true, Ordering::SeqCst);
    assert_eq!(outcome.unwrap_err().kind(), ErrorKind::Unavailable);
    // Its threads end.
    drop(budget);
    assert!(!course.told_too_early.load(Ordering::SeqCst));
}

#[test]
fn a_failing_ingest_is_told_rather_than_what_the_producer_makes_of_it() {
    let ended = Arc::new(AtomicBool::new(false));
    let (ingest, seen) = sink(Pace::FailsAfter(5000, ErrorKind::NoSpace));
    let produce = {
        let ended = Arc::clone(&ended);
        move |writer: &mut PackWriter| {
            let outcome = write_all(writer, &data(1_000_000, 1));
            assert_eq!(outcome.clone().unwrap_err().kind(), ErrorKind::Cancelled);
            ended.store(true, Ordering::SeqCst);
            outcome.map_err(|_| Error::new(ErrorKind::Invalid, "make", "something else of it"))
        }
    };
    let budget = budget(2, 100_000);
    let outcome = block_on(pack(&budget, &pool(), &same_bytes(1000), ingest, PackOptions::default(), produce));
    assert_eq!(outcome.unwrap_err().kind(), ErrorKind::NoSpace);
    assert!(ended.load(Ordering::SeqCst), "an error is told when the producer has ended");
    assert_eq!(seen.lock().unwrap().fate, Fate::Aborted);
    assert_eq!(budget.usage().used_bytes, 0);
}

#[test]
fn a_commit_that_is_refused_is_told() {
    let (outcome, fate) = pack_into(&same_bytes(1000), &pool(), Pace::RefusesCommit(ErrorKind::Invalid));
    assert_eq!(outcome.unwrap_err().kind(), ErrorKind::Invalid);
    assert!(!matches!(fate, Fate::Committed(_)));
}

/// Has no threads, and says so or forgets the job.
#[derive(Debug)]
enum NoPool {
    Refuses,
    Forgets,
}

impl Pool for NoPool {
    fn spawn(&self, job: Job) -> Result<()> {
        drop(job);
        match self {
            Self::Refuses => Err(Error::new(ErrorKind::Unavailable, "start", "a thread")),
            Self::Forgets => Ok(()),
        }
    }
}

#[test]
fn a_pool_without_threads_is_unavailable_and_one_that_forgets_jobs_cancels() {
    for (no_pool, kind) in [(NoPool::Refuses, ErrorKind::Unavailable), (NoPool::Forgets, ErrorKind::Cancelled)] {
        let no_pool: Arc<dyn Pool> = Arc::new(no_pool);
        let (outcome, fate) = pack_into(&same_bytes(1000), &no_pool, Pace::Fast);
        assert_eq!(outcome.unwrap_err().kind(), kind);
        assert_eq!(fate, Fate::Aborted);
    }
}

#[test]
fn a_budget_without_room_for_one_block_exceeds_its_limit() {
    let (outcome, fate) = pack_into(&same_bytes(50_001), &pool(), Pace::Fast);
    assert_eq!(outcome.unwrap_err().kind(), ErrorKind::LimitExceeded);
    assert_eq!(fate, Fate::Aborted);
}

#[test]
fn an_ingest_that_holds_bytes_is_invalid() {
    let (mut ingest, seen) = sink(Pace::Fast);
    block_on(ingest.write(bytes::Bytes::from_static(b"old"))).unwrap();
    let produce = |writer: &mut PackWriter| write_all(writer, b"new");
    let outcome =
        block_on(pack(&budget(1, 100_000), &pool(), &same_bytes(1000), ingest, PackOptions::default(), produce));
    assert_eq!(outcome.unwrap_err().kind(), ErrorKind::Invalid);
    assert_eq!(seen.lock().unwrap().fate, Fate::Aborted);
}
