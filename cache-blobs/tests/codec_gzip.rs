//! gzip: what is written and what is read.
#![cfg(feature = "gzip")]
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

mod pack_rig;

use std::io::{self, Read, Write};

use cache_blobs::codec::{Block, Codec, Codecs, Encoder, Gzip, error_of_io, io_error};
use cache_core::{Error, ErrorKind};
use flate2::{Compression, GzBuilder};
use pack_rig::{data, decode};
use proptest::prelude::{ProptestConfig, any, prop_assert, prop_assert_eq, prop_oneof, proptest};

fn blob(tar: &[u8], level: Option<i32>) -> Vec<u8> {
    let Encoder::Blocks(encoder) = Gzip::new().encoder(level).unwrap() else { panic!("gzip is block-shaped") };
    let mut blob = Vec::new();
    for piece in tar.chunks(encoder.block_bytes()) {
        let member =
            encoder.encode(&mut Block { bytes: piece.to_vec().into(), ..Block::default() }).unwrap().bytes.to_vec();
        assert!(member.len() <= encoder.encoded_bound());
        blob.extend(member);
    }
    blob
}

/// A member as other programs write it: with name, comment, extra field and time.
fn foreign(tar: &[u8]) -> Vec<u8> {
    let builder = GzBuilder::new().filename("layer.tar").comment("foreign").extra(vec![b'X', b'Y', 1, 0, 9]).mtime(77);
    let mut encoder = builder.write(Vec::new(), Compression::fast());
    encoder.write_all(tar).unwrap();
    encoder.finish().unwrap()
}

fn kind_of(blob: Vec<u8>) -> ErrorKind {
    match decode(&Codecs::default(), blob) {
        Ok(tar) => panic!("decoded to {} bytes", tar.len()),
        Err(error) => error.kind(),
    }
}

#[test]
fn every_accepted_level_round_trips() {
    let tar = data(700_000, 1);
    let levels = Gzip::new().levels();
    for level in levels.accepted().unwrap().clone() {
        assert!(decode(&Codecs::default(), blob(&tar, Some(level))).unwrap() == tar, "level {level}");
    }
}

#[test]
fn a_level_out_of_range_is_invalid_and_the_error_names_the_range() {
    let last = *Gzip::new().levels().accepted().unwrap().end();
    for level in [-2, -1, last + 1, i32::MAX, i32::MIN] {
        for error in [Gzip::new().recipe(Some(level)).unwrap_err(), Gzip::new().encoder(Some(level)).unwrap_err()] {
            assert_eq!(error.kind(), ErrorKind::Invalid);
            assert!(error.target().contains(&format!("0 to {last}")), "{error}");
        }
    }
}

#[test]
fn members_tell_their_length_and_nothing_of_time_or_machine() {
    let tar = data(4_800_000, 2);
    let blob = blob(&tar, None);
    let mut rest = &blob[..];
    let mut members = Vec::new();
    while !rest.is_empty() {
        assert_eq!(rest[..16], [0x1f, 0x8b, 8, 4, 0, 0, 0, 0, 0, 255, 8, 0, b'L', b'C', 4, 0]);
        let length = u32::from_le_bytes(rest[16..20].try_into().unwrap()) as usize;
        let (member, next) = rest.split_at(length);
        let isize = u32::from_le_bytes(member[length - 4..].try_into().unwrap());
        members.push(isize);
        rest = next;
    }
    assert_eq!(members, [2_097_152, 2_097_152, 4_800_000 - 2 * 2_097_152]);
}

/// Fails when the lock file brings a libdeflate that compresses otherwise: blobs then get new digests, which the
/// changelog has to say.
#[cfg(feature = "libdeflate")]
#[test]
fn the_bytes_of_the_default_level_are_these() {
    let recipe = Gzip::new().recipe(None).unwrap();
    assert_eq!(
        recipe.to_label(),
        r#"{"codec":"gzip","library":"libdeflate","version":"sample-79fedc2c","level":5,"block":2097152,"parameters":"member-size,noise-stored"}"#
    );
}

#[test]
fn foreign_and_concatenated_members_are_read() {
    let (first, second) = (data(100_000, 3), data(50, 4));
    let mut blob = foreign(&first);
    blob.extend(foreign(b""));
    blob.extend(self::blob(&second, None));
    assert!(decode(&Codecs::default(), blob).unwrap() == [first, second].concat());
}

#[test]
fn a_blob_cut_off_anywhere_is_corrupt() {
    for whole in [blob(&data(3000, 5), None), foreign(&data(3000, 5)), [foreign(b"a"), foreign(b"b")].concat()] {
        let ends: Vec<_> = (0..whole.len()).filter(|end| *end >= 3).collect();
        for end in ends {
            let between_members = whole[end..].starts_with(&[0x1f, 0x8b, 8, 28]);
            if !between_members {
                assert_eq!(kind_of(whole[..end].to_vec()), ErrorKind::Corrupt, "cut at {end}");
            }
        }
    }
}

#[test]
fn whatever_follows_the_last_member_and_is_none_is_corrupt() {
    for garbage in [&b"garbage and more of it"[..], &[0], &[0; 512], &[0x1f], &[0x1f, 0x8b], &[0x1f, 0x8b, 9, 0, 0, 0]]
    {
        for member in [blob(&data(3000, 6), None), foreign(&data(3000, 6))] {
            assert_eq!(kind_of([&member, garbage].concat()), ErrorKind::Corrupt, "{garbage:?}");
        }
    }
}

/// Some bits mean nothing to a decoder; all others are caught by the checksum, at the latest.
#[test]
fn a_flipped_bit_never_gives_another_tar() {
    let tar = data(2000, 7);
    let whole = blob(&tar, None);
    let mut corrupt = 0;
    for at in 20..whole.len() {
        let mut damaged = whole.clone();
        damaged[at] ^= 1 << (at % 8);
        match decode(&Codecs::default(), damaged) {
            Ok(decoded) => assert!(decoded == tar, "byte {at}"),
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Corrupt, "byte {at}");
                corrupt += 1;
            }
        }
    }
    assert!(corrupt > whole.len() * 9 / 10);
}

#[test]
fn errors_of_the_source_are_passed_on() {
    struct Failing(io::Cursor<Vec<u8>>);
    impl Read for Failing {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            match self.0.read(buffer)? {
                0 => Err(io_error(Error::new(ErrorKind::Unauthenticated, "read", "a source"))),
                bytes => Ok(bytes),
            }
        }
    }
    let mut half = blob(&data(300_000, 8), None);
    half.truncate(half.len() / 2);
    let mut decoder = Gzip::new().decoder(Box::new(Failing(io::Cursor::new(half)))).unwrap();
    let error = decoder.read_to_end(&mut Vec::new()).unwrap_err();
    assert_eq!(error_of_io("decode", "it", error).kind(), ErrorKind::Unauthenticated);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_tar_round_trips(bytes in prop_oneof![0_usize..2000, 500_000_usize..1_100_000], seed: u32, level in 0..=9) {
        let tar = data(bytes.max(1), seed);
        prop_assert!(decode(&Codecs::default(), blob(&tar, Some(level))).unwrap() == tar);
    }

    #[test]
    fn any_bytes_after_the_magic_end_in_a_tar_or_in_corrupt(rest in any::<Vec<u8>>()) {
        let blob = [&[0x1f, 0x8b, 8][..], &rest].concat();
        if let Err(error) = decode(&Codecs::default(), blob) {
            prop_assert_eq!(error.kind(), ErrorKind::Corrupt);
        }
    }
}

/// Bytes without any order, from a generator that never changes.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 56
    };
    (0..length).map(|_| next() as u8).collect()
}

/// What each member of `blob` holds, and whether it begins with a stored block.
fn members(blob: &[u8]) -> Vec<(u32, bool)> {
    let mut rest = blob;
    let mut members = Vec::new();
    while !rest.is_empty() {
        let length = u32::from_le_bytes(rest[16..20].try_into().unwrap()) as usize;
        let (member, next) = rest.split_at(length);
        members.push((u32::from_le_bytes(member[length - 4..].try_into().unwrap()), member[20] & 0b110 == 0));
        rest = next;
    }
    members
}

#[test]
fn noise_is_stored_in_members_of_its_own() {
    const PART: usize = 64 << 10;
    let text = b"what is written again and again, and ".repeat(10_000);
    let mut tar = text[..3 * PART].to_vec();
    tar.extend(noise(5 * PART));
    tar.extend(&text[..2 * PART + 100]);
    let blob = blob(&tar, None);
    let expected = [(3 * PART, false), (5 * PART, true), (2 * PART + 100, false)];
    assert_eq!(members(&blob), expected.map(|(bytes, stored)| (bytes as u32, stored)));
    assert!(decode(&Codecs::default(), blob).unwrap() == tar);
}

#[test]
fn noise_that_repeats_itself_and_noise_of_few_values_are_compressed() {
    let repeated = noise(8 << 10).repeat(16);
    let of_few_values: Vec<u8> = noise(128 << 10).iter().map(|byte| byte & 0x7f).collect();
    for (tar, most_bytes) in [(repeated, 16 << 10), (of_few_values, 116 << 10)] {
        let blob = blob(&tar, None);
        assert!(blob.len() <= most_bytes, "{} bytes", blob.len());
        assert!(decode(&Codecs::default(), blob).unwrap() == tar);
    }
}

#[test]
fn storing_noise_costs_no_more_than_deflating_it() {
    let tar = noise(2 << 20);
    let blob = blob(&tar, None);
    assert_eq!(members(&blob), [(2 << 20, true)]);
    let stored_blocks = tar.len().div_ceil(65_535);
    assert_eq!(blob.len(), 20 + tar.len() + 5 * stored_blocks + 8);
}
