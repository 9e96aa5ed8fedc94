//! zstd: what is written and what is read.
#![cfg(feature = "zstd")]
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

mod pack_rig;

use cache_blobs::codec::{Block, Codec, Codecs, Encoder, Zstd};
use cache_core::ErrorKind;
use pack_rig::{data, decode};
use proptest::prelude::{ProptestConfig, any, prop_assert, proptest};
use zstd::zstd_safe::{self, CParameter};

const SKIPPABLE: [u8; 11] = [0x5a, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, b'a', b'b', b'c'];

fn blob(tar: &[u8], level: Option<i32>) -> Vec<u8> {
    let Encoder::Blocks(encoder) = Zstd::new().encoder(level).unwrap() else { panic!("zstd is block-shaped") };
    let mut blob = Vec::new();
    for piece in tar.chunks(encoder.block_bytes()) {
        let frame =
            encoder.encode(&mut Block { bytes: piece.to_vec().into(), ..Block::default() }).unwrap().bytes.to_vec();
        assert!(frame.len() <= encoder.encoded_bound());
        blob.extend(frame);
    }
    blob
}

fn kind_of(blob: Vec<u8>) -> ErrorKind {
    match decode(&Codecs::default(), blob) {
        Ok(tar) => panic!("decoded to {} bytes", tar.len()),
        Err(error) => error.kind(),
    }
}

#[test]
fn every_accepted_level_round_trips() {
    let tar = data(300_000, 1);
    for level in Zstd::new().levels().accepted().unwrap().clone() {
        assert!(decode(&Codecs::default(), blob(&tar, Some(level))).unwrap() == tar, "level {level}");
    }
}

#[test]
fn a_level_out_of_range_is_invalid_and_the_error_names_the_range() {
    for level in [-8, 23, i32::MAX, i32::MIN] {
        let error = Zstd::new().recipe(Some(level)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert!(error.target().contains("-7 to 22"), "{error}");
    }
}

#[test]
fn level_0_is_the_default_in_bytes_and_recipe() {
    let tar = data(100_000, 2);
    assert_eq!(blob(&tar, Some(0)), blob(&tar, None));
    assert_eq!(Zstd::new().recipe(Some(0)).unwrap(), Zstd::new().recipe(None).unwrap());
    assert_eq!(Zstd::new().recipe(None).unwrap().level, Some(0));
}

#[test]
fn the_default_packs_better_than_level_1_and_less_well_than_level_3() {
    let mut program = std::fs::read(std::env::current_exe().unwrap()).unwrap();
    program.truncate(8 << 20);
    let [first, third, default] = [Some(1), Some(3), None].map(|level| blob(&program, level).len());
    assert!(third < default && default < first, "{third} < {default} < {first}");
    let recipe = |level| Zstd::new().recipe(level).unwrap();
    assert_ne!(recipe(None), recipe(Some(3)));
    assert!(recipe(None).parameters.contains("fast,hash-log=17,min-match=6"), "{:?}", recipe(None));
    assert!(!recipe(Some(3)).parameters.contains("fast"));
}

#[test]
fn the_recipe_names_the_version_of_the_library_that_runs() {
    assert_eq!(Zstd::new().recipe(None).unwrap().version, zstd_safe::version_string());
}

#[test]
fn frames_tell_their_size_and_have_a_window_of_at_most_8_mib_and_no_checksum() {
    const CHECKSUM_FLAG: u8 = 4;
    const SINGLE_SEGMENT_FLAG: u8 = 32;
    let blob = blob(&data((8 << 20) + 5, 3), Some(19));
    let first = zstd_safe::find_frame_compressed_size(&blob).unwrap();
    let frames = [(&blob[..first], 8 << 20), (&blob[first..], 5)];
    for (frame, bytes) in frames {
        assert_eq!(zstd_safe::get_frame_content_size(frame).unwrap(), Some(bytes));
        assert_eq!(frame[4] & CHECKSUM_FLAG, 0, "two digests cover it already");
        assert_eq!(frame[4] & SINGLE_SEGMENT_FLAG, SINGLE_SEGMENT_FLAG, "the window is the frame");
    }
}

#[test]
fn frames_and_skippable_frames_are_read_in_any_order() {
    let (first, second) = (data(200_000, 4), data(10, 5));
    let blob = [&SKIPPABLE[..], &blob(&first, None), &SKIPPABLE, &blob(&second, Some(1)), &SKIPPABLE].concat();
    assert!(decode(&Codecs::default(), blob).unwrap() == [first, second].concat());
}

#[test]
fn a_blob_cut_off_anywhere_is_corrupt() {
    let frame = blob(&data(3000, 6), None);
    for end in 8..frame.len() {
        assert_eq!(kind_of(frame[..end].to_vec()), ErrorKind::Corrupt, "cut at {end}");
    }
    let skippable = [&frame[..], &SKIPPABLE].concat();
    for end in frame.len() + 1..skippable.len() {
        assert_eq!(kind_of(skippable[..end].to_vec()), ErrorKind::Corrupt, "cut at {end}");
    }
}

#[test]
fn whatever_follows_the_last_frame_and_is_none_is_corrupt() {
    for garbage in [&b"garbage"[..], &[0], &[0; 512], &[0x28, 0xb5], &[0x1f, 0x8b, 8]] {
        assert_eq!(kind_of([&blob(&data(3000, 7), None), garbage].concat()), ErrorKind::Corrupt, "{garbage:?}");
    }
}

/// Of a frame as BuildKit writes it. Some bits mean nothing to a decoder; all others are caught by the checksum, at the latest.
#[test]
fn a_flipped_bit_of_a_frame_with_a_checksum_never_gives_another_tar() {
    let tar = data(2000, 7);
    let mut context = zstd_safe::CCtx::create();
    context.set_parameter(CParameter::ChecksumFlag(true)).unwrap();
    let mut whole = Vec::with_capacity(zstd_safe::compress_bound(tar.len()));
    context.compress2(&mut whole, &tar).unwrap();
    let mut corrupt = 0;
    for at in 6..whole.len() {
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

fn with_window(log: u32) -> Vec<u8> {
    let tar = data(100_000, 9);
    let mut context = zstd_safe::CCtx::create();
    context.set_parameter(CParameter::WindowLog(log)).unwrap();
    context.set_parameter(CParameter::ContentSizeFlag(false)).unwrap();
    let mut blob = Vec::with_capacity(zstd_safe::compress_bound(tar.len()));
    let mut output = zstd_safe::OutBuffer::around(&mut blob);
    context.compress_stream(&mut output, &mut zstd_safe::InBuffer::around(&tar)).unwrap();
    assert_eq!(context.end_stream(&mut output).unwrap(), 0);
    blob
}

#[test]
fn windows_up_to_128_mib_are_read_and_larger_ones_exceed_the_limit() {
    assert!(decode(&Codecs::default(), with_window(27)).unwrap() == data(100_000, 9));
    assert_eq!(kind_of(with_window(28)), ErrorKind::LimitExceeded);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_bytes_after_the_magic_end_in_a_tar_or_in_a_typed_error(rest in any::<Vec<u8>>()) {
        let blob = [&[0x28, 0xb5, 0x2f, 0xfd][..], &rest].concat();
        if let Err(error) = decode(&Codecs::default(), blob) {
            prop_assert!(matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::LimitExceeded), "{}", error);
        }
    }
}
