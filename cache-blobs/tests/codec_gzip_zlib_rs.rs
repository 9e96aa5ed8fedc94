//! gzip by zlib-rs, the library that needs no C compiler.
#![cfg(feature = "gzip")]
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

mod pack_rig;

use std::sync::Arc;

use cache_blobs::codec::{Block, BlockEncoder, Codec, Codecs, DeflateLibrary, Encoder, Gzip};
use cache_blobs::pack::{PackOptions, PackWriter, pack};
use cache_core::{Compression, Digest, ErrorKind};
use pack_rig::{Pace, budget, data, decode, pool, sink, write_all};
use pollster::block_on;
use proptest::prelude::{ProptestConfig, prop_assert, prop_assert_eq, proptest};

const BLOCK: usize = 2 << 20;

fn zlib_rs() -> Gzip {
    Gzip::by(DeflateLibrary::ZlibRs)
}

fn encoder(level: i32) -> Arc<dyn BlockEncoder> {
    let Encoder::Blocks(encoder) = zlib_rs().encoder(Some(level)).unwrap() else { panic!("gzip is block-shaped") };
    encoder
}

fn member(encoder: &dyn BlockEncoder, bytes: &[u8]) -> Vec<u8> {
    encoder.encode(&mut Block { bytes: bytes.to_vec().into(), ..Block::default() }).unwrap().bytes.to_vec()
}

/// Bytes that no library makes fewer.
fn noise(bytes: usize) -> Vec<u8> {
    let mut state = 1_u64;
    let mut next = move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    };
    (0..bytes).map(|_| next()).collect()
}

/// Noise that is not stored, since it does not look so where it is probed.
fn veiled(bytes: usize) -> Vec<u8> {
    let mut bytes = noise(bytes);
    bytes.chunks_mut(8192).for_each(|unit| unit.iter_mut().take(300).for_each(|byte| *byte = 0));
    bytes
}

/// Around the lengths of deflate: of a match, of its blocks, of its windows, and of a whole block of ours.
fn blocks() -> Vec<Vec<u8>> {
    let lengths = [0, 1, 2, 3, 8, 9, 258, 262, 263, 32_768, 65_273, 65_274, 65_536, 131_073, 300_000, BLOCK];
    let of_kinds =
        |length| [data(length, 5), noise(length), veiled(length), vec![0; length], data(40, 6).repeat(length / 40)];
    lengths.into_iter().flat_map(of_kinds).collect()
}

#[test]
fn every_level_round_trips_within_the_bound_whatever_the_block_is() {
    for level in zlib_rs().levels().accepted().unwrap().clone() {
        let encoder = encoder(level);
        assert_eq!(encoder.block_bytes(), BLOCK);
        for block in blocks() {
            let member = member(&*encoder, &block);
            assert!(member.len() <= encoder.encoded_bound(), "{} of level {level}", block.len());
            assert!(decode(&Codecs::default(), member).unwrap() == block, "{} of level {level}", block.len());
        }
    }
}

#[test]
fn a_compressor_that_was_used_before_gives_the_same_bytes_as_a_new_one() {
    for level in zlib_rs().levels().accepted().unwrap().clone() {
        let used = encoder(level);
        for block in blocks() {
            let first = member(&*encoder(level), &block);
            assert!(member(&*used, &block) == first, "{} of level {level}", block.len());
        }
    }
}

#[test]
fn a_level_out_of_range_is_invalid_and_the_error_names_the_range() {
    for level in [i32::MIN, -1, 10, 12, i32::MAX] {
        for error in [zlib_rs().recipe(Some(level)).unwrap_err(), zlib_rs().encoder(Some(level)).unwrap_err()] {
            assert_eq!(error.kind(), ErrorKind::Invalid);
            assert!(error.target().contains("0 to 9"), "{error}");
        }
    }
}

#[test]
fn members_tell_their_length_and_nothing_of_time_or_machine() {
    let member = member(&*encoder(6), &data(100_000, 2));
    assert_eq!(member[..16], [0x1f, 0x8b, 8, 4, 0, 0, 0, 0, 0, 255, 8, 0, b'L', b'C', 4, 0]);
    assert_eq!(u32::from_le_bytes(member[16..20].try_into().unwrap()) as usize, member.len());
    assert_eq!(member[member.len() - 4..], 100_000_u32.to_le_bytes());
}

/// Fails when the lock file brings a zlib-rs that compresses otherwise: blobs then get new digests, which the changelog has to say.
#[test]
fn the_recipe_names_the_library_and_the_bytes_of_the_default_level_are_these() {
    assert_eq!(
        zlib_rs().recipe(None).unwrap().to_label(),
        r#"{"codec":"gzip","library":"zlib-rs","version":"sample-d1f859cf","level":6,"block":2097152,"parameters":"member-size,noise-stored"}"#
    );
    let levels = zlib_rs().levels();
    let versions = levels.accepted().unwrap().clone().map(|level| zlib_rs().recipe(Some(level)).unwrap().version);
    let distinct: std::collections::BTreeSet<_> = versions.collect();
    assert_eq!(distinct.len(), 10, "each level has a sample of its own");
}

#[test]
fn the_library_of_a_build_is_libdeflate_if_it_has_it_and_else_zlib_rs() {
    let name = if cfg!(feature = "libdeflate") { "libdeflate" } else { "zlib-rs" };
    assert_eq!(DeflateLibrary::default().name(), name);
    assert_eq!(Gzip::new().recipe(None).unwrap().library, name);
    assert_eq!(Codecs::default().of(&Compression::Gzip).unwrap().recipe(None).unwrap().library, name);
}

#[cfg(feature = "libdeflate")]
#[test]
fn a_recipe_of_one_library_is_not_followed_by_the_other() {
    let by = |library| Codecs::default().with(Arc::new(Gzip::by(library)));
    let libraries = [DeflateLibrary::Libdeflate, DeflateLibrary::ZlibRs];
    for (one, other) in [(0, 1), (1, 0)] {
        let (one, other) = (libraries[one], libraries[other]);
        for level in [0, 1, 6, 9] {
            let recipe = Gzip::by(one).recipe(Some(level)).unwrap();
            assert_eq!(by(one).follow(&recipe).unwrap().level, Some(level));
            assert_eq!(by(other).follow(&recipe).unwrap_err().kind(), ErrorKind::Unsupported, "{level}");
        }
    }
}

/// By a decoder that is not zlib-rs.
#[cfg(feature = "libdeflate")]
#[test]
fn libdeflate_reads_what_zlib_rs_writes() {
    let mut decompressor = libdeflater::Decompressor::new();
    for level in 0..=9 {
        for block in [data(BLOCK, 11), noise(100_000), Vec::new()] {
            let mut room = vec![0; block.len()];
            let member = member(&*encoder(level), &block);
            assert_eq!(decompressor.gzip_decompress(&member, &mut room).unwrap(), block.len());
            assert!(room == block, "level {level}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]

    #[test]
    fn digests_are_equal_for_1_2_3_and_8_threads_and_all_paces(bytes in 0_usize..9_000_000, seed: u32, level in 1..=7) {
        let tar = data(bytes, seed);
        let digest = |workers, pace| {
            let (ingest, seen) = sink(pace);
            let whole = tar.clone();
            let produce = move |out: &mut PackWriter| write_all(out, &whole);
            let options = PackOptions::default().with_level(Some(level));
            let packed = block_on(pack(&budget(workers, 64 << 20), &pool(), &zlib_rs(), ingest, options, produce));
            (packed.unwrap().info.digest, std::mem::take(&mut seen.lock().unwrap().bytes))
        };
        let (expected, blob) = digest(1, Pace::Fast);
        prop_assert_eq!(Digest::of(&blob), expected);
        prop_assert!(decode(&Codecs::default(), blob).unwrap() == tar);
        for workers in [2, 3, 8] {
            for pace in [Pace::Fast, Pace::Slow(40)] {
                prop_assert_eq!(digest(workers, pace).0, expected);
            }
        }
    }
}
