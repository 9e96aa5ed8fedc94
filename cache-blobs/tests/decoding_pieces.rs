//! Blobs whose pieces are decoded on several threads read as the stream decoder reads them, damaged ones too.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

use std::io::{Cursor, Read, Write};
use std::sync::atomic::Ordering;

use cache_blobs::DecodingAhead;
use cache_blobs::codec::{Block, Codec, Codecs, Cut, Encoder, Gzip, error_of_io};
use cache_core::{Algorithm, Digest, ErrorKind, ThreadPool};
use proptest::prelude::{ProptestConfig, any, prop, proptest};

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

/// The tar before the first failure, and its kind.
fn ahead(blob: &[u8]) -> (Vec<u8>, Option<ErrorKind>) {
    let source = Box::new(Cursor::new(blob.to_vec()));
    let mut decoding =
        DecodingAhead::start(&ThreadPool::new(), &Codecs::default(), source, Some(Algorithm::Sha256)).unwrap();
    let mut tar = Vec::new();
    let outcome = decoding.read_to_end(&mut tar).map_err(|error| error_of_io("read", "a test", error).kind());
    if outcome.is_ok() {
        let layer = decoding.finish().unwrap();
        assert_eq!((layer.blob_digest, layer.blob_bytes), (Some(Digest::of(blob)), blob.len() as u64));
        assert_eq!(layer.diff_id, Digest::of(&tar));
    }
    (tar, outcome.err())
}

fn streamed(blob: &[u8]) -> (Vec<u8>, Option<ErrorKind>) {
    let mut tar = Vec::new();
    let mut decoding = Codecs::default().decode(Box::new(Cursor::new(blob.to_vec()))).unwrap();
    let outcome = decoding.read_to_end(&mut tar).map_err(|error| error_of_io("read", "a test", error).kind());
    (tar, outcome.err())
}

/// Both ways give the same; says what. How much is given before a failure depends on the size of buffers.
fn outcome(blob: &[u8]) -> (Vec<u8>, Option<ErrorKind>) {
    let (ahead, streamed) = (ahead(blob), streamed(blob));
    assert_eq!(ahead.1, streamed.1);
    match ahead.1 {
        None => assert!(ahead.0 == streamed.0, "{} and {} bytes", ahead.0.len(), streamed.0.len()),
        Some(_) => assert!(ahead.0.starts_with(&streamed.0) || streamed.0.starts_with(&ahead.0)),
    }
    ahead
}

#[test]
fn every_piece_of_our_own_blobs_is_cut() {
    let tar = tar(300_000);
    let codec = Gzip::new();
    let cutter = codec.pieces().unwrap();
    for block in [&tar[..], &tar[..255], &tar[..256], &tar[..70_000], b"", &[0; 200_000]] {
        let piece = pieces(&[block]).remove(0);
        let whole = Cut::Piece { bytes: piece.len(), tar_bytes: block.len() };
        assert_eq!(cutter.cut(&piece), whole);
        assert_eq!(cutter.cut(&[&piece[..], b"more"].concat()), whole);
        for end in 0..piece.len().min(2000) {
            assert!(matches!(cutter.cut(&piece[..end]), Cut::More(wanted) if wanted > end && wanted <= piece.len()));
        }
        let mut decoded = vec![1; block.len()];
        cutter.decoder().unwrap().decode(&piece, &mut decoded).unwrap();
        assert!(decoded == block);
        cutter.decoder().unwrap().decode(&piece, &mut vec![1; block.len() + 1]).unwrap_err();
        let longer = [&piece[..], &piece[..]].concat();
        cutter.decoder().unwrap().decode(&longer, &mut decoded).unwrap_err();
    }
}

#[test]
fn pieces_of_any_sizes_give_the_tar() {
    let tar = tar(9_000_000);
    let blocks: Vec<_> = tar.chunks(1_500_000).chain(tar.chunks(999).take(3000)).chain([&[][..]]).collect();
    assert_eq!(outcome(&pieces(&blocks).concat()), (blocks.concat(), None));
    assert_eq!(outcome(&pieces(&[b""]).concat()), (Vec::new(), None));
}

#[test]
fn foreign_pieces_between_ours_give_the_tar() {
    let tar = tar(2_000_000);
    let blocks = [&tar[..], &tar[..1_000_000], &tar[5..]];
    let foreign = foreign_gzip(&tar);
    let ours = pieces(&blocks);
    for place in 0..=ours.len() {
        let mut blob = ours.clone();
        blob.insert(place, foreign.clone());
        let (decoded, error) = outcome(&blob.concat());
        assert_eq!(error, None);
        assert_eq!(decoded.len(), blocks.concat().len() + tar.len());
    }
}

#[test]
fn a_member_with_a_wrong_length_hides_nothing() {
    let tar = tar(500_000);
    let ours = pieces(&[&tar, &tar, &tar]);
    let whole = ours[0].len() + ours[1].len();
    for lie in [0, 1, 27, 28, ours[0].len() - 1, ours[0].len() + 1, whole, whole + 1, 1 << 20, u32::MAX as usize] {
        let mut blob = ours.concat();
        blob[16..20].copy_from_slice(&u32::try_from(lie).unwrap().to_le_bytes());
        let (decoded, error) = outcome(&blob);
        assert_eq!((decoded.len(), error), (1_500_000, None));
    }
}

#[test]
fn damage_and_truncation_and_what_follows_are_as_in_the_stream() {
    let tar = tar(600_000);
    let ours = pieces(&[&tar, &tar, &tar]);
    let blob = ours.concat();
    let (first, last) = (ours[0].len(), ours[2].len());
    for end in [10, 19, 21, first - 1, first + 1, first + 19, blob.len() - last + 3, blob.len() - 9, blob.len() - 1] {
        assert_eq!(outcome(&blob[..end]).1, Some(ErrorKind::Corrupt), "{end}");
    }
    for place in [first + 40, first + ours[1].len() / 2, first + ours[1].len() - 1, blob.len() - 6] {
        let mut damaged = blob.clone();
        damaged[place] ^= 0x55;
        let (decoded, error) = outcome(&damaged);
        assert_eq!(error, Some(ErrorKind::Corrupt), "{place}");
        assert!(decoded.len() >= 600_000);
    }
    for tail in [&[0; 512][..], b"x", b"something else"] {
        assert_eq!(outcome(&[&blob[..], tail].concat()).1, Some(ErrorKind::Corrupt));
    }
}

/// Gives its bytes in small reads, of sizes that depend on the seed.
struct Slow(Cursor<Vec<u8>>, usize);

impl Read for Slow {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        self.1 = self.1 * 31 % 70_001 + 1;
        let end = buffer.len().min(self.1);
        self.0.read(&mut buffer[..end])
    }
}

#[test]
fn the_counter_of_compressed_bytes_does_not_depend_on_reads_or_threads() {
    let tar = tar(2_500_000);
    let mut ours = pieces(&[&tar[..900_000], &tar[..1_000_000], &tar[..5], &tar[..70], &tar[..800_000]]);
    ours.push(foreign_gzip(&tar));
    let damaged = ours[1].len() - 5;
    ours[1][damaged] ^= 1;
    let counts = |seed| {
        let source = Box::new(Slow(Cursor::new(ours.concat()), seed));
        let pool = ThreadPool::new();
        let mut decoding = DecodingAhead::start(&pool, &Codecs::default(), source, Some(Algorithm::Sha256)).unwrap();
        let compressed = decoding.compressed();
        let (mut counts, mut buffer) = (Vec::new(), [0; 10_000]);
        while decoding.read(&mut buffer).is_ok_and(|count| count > 0) {
            counts.push(compressed.load(Ordering::Relaxed));
        }
        counts
    };
    let first = counts(1);
    assert!(first.len() > 100 && first.first() < first.last());
    for seed in 2..8 {
        assert_eq!(first, counts(seed));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn any_change_of_a_blob_reads_as_in_the_stream(
        sizes in prop::collection::vec(0_usize..40_000, 1..12),
        place in any::<prop::sample::Index>(),
        change in any::<u8>(),
        cut in any::<prop::sample::Index>(),
    ) {
        let tar = tar(40_000);
        let blocks: Vec<_> = sizes.iter().map(|size| &tar[..*size]).collect();
            let mut blob = pieces(&blocks).concat();
        // The magic stays, so that the codec does.
        let place = 4 + place.index(blob.len() - 4);
        blob[place] ^= change;
        outcome(&blob);
        outcome(&blob[..4 + cut.index(blob.len() - 4)]);
    }
}
