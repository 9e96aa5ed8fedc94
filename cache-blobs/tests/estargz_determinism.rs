//! eStargz: any tar comes back, and its bytes depend on nothing else.
#![cfg(feature = "estargz")]
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

mod pack_rig;
mod toc_rig;

use cache_blobs::tar::Header;
use cache_core::Digest;
use pack_rig::data;
use proptest::prelude::{ProptestConfig, Strategy, prop_oneof, proptest};
use toc_rig::determinism::{a_tar_comes_back, bytes_depend_on_the_tar_alone, entries};
use toc_rig::{Stargz, tar_of};

fn sizes() -> impl Strategy<Value = Vec<usize>> {
    let size = prop_oneof![4 => 0_usize..3000, 2 => 500_000_usize..600_000, 1 => 4_100_000_usize..4_300_000];
    proptest::collection::vec(size, 0..12)
}

fn files(sizes: &[usize], seed: u32) -> Vec<(Header, Vec<u8>)> {
    entries((1..).zip(sizes).map(|(number, bytes)| data(*bytes, seed.wrapping_add(number))))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn digests_are_equal_for_1_2_3_and_8_threads_all_paces_and_write_sizes(
        sizes in sizes(), seed: u32, piece in 1000_usize..200_000,
    ) {
        bytes_depend_on_the_tar_alone::<Stargz>(&tar_of(&files(&sizes, seed)), piece)?;
    }

    #[test]
    fn any_tar_comes_back_whole_and_file_by_file(sizes in sizes(), seed: u32) {
        a_tar_comes_back::<Stargz>(&files(&sizes, seed), Some(Digest::of([])))?;
    }
}
