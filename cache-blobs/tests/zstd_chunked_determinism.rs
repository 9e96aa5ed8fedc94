//! zstd:chunked: any tar comes back, and its bytes depend on nothing else.
#![cfg(all(feature = "estargz", feature = "zstd-chunked"))]
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

mod estargz_rig;
mod pack_rig;
mod zstd_chunked_rig;

use cache_blobs::codec::zstd_chunked::{TocKind, TocLimits};
use cache_blobs::tar::Header;
use cache_core::Digest;
use estargz_rig::{file, tar_of};
use pack_rig::{Pace, data};
use proptest::prelude::{ProptestConfig, Strategy, prop_assert, prop_assert_eq, prop_oneof, proptest};
use zstd_chunked_rig::{open_with, packed, read, toc, try_pack, unzstd};

/// A file, part by part: bytes of data or of zeros.
fn contents() -> impl Strategy<Value = Vec<(bool, usize)>> {
    let size = prop_oneof![4 => 0_usize..3000, 2 => 100_000_usize..600_000, 1 => 4_100_000_usize..4_300_000];
    proptest::collection::vec((proptest::bool::weighted(0.4), size), 0..4)
}

fn files(plan: &[Vec<(bool, usize)>], seed: u32) -> Vec<(Header, Vec<u8>)> {
    let mut files = vec![(Header::directory("dir"), Vec::new())];
    for (number, parts) in (1..).zip(plan) {
        let part = |(at, (zeros, bytes)): (u32, &(bool, usize))| match zeros {
            true => vec![0; *bytes],
            false => data(*bytes, seed.wrapping_add(number * 8 + at)),
        };
        files.push(file(&format!("dir/{number}"), (0..).zip(parts).map(part).collect::<Vec<_>>().concat()));
        files.push((Header::symlink(format!("link-{number}"), "dir"), Vec::new()));
    }
    files
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(10))]

    #[test]
    fn digests_are_equal_for_1_2_3_and_8_threads_all_paces_and_write_sizes(
        plan in proptest::collection::vec(contents(), 0..6), seed: u32, piece in 1000_usize..200_000,
    ) {
        let tar = tar_of(&files(&plan, seed));
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
    fn any_tar_comes_back_whole_and_file_by_file(plan in proptest::collection::vec(contents(), 0..6), seed: u32) {
        let files = files(&plan, seed);
        let tar = tar_of(&files);
        let (packed, blob) = packed(&tar);
        prop_assert!(unzstd(&blob) == tar);
        prop_assert_eq!(packed.diff_id, Digest::of(&tar));
        let entries = toc(&blob).entries.into_iter().filter(|entry| entry.kind != TocKind::Chunk);
        let told: Vec<_> = entries.map(|entry| (entry.name, entry.size, entry.digest)).collect();
        let expected: Vec<_> = files
            .iter()
            .map(|(header, contents)| {
                let name = String::from_utf8(header.path.clone()).unwrap();
                let name = if name == "dir" { "dir/".to_owned() } else { name };
                (name, header.size, (header.size > 0).then(|| Digest::of(contents)))
            })
            .collect();
        prop_assert_eq!(told, expected);
        let reader = open_with(blob, &packed.annotations, TocLimits::default()).unwrap();
        for (header, contents) in files.iter().filter(|(header, _)| header.size > 0) {
            let path = std::str::from_utf8(&header.path).unwrap();
            prop_assert!(read(&reader, path).unwrap() == *contents);
        }
    }
}
