//! Large ingests, whose bytes go to the disk while more are written.
#![cfg(all(target_os = "linux", feature = "local"))]
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use bytes::Bytes;
use cache_core::local::{Faults, Local, Step, StoreOptions};
use cache_core::memory::ManualClock;
use cache_core::ports::{
    Begun, Collector, Expected, Ingest, Ingester, Lease, LeaseManager, LeaseOptions, Manager, Start,
};
use cache_core::{Algorithm, Digest, DigestHasher, Error, Labels, Result, ThreadPool};
use futures::TryStreamExt;
use pollster::block_on;

const PIECE_BYTES: usize = 1 << 20;
const PIECES: u8 = 48;

/// A disk that counts how often bytes of ingests are made durable, and loses them the first time if it is told so.
#[derive(Debug, Default)]
struct Syncs {
    count: AtomicUsize,
    first_fails: AtomicBool,
}

impl Faults for Syncs {
    fn before(&self, step: Step<'_>) -> io::Result<()> {
        let Step::Sync(path) = step else { return Ok(()) };
        if path.parent().and_then(Path::file_name).is_none_or(|name| name != "ingest") {
            return Ok(());
        }
        self.count.fetch_add(1, Ordering::SeqCst);
        match self.first_fails.swap(false, Ordering::SeqCst) {
            true => Err(io::Error::other("the disk lost some bytes")),
            false => Ok(()),
        }
    }
}

fn open(directory: &Path, disk: &Arc<Syncs>) -> (Local, Lease) {
    let faults = Arc::clone(disk) as Arc<dyn Faults>;
    let options = StoreOptions::new(Arc::new(ManualClock::default())).with_faults(faults);
    let local = block_on(Local::open(directory, Arc::new(ThreadPool::new()), options)).unwrap();
    let lease = block_on(local.leases.create(LeaseOptions::default())).unwrap();
    (local, lease)
}

fn piece(number: u8) -> Bytes {
    (0..PIECE_BYTES).map(|at| (at as u8).wrapping_mul(number | 1)).collect()
}

async fn begin(local: &Local, lease: &Lease, expected: Expected, start: Start) -> Box<dyn Ingest> {
    match local.content.begin(lease, "large", expected, start).await.unwrap() {
        Begun::Started(ingest) => ingest,
        Begun::AlreadyThere(info) => panic!("{info:?}"),
    }
}

async fn write(ingest: &mut dyn Ingest) -> Result<()> {
    for number in 0..PIECES {
        ingest.write(piece(number)).await?;
    }
    Ok(())
}

fn expected(algorithm: Algorithm) -> Digest {
    let mut hasher = DigestHasher::new(algorithm);
    (0..PIECES).for_each(|number| hasher.update(&piece(number)));
    hasher.finish()
}

#[test]
fn bytes_go_to_the_disk_while_more_are_written() {
    let (directory, disk) = (tempfile::tempdir().unwrap(), Arc::default());
    let (local, lease) = open(directory.path(), &disk);
    block_on(async {
        let mut ingest = begin(&local, &lease, Expected::UNKNOWN, Start::Fresh).await;
        write(&mut *ingest).await.unwrap();
        let info = ingest.commit(None, Labels::new()).await.unwrap().into_info();
        assert_eq!((info.digest, info.size), (expected(Algorithm::Sha256), u64::from(PIECES) << 20));
    });
    assert!(disk.count.load(Ordering::SeqCst) >= 2, "{disk:?}");
}

/// The kernel tells of lost bytes once, so whoever is told must not let a later sync succeed.
#[test]
fn bytes_that_the_disk_lost_on_the_way_never_become_a_blob() {
    let (directory, disk) = (tempfile::tempdir().unwrap(), Arc::<Syncs>::default());
    disk.first_fails.store(true, Ordering::SeqCst);
    let (local, lease) = open(directory.path(), &disk);
    block_on(async {
        let mut ingest = begin(&local, &lease, Expected::UNKNOWN, Start::Fresh).await;
        let error: Error = match write(&mut *ingest).await {
            Err(error) => error,
            Ok(()) => ingest.commit(None, Labels::new()).await.unwrap_err(),
        };
        assert!(error.to_string().contains("sync"), "{error}");
        assert!(local.content.ingests().await.unwrap().is_empty());
        assert!(local.content.list().try_next().await.unwrap().is_none());

        // Nothing of it is taken for granted afterwards.
        let mut ingest = begin(&local, &lease, Expected::UNKNOWN, Start::Resume).await;
        assert_eq!(ingest.offset(), 0);
        write(&mut *ingest).await.unwrap();
        let info = ingest.commit(Some(expected(Algorithm::Sha256)), Labels::new()).await.unwrap().into_info();
        assert_eq!(local.content.info(&info.digest).await.unwrap(), Some(info));
        local.collector.collect().await.unwrap();
    });
}

#[test]
fn a_large_ingest_that_was_dropped_is_resumed_and_hashed_as_a_whole() {
    for algorithm in [Algorithm::Sha256, Algorithm::Sha512] {
        let (directory, disk) = (tempfile::tempdir().unwrap(), Arc::default());
        let (local, lease) = open(directory.path(), &disk);
        let wanted = Expected { digest: Some(expected(algorithm)), size: None };
        block_on(async {
            let mut dropped = begin(&local, &lease, wanted, Start::Fresh).await;
            for number in 0..PIECES / 2 {
                dropped.write(piece(number)).await.unwrap();
            }
            drop(dropped);
            let mut ingest = begin(&local, &lease, wanted, Start::Resume).await;
            let taken = ingest.offset() / PIECE_BYTES as u64;
            assert!(taken >= u64::from(PIECES / 2) - 1, "{taken}");
            for number in taken as u8..PIECES {
                ingest.write(piece(number)).await.unwrap();
            }
            ingest.commit(None, Labels::new()).await.unwrap();
        });
    }
}
