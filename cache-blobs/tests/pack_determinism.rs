//! The bytes of a blob depend on nothing but the tar and the recipe.
#![cfg(all(feature = "gzip", feature = "zstd"))]
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

mod pack_rig;

use cache_blobs::codec::Codecs;
use cache_core::{Compression, Digest};
use pack_rig::{Pace, data, pack_with};
use proptest::prelude::{ProptestConfig, prop_assert_eq, proptest};

fn digests(tar: &[u8], compression: &Compression, workers: usize, pace: Pace, piece: usize) -> (Digest, Digest) {
    let codec = Codecs::default().of(compression).unwrap();
    let packed = pack_with(&*codec, tar, workers, pace, piece).0.unwrap();
    (packed.info.digest, packed.diff_id)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn gzip_digests_are_equal_for_all_numbers_of_threads_paces_and_write_sizes(
        bytes in 0_usize..3_000_000, seed: u32, piece in 1_usize..200_000,
    ) {
        let tar = data(bytes, seed);
        let expected = digests(&tar, &Compression::Gzip, 1, Pace::Fast, 1 << 20);
        prop_assert_eq!(expected.1, Digest::of(&tar));
        for workers in [2, 3, 8] {
            for pace in [Pace::Fast, Pace::Slow(40)] {
                prop_assert_eq!(digests(&tar, &Compression::Gzip, workers, pace, piece.max(bytes / 1000)), expected);
            }
        }
    }
}

#[test]
fn zstd_digests_are_equal_for_all_numbers_of_threads() {
    let tar = data(30 << 20, 7);
    let expected = digests(&tar, &Compression::Zstd, 1, Pace::Fast, 1 << 20);
    for workers in [2, 3, 8] {
        assert_eq!(digests(&tar, &Compression::Zstd, workers, Pace::Slow(9), 70_001), expected);
    }
}
