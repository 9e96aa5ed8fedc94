//! The threads that decode a layer: how many they are, what they do at once, and that they end.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

mod thread_rig;

use std::collections::VecDeque;
use std::fmt;
use std::io::{self, Cursor, Read, Write};
use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread::{ThreadId, current};
use std::time::Duration;

use cache_blobs::DecodingAhead;
use cache_blobs::codec::{
    Block, Codec, Codecs, Cut, Encoder, Gzip, LayerMediaTypes, Levels, PieceDecoder, Pieces, Recipe, Refused,
    SAMPLE_HEAD_BYTES, Sample, error_of_io,
};
use cache_core::ports::{Job, Pool};
use cache_core::{Algorithm, Compression, Digest, ErrorKind, Result, ThreadPool};
use thread_rig::Meeting;

/// So long a thread waits for another one. Only in a test that fails there is none.
const PATIENCE: Duration = Duration::from_secs(60);

fn tar(length: usize) -> Vec<u8> {
    let mut state = 7_u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 28) as u8
    };
    std::iter::repeat_with(&mut next).take(length).collect()
}

/// One of our own members for each of `blocks`.
fn pieces(blocks: &[&[u8]]) -> Vec<Vec<u8>> {
    let Encoder::Blocks(encoder) = Gzip::new().encoder(Some(1)).unwrap() else { panic!("it has blocks") };
    let encode = |block: &&[u8]| {
        encoder.encode(&mut Block { offset: 0, bytes: block.to_vec().into(), plan: None }).unwrap().bytes.to_vec()
    };
    blocks.iter().map(encode).collect()
}

fn foreign_gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// Is called with every piece before that is decoded, on the thread that decodes it.
#[derive(Clone)]
struct Look(Arc<dyn Fn(&[u8]) + Send + Sync>);

impl fmt::Debug for Look {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Look")
    }
}

/// gzip with a look at its pieces.
#[derive(Debug)]
struct Watched(Gzip, Look);

impl Watched {
    fn codecs(look: impl Fn(&[u8]) + Send + Sync + 'static) -> Codecs {
        Codecs::default().with(Arc::new(Self(Gzip::new(), Look(Arc::new(look)))))
    }
}

impl Codec for Watched {
    fn compression(&self) -> Compression {
        self.0.compression()
    }

    fn media_types(&self) -> LayerMediaTypes {
        self.0.media_types()
    }

    fn levels(&self) -> Levels {
        self.0.levels()
    }

    fn recipe(&self, level: Option<i32>) -> Result<Recipe> {
        self.0.recipe(level)
    }

    fn encoder(&self, level: Option<i32>) -> Result<Encoder> {
        self.0.encoder(level)
    }

    fn decoder(&self, source: Box<dyn Read + Send>) -> Result<Box<dyn Read + Send>> {
        self.0.decoder(source)
    }

    fn pieces(&self) -> Option<Arc<dyn Pieces>> {
        Some(Arc::new(WatchedPieces(self.0.pieces()?, self.1.clone())))
    }

    fn detects(&self, sample: &Sample<'_>) -> bool {
        self.0.detects(sample)
    }
}

#[derive(Debug)]
struct WatchedPieces(Arc<dyn Pieces>, Look);

impl Pieces for WatchedPieces {
    fn cut(&self, ahead: &[u8]) -> Cut {
        self.0.cut(ahead)
    }

    fn decoder(&self) -> Result<Box<dyn PieceDecoder>> {
        Ok(Box::new(WatchedDecoder(self.0.decoder()?, self.1.clone())))
    }
}

struct WatchedDecoder(Box<dyn PieceDecoder>, Look);

impl PieceDecoder for WatchedDecoder {
    fn decode(&mut self, piece: &[u8], tar: &mut [u8]) -> std::result::Result<(), Refused> {
        self.1.0(piece);
        self.0.decode(piece, tar)
    }
}

/// Counts its jobs, each of which has a sender until it has ended, be it by a panic.
#[derive(Debug)]
struct Counting(AtomicUsize, Sender<()>);

impl Counting {
    fn new() -> (Self, Receiver<()>) {
        let (sender, running) = channel();
        (Self(AtomicUsize::new(0), sender), running)
    }
}

impl Pool for Counting {
    fn spawn(&self, job: Job) -> Result<()> {
        self.0.fetch_add(1, Ordering::Relaxed);
        let sender = self.1.clone();
        std::thread::spawn(move || {
            let _until_the_end = sender;
            job();
        });
        Ok(())
    }
}

/// Notes from where on it is read by which threads.
struct Noting(Cursor<Vec<u8>>, Arc<Mutex<Vec<(u64, ThreadId)>>>);

impl Read for Noting {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.1.lock().unwrap().push((self.0.position(), current().id()));
        self.0.read(buffer)
    }
}

#[test]
fn a_blob_is_decoded_on_another_thread_than_its_tar_is_read_on() {
    let tar = tar(3_000_000);
    let ours = pieces(&tar.chunks(400_000).collect::<Vec<_>>()).concat();
    for blob in [tar.clone(), foreign_gzip(&tar), ours, zstd::encode_all(&tar[..], 1).unwrap()] {
        let reads = Arc::default();
        let source = Box::new(Noting(Cursor::new(blob), Arc::clone(&reads)));
        let pool = ThreadPool::new();
        let mut decoding = DecodingAhead::start(&pool, &Codecs::default(), source, Some(Algorithm::Sha256)).unwrap();
        let mut read = Vec::new();
        decoding.read_to_end(&mut read).unwrap();
        assert!(read == tar);
        let reads = reads.lock().unwrap();
        // What a codec is recognised by is read by whoever starts.
        let mut rest = reads.iter().filter(|(position, _)| *position >= SAMPLE_HEAD_BYTES as u64).peekable();
        assert!(rest.peek().is_some() && rest.all(|(_, thread)| *thread != current().id()));
    }
}

#[test]
fn two_pieces_are_decoded_at_once() {
    let tar = tar(2_400_000);
    let blob = pieces(&tar.chunks(400_000).collect::<Vec<_>>()).concat();
    let meeting = Arc::new(Meeting::default());
    let inside = Arc::clone(&meeting);
    let codecs = Watched::codecs(move |_| inside.come());
    let source = Box::new(Cursor::new(blob));
    let decoding = DecodingAhead::start(&ThreadPool::new(), &codecs, source, Some(Algorithm::Sha256)).unwrap();
    assert_eq!(decoding.finish().unwrap().diff_id, Digest::of(&tar));
    assert_eq!(meeting.threads().len(), 2);
    assert!(!meeting.threads().contains(&current().id()));
}

/// As far as a source is read before nobody reads the tar: between these, in bytes.
const AHEAD: RangeInclusive<usize> = 15 << 20..=17 << 20;

/// Endless; counts what is read, and says when that is enough.
struct Endless(Arc<AtomicUsize>, Sender<()>);

impl Read for Endless {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        buffer.fill(b'x');
        if self.0.fetch_add(buffer.len(), Ordering::Relaxed) + buffer.len() >= *AHEAD.start() {
            // Once is enough.
            let _: Result<(), _> = self.1.send(());
        }
        Ok(buffer.len())
    }
}

#[test]
fn a_decoder_goes_ahead_of_a_slow_reader_by_16_mib_and_no_more() {
    let (count, (enough, told)) = (Arc::default(), channel());
    let (pool, running) = Counting::new();
    let source = Box::new(Endless(Arc::clone(&count), enough));
    let decoding = DecodingAhead::start(&pool, &Codecs::default(), source, Some(Algorithm::Sha256)).unwrap();
    told.recv_timeout(PATIENCE).unwrap();
    drop(decoding);
    drop(pool);
    running.recv().unwrap_err();
    assert!(AHEAD.contains(&count.load(Ordering::Relaxed)), "{count:?} bytes");
}

/// Gives piece by piece, the last one not before it is told to.
struct Slow(VecDeque<Vec<u8>>, Receiver<()>);

impl Read for Slow {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.0.len() == 1 && self.1.recv_timeout(PATIENCE) == Err(RecvTimeoutError::Timeout) {
            return Err(io::ErrorKind::TimedOut.into());
        }
        let Some(mut piece) = self.0.pop_front() else { return Ok(0) };
        let rest = piece.split_off(buffer.len().min(piece.len()));
        buffer[..piece.len()].copy_from_slice(&piece);
        if !rest.is_empty() {
            self.0.push_front(rest);
        }
        Ok(piece.len())
    }
}

#[test]
fn what_is_decoded_does_not_wait_for_a_slow_source() {
    let tar = tar(2_400_000);
    let pieces = pieces(&tar.chunks(400_000).collect::<Vec<_>>());
    let (tell, told) = channel();
    let source = Box::new(Slow(pieces.into(), told));
    let mut decoding =
        DecodingAhead::start(&ThreadPool::new(), &Codecs::default(), source, Some(Algorithm::Sha256)).unwrap();
    decoding.read_exact(&mut vec![0; 3 * 400_000]).unwrap();
    drop(tell);
    assert_eq!(decoding.finish().unwrap().diff_id, Digest::of(&tar));
}

#[test]
fn a_piece_decoder_that_panics_is_told_as_cancelled_after_what_was_before_it_and_all_threads_end() {
    let tar = tar(2_400_000);
    let blocks: Vec<_> = tar.chunks(400_000).collect();
    let pieces = pieces(&blocks);
    let start = |panics: Option<usize>| {
        let bad = panics.map(|place| pieces[place].clone());
        let codecs = Watched::codecs(move |piece| {
            assert!(bad.as_ref().is_some_and(|bad| bad != piece), "as the test wants");
        });
        let (pool, running) = Counting::new();
        let source = Box::new(Cursor::new(pieces.concat()));
        (DecodingAhead::start(&pool, &codecs, source, Some(Algorithm::Sha256)).unwrap(), running)
    };
    // `None` panics at every piece, so that no decoder is left.
    for place in (0..pieces.len()).map(Some).chain([None]) {
        let (decoding, running) = start(place);
        assert_eq!(decoding.finish().unwrap_err().kind(), ErrorKind::Cancelled);
        running.recv().unwrap_err();

        let (mut decoding, running) = start(place);
        let mut read = Vec::new();
        let error = decoding.read_to_end(&mut read).unwrap_err();
        assert_eq!(error_of_io("read", "a test", error).kind(), ErrorKind::Cancelled);
        assert!(read == blocks[..place.unwrap_or(0)].concat());
        // They do not wait for the reader either.
        running.recv().unwrap_err();
    }
}

#[test]
fn a_plain_tar_whose_digest_is_its_diff_id_has_no_second_hasher() {
    let tar = tar(700_000);
    let jobs = |blob: &[u8], algorithm| {
        let (pool, _running) = Counting::new();
        let source = Box::new(Cursor::new(blob.to_vec()));
        let decoding = DecodingAhead::start(&pool, &Codecs::default(), source, algorithm).unwrap();
        let layer = decoding.finish().unwrap();
        assert_eq!((layer.diff_id, layer.blob_digest.map(|digest| digest.algorithm())), (Digest::of(&tar), algorithm));
        pool.0.into_inner()
    };
    let (plain, gzip) = (&tar[..], &foreign_gzip(&tar)[..]);
    assert_eq!(jobs(plain, Some(Algorithm::Sha256)), 1);
    for (blob, algorithm) in [(plain, Some(Algorithm::Sha512)), (plain, None), (gzip, Some(Algorithm::Sha256))] {
        assert_eq!(jobs(blob, algorithm), 2, "{algorithm:?}");
    }
}
