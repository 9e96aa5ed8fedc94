//! A layer that is decoded ahead reads as one that is decoded in place, and ends with whoever reads it.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

use std::io::{self, Cursor, Read};
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, Sender, channel};

use cache_blobs::DecodingAhead;
use cache_blobs::codec::{Codecs, error_of_io, io_error};
use cache_core::ports::{Job, Pool};
use cache_core::{Algorithm, Digest, Error, ErrorKind, Result, ThreadPool};

/// Some 3 MiB, which takes more pieces than are on their way at a time.
fn tar() -> Vec<u8> {
    let mut state = 7_u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 28) as u8
    };
    std::iter::repeat_with(&mut next).take(3_000_001).collect()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    io::Write::write_all(&mut encoder, bytes).unwrap();
    encoder.finish().unwrap()
}

fn start(blob: Vec<u8>, algorithm: Algorithm) -> DecodingAhead {
    DecodingAhead::start(&ThreadPool::new(), &Codecs::default(), Box::new(Cursor::new(blob)), Some(algorithm)).unwrap()
}

#[test]
fn tar_and_digests_are_those_of_the_blob_for_every_compression() {
    let tar = tar();
    for blob in [tar.clone(), gzip(&tar), zstd::encode_all(&tar[..], 1).unwrap(), Vec::new()] {
        for algorithm in Algorithm::ALL {
            let mut decoding = start(blob.clone(), algorithm);
            let mut read = Vec::new();
            decoding.read_to_end(&mut read).unwrap();
            let expected = if blob.is_empty() { &[][..] } else { &tar[..] };
            assert!(read == expected);
            let layer = decoding.finish().unwrap();
            assert_eq!(layer.diff_id, Digest::of(expected));
            assert_eq!(layer.blob_bytes, blob.len() as u64);
            assert_eq!(layer.blob_digest.unwrap().algorithm(), algorithm);
            if algorithm == Algorithm::Sha256 {
                assert_eq!(layer.blob_digest, Some(Digest::of(&blob)));
            }
        }
    }
}

#[test]
fn what_was_not_read_counts_for_the_digests_all_the_same() {
    let tar = tar();
    let mut decoding = start(gzip(&tar), Algorithm::Sha256);
    decoding.read_exact(&mut [0; 1000]).unwrap();
    assert_eq!(decoding.finish().unwrap().diff_id, Digest::of(&tar));
}

#[test]
fn the_counter_of_compressed_bytes_is_the_same_however_fast_the_decoder_is() {
    let blob = zstd::encode_all(&tar()[..], 1).unwrap();
    let counts = || {
        let mut decoding = start(blob.clone(), Algorithm::Sha256);
        let compressed = decoding.compressed();
        let mut counts = Vec::new();
        let mut buffer = [0; 10_000];
        while decoding.read(&mut buffer).unwrap() > 0 {
            counts.push(compressed.load(Ordering::Relaxed));
        }
        assert_eq!(compressed.load(Ordering::Relaxed), blob.len() as u64);
        counts
    };
    let first = counts();
    assert!(first.first() < first.last());
    assert_eq!(first, counts());
}

#[test]
fn a_failure_comes_after_what_was_decoded_before_it_and_stays() {
    let mut blob = gzip(&tar());
    blob.truncate(blob.len() / 2);
    let mut decoding = start(blob, Algorithm::Sha256);
    let mut read = Vec::new();
    let error = decoding.read_to_end(&mut read).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    assert!(tar().starts_with(&read) && read.len() > 1_000_000);
    decoding.read(&mut [0; 10]).unwrap_err();
    assert_eq!(decoding.finish().unwrap_err().kind(), ErrorKind::Corrupt);
}

/// Fails after its bytes as a store does.
struct Failing(Cursor<Vec<u8>>);

impl Read for Failing {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.0.read(buffer)? {
            0 => Err(io_error(Error::new(ErrorKind::Unavailable, "read", "a test"))),
            count => Ok(count),
        }
    }
}

#[test]
fn the_error_of_a_source_keeps_its_kind() {
    let source = Box::new(Failing(Cursor::new(vec![0; 700_000])));
    let decoding =
        DecodingAhead::start(&ThreadPool::new(), &Codecs::default(), source, Some(Algorithm::Sha256)).unwrap();
    assert_eq!(decoding.finish().unwrap_err().kind(), ErrorKind::Unavailable);
}

struct Panicking(Cursor<Vec<u8>>);

impl Read for Panicking {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.0.read(buffer)? {
            0 => panic!("as the test wants"),
            count => Ok(count),
        }
    }
}

#[test]
fn a_decoder_that_panics_is_told_as_cancelled() {
    let source = Box::new(Panicking(Cursor::new(vec![0; 700_000])));
    let decoding =
        DecodingAhead::start(&ThreadPool::new(), &Codecs::default(), source, Some(Algorithm::Sha256)).unwrap();
    assert_eq!(decoding.finish().unwrap_err().kind(), ErrorKind::Cancelled);
}

#[test]
fn what_failed_fails_the_same_way_whenever_it_is_asked_again() {
    let source = Box::new(Panicking(Cursor::new(vec![0; 700_000])));
    let mut decoding =
        DecodingAhead::start(&ThreadPool::new(), &Codecs::default(), source, Some(Algorithm::Sha256)).unwrap();
    let kind = |error| error_of_io("read", "a tar", error).kind();
    assert_eq!(kind(decoding.read_to_end(&mut Vec::new()).unwrap_err()), ErrorKind::Cancelled);
    assert_eq!(kind(decoding.read(&mut [0]).unwrap_err()), ErrorKind::Cancelled);
    assert_eq!(decoding.finish().unwrap_err().kind(), ErrorKind::Cancelled);
}

/// Tells when each job has ended.
#[derive(Debug)]
struct Telling(Sender<()>);

impl Telling {
    fn new() -> (Self, Receiver<()>) {
        let (sender, ended) = channel();
        (Self(sender), ended)
    }
}

impl Pool for Telling {
    fn spawn(&self, job: Job) -> Result<()> {
        let sender = self.0.clone();
        std::thread::spawn(move || {
            job();
            sender.send(()).unwrap();
        });
        Ok(())
    }
}

#[test]
fn a_decoder_ends_when_nobody_reads_any_more() {
    let (pool, ended) = Telling::new();
    let endless = Box::new(io::repeat(b'x'));
    let mut decoding = DecodingAhead::start(&pool, &Codecs::default(), endless, Some(Algorithm::Sha256)).unwrap();
    decoding.read_exact(&mut vec![0; 5_000_000]).unwrap();
    drop(decoding);
    ended.recv().unwrap();
}

#[test]
fn a_pool_without_threads_is_unavailable() {
    #[derive(Debug)]
    struct Refusing;
    impl Pool for Refusing {
        fn spawn(&self, _job: Job) -> Result<()> {
            Err(Error::new(ErrorKind::Unavailable, "start", "a thread"))
        }
    }
    let outcome = DecodingAhead::start(&Refusing, &Codecs::default(), Box::new(io::empty()), Some(Algorithm::Sha256));
    assert_eq!(outcome.unwrap_err().kind(), ErrorKind::Unavailable);
}

#[test]
fn without_an_algorithm_the_diff_id_alone_is_taken() {
    let tar = tar();
    for blob in [tar.clone(), gzip(&tar), zstd::encode_all(&tar[..], 1).unwrap()] {
        let bytes = blob.len() as u64;
        let source = Box::new(Cursor::new(blob));
        let decoding = DecodingAhead::start(&ThreadPool::new(), &Codecs::default(), source, None).unwrap();
        let layer = decoding.finish().unwrap();
        assert_eq!((layer.blob_digest, layer.blob_bytes, layer.diff_id), (None, bytes, Digest::of(&tar)));
    }
}
