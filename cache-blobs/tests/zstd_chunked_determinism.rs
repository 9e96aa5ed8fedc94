//! zstd:chunked: any tar comes back, and its bytes depend on nothing else.
#![cfg(all(feature = "estargz", feature = "zstd-chunked"))]
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

mod pack_rig;
mod toc_rig;

use cache_blobs::tar::Header;
use pack_rig::data;
use proptest::prelude::{ProptestConfig, Strategy, prop_oneof, proptest};
use toc_rig::determinism::{a_tar_comes_back, bytes_depend_on_the_tar_alone, entries};
use toc_rig::{Chunked, tar_of};

/// A file, part by part: bytes of data or of zeros.
fn parts() -> impl Strategy<Value = Vec<(bool, usize)>> {
    let size = prop_oneof![4 => 0_usize..3000, 2 => 100_000_usize..600_000, 1 => 4_100_000_usize..4_300_000];
    proptest::collection::vec((proptest::bool::weighted(0.4), size), 0..4)
}

fn files(plan: &[Vec<(bool, usize)>], seed: u32) -> Vec<(Header, Vec<u8>)> {
    let contents = |(number, parts): (u32, &Vec<(bool, usize)>)| -> Vec<u8> {
        let part = |(at, (zeros, bytes)): (u32, &(bool, usize))| match zeros {
            true => vec![0; *bytes],
            false => data(*bytes, seed.wrapping_add(number * 8 + at)),
        };
        (0..).zip(parts).flat_map(part).collect()
    };
    entries((1..).zip(plan).map(contents))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(10))]

    #[test]
    fn digests_are_equal_for_1_2_3_and_8_threads_all_paces_and_write_sizes(
        plan in proptest::collection::vec(parts(), 0..6), seed: u32, piece in 1000_usize..200_000,
    ) {
        bytes_depend_on_the_tar_alone::<Chunked>(&tar_of(&files(&plan, seed)), piece)?;
    }

    #[test]
    fn any_tar_comes_back_whole_and_file_by_file(plan in proptest::collection::vec(parts(), 0..6), seed: u32) {
        a_tar_comes_back::<Chunked>(&files(&plan, seed), None)?;
    }
}
