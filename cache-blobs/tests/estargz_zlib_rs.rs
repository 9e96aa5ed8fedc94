//! eStargz by zlib-rs, the library that needs no C compiler.
#![cfg(feature = "estargz")]
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

mod pack_rig;
mod toc_rig;

use cache_blobs::codec::{Codec, Codecs, DeflateLibrary, Estargz};
use cache_blobs::tar::Header;
use cache_core::{Compression, Digest, ErrorKind};
use pack_rig::{Pace, data, pack_with};
use toc_rig::{Format, Stargz, file, read, tar_of};

fn zlib_rs() -> Estargz {
    Estargz::by(DeflateLibrary::ZlibRs)
}

#[test]
fn a_layer_is_the_same_for_all_numbers_of_threads_and_is_read_file_by_file() {
    let mut files = vec![(Header::directory("dir"), Vec::new()), file("dir/large", data(9_500_000, 1))];
    files.extend((0..300).map(|n| file(&format!("dir/{n}"), data(n * 31, n as u32))));
    let tar = tar_of(&files);
    let outcome = |workers, pace, piece| {
        let (packed, blob, _) = pack_with(&zlib_rs(), &tar, workers, pace, piece);
        let packed = packed.unwrap();
        (packed.diff_id, packed.annotations, blob)
    };
    let expected = outcome(1, Pace::Fast, 1 << 20);
    for workers in [2, 3, 8] {
        for pace in [Pace::Fast, Pace::Slow(40)] {
            assert!(outcome(workers, pace, 70_001) == expected, "{workers} workers");
        }
    }
    let (diff_id, _, blob) = expected;
    assert!(Stargz::decode(Stargz::body(&blob)) == tar);
    assert_eq!(diff_id, Digest::of(Stargz::decode(&blob)));
    let reader = Stargz::open(blob).unwrap();
    for (header, contents) in files.iter().filter(|(header, _)| header.size > 0) {
        let path = std::str::from_utf8(&header.path).unwrap();
        assert!(read(&reader, path).unwrap() == *contents, "{path}");
    }
}

/// The most members that a block can have.
#[test]
fn blocks_that_are_all_small_payloads_stay_within_the_bound() {
    let noise = |seed| data(512, seed).into_iter().zip(data(512, seed + 9)).map(|(a, b)| a.wrapping_mul(b)).collect();
    let files: Vec<_> = (0..5000).map(|seed| file(&seed.to_string(), noise(seed))).collect();
    let tar = tar_of(&files);
    let (packed, blob, _) = pack_with(&zlib_rs(), &tar, 2, Pace::Fast, 1 << 20);
    assert_eq!(packed.unwrap().diff_id, Digest::of(Stargz::decode(&blob)));
    assert!(Stargz::decode(Stargz::body(&blob)) == tar);
}

#[test]
fn the_recipe_names_the_library_and_its_levels_are_those_of_gzip() {
    let recipe = zlib_rs().recipe(None).unwrap();
    assert_eq!((recipe.library.as_str(), recipe.level, recipe.block), ("zlib-rs", Some(6), Some(2 << 20)));
    assert_eq!(zlib_rs().recipe(Some(10)).unwrap_err().kind(), ErrorKind::Invalid);
    let library = DeflateLibrary::default().name();
    assert_eq!(Codecs::default().of(&Compression::EStargz).unwrap().recipe(None).unwrap().library, library);
}
