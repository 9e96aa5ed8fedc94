//! The bytes of a blob depend on nothing but the tar and the recipe.
#![cfg(all(feature = "gzip", feature = "zstd"))]
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

mod pack_rig;

use std::io::Write;

use cache_blobs::codec::{Codecs, error_of_io};
use cache_blobs::pack::{PackOptions, PackWriter, pack};
use cache_core::{Compression, Digest, Error};
use pack_rig::{Pace, budget, data, pool, sink};
use pollster::block_on;
use proptest::prelude::{ProptestConfig, prop_assert_eq, proptest};

fn digests(tar: &[u8], compression: &Compression, workers: usize, pace: Pace, piece: usize) -> (Digest, Digest) {
    let codec = Codecs::default().of(compression).unwrap();
    let (ingest, _) = sink(pace);
    let tar = tar.to_vec();
    let produce = move |writer: &mut PackWriter| {
        for piece in tar.chunks(piece) {
            writer.write_all(piece).map_err(|error| error_of_io("write", "a test tar", error))?;
        }
        Ok::<_, Error>(())
    };
    let budget = budget(workers, 128 << 20);
    let packed = block_on(pack(&budget, &pool(), &*codec, ingest, PackOptions::default(), produce)).unwrap();
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
