//! eStargz: any tar comes back, and its bytes depend on nothing else.
#![cfg(feature = "estargz")]
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

mod estargz_rig;
mod pack_rig;

use cache_blobs::codec::estargz::TocKind;
use cache_blobs::tar::Header;
use cache_core::Digest;
use estargz_rig::{body, file, gunzip, open, packed, read, tar_of, toc, try_pack};
use pack_rig::{Pace, data};
use proptest::prelude::{ProptestConfig, Strategy, prop_assert, prop_assert_eq, prop_oneof, proptest};

fn sizes() -> impl Strategy<Value = Vec<usize>> {
    let size = prop_oneof![4 => 0_usize..3000, 2 => 500_000_usize..600_000, 1 => 4_100_000_usize..4_300_000];
    proptest::collection::vec(size, 0..12)
}

fn files(sizes: &[usize], seed: u32) -> Vec<(Header, Vec<u8>)> {
    let mut files = vec![(Header::directory("dir"), Vec::new())];
    for (number, size) in (1..).zip(sizes) {
        files.push(file(&format!("dir/{number}"), data(*size, seed.wrapping_add(number))));
        files.push((Header::symlink(format!("link-{number}"), "dir"), Vec::new()));
    }
    files
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn digests_are_equal_for_1_2_3_and_8_threads_all_paces_and_write_sizes(
        sizes in sizes(), seed: u32, piece in 1000_usize..200_000,
    ) {
        let tar = tar_of(&files(&sizes, seed));
        let outcome = |workers, pace, piece| {
            let (packed, blob, _) = try_pack(&tar, workers, pace, piece);
            let packed = packed.unwrap();
            (Digest::of(blob), packed.diff_id, packed.annotations)
        };
        let expected = outcome(1, Pace::Fast, 1 << 20);
        for workers in [2, 3, 8] {
            for pace in [Pace::Fast, Pace::Slow(40)] {
                prop_assert_eq!(outcome(workers, pace, piece), expected.clone());
            }
        }
    }

    #[test]
    fn any_tar_comes_back_whole_and_file_by_file(sizes in sizes(), seed: u32) {
        let files = files(&sizes, seed);
        let tar = tar_of(&files);
        let (packed, blob) = packed(&tar);
        prop_assert!(gunzip(body(&blob)) == tar);
        prop_assert_eq!(packed.diff_id, Digest::of(gunzip(&blob)));
        let entries = toc(&blob).entries.into_iter().filter(|entry| entry.kind != TocKind::Chunk);
        let names: Vec<_> = entries.map(|entry| entry.name).collect();
        let expected: Vec<_> = std::iter::once("dir/".to_owned())
            .chain(files[1..].iter().map(|(header, _)| String::from_utf8(header.path.clone()).unwrap()))
            .collect();
        prop_assert_eq!(names, expected);
        let reader = open(blob).unwrap();
        for (header, contents) in files.iter().filter(|(header, _)| header.size > 0) {
            let path = std::str::from_utf8(&header.path).unwrap();
            prop_assert!(read(&reader, path).unwrap() == *contents);
        }
    }
}
