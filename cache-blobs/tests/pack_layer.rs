//! A packed layer: its bytes, digests, labels and media type.
#![cfg(all(feature = "gzip", feature = "zstd"))]
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

mod pack_rig;

use std::io::Write;

use cache_blobs::codec::{Codecs, Recipe};
use cache_blobs::pack::{PackOptions, PackWriter, Packed, pack};
use cache_core::annotation::{RECIPE, UNCOMPRESSED};
use cache_core::{Compression, Digest, Error, Labels, MediaType};
use pack_rig::{Fate, Pace, budget, data, decode, pool, sink, write_all};
use pollster::block_on;

fn pack_data(compression: &Compression, tar: Vec<u8>, options: PackOptions) -> (Packed<u64>, Vec<u8>, Labels) {
    let codec = Codecs::default().of(compression).unwrap();
    let budget = budget(2, 64 << 20);
    let (ingest, seen) = sink(Pace::Fast);
    let produce = move |writer: &mut PackWriter| {
        for piece in tar.chunks(7001) {
            writer.write_all(piece).map_err(|error| cache_blobs::codec::error_of_io("write", "a test tar", error))?;
        }
        Ok::<_, Error>(writer.written())
    };
    let packed = block_on(pack(&budget, &pool(), &*codec, ingest, options, produce)).unwrap();
    assert_eq!(budget.usage().used_bytes, 0);
    let mut seen = seen.lock().unwrap();
    let Fate::Committed(labels) = seen.fate.clone() else { panic!("{:?}", seen.fate) };
    (packed, std::mem::take(&mut seen.bytes), labels)
}

const BUILT_IN: [(Compression, MediaType); 3] = [
    (Compression::Uncompressed, MediaType::OCI_LAYER),
    (Compression::Gzip, MediaType::OCI_LAYER_GZIP),
    (Compression::Zstd, MediaType::OCI_LAYER_ZSTD),
];

#[test]
fn a_layer_of_every_codec_decodes_to_the_tar_that_was_written() {
    for (compression, media_type) in BUILT_IN {
        for bytes in [0, 1, 511, 2 << 20, (2 << 20) + 1, 9 << 20] {
            let tar = data(bytes, 1);
            let (packed, blob, labels) = pack_data(&compression, tar.clone(), PackOptions::default());
            assert_eq!(packed.produced, bytes as u64);
            assert_eq!(packed.uncompressed_bytes, bytes as u64);
            assert_eq!(packed.diff_id, Digest::of(&tar));
            assert_eq!(packed.info.digest, Digest::of(&blob));
            assert_eq!(packed.media_type, media_type);
            let recipe = Recipe::from_label(&labels[RECIPE]).unwrap();
            assert_eq!(recipe, packed.recipe);
            assert_eq!(recipe.codec, compression.name());
            assert!(decode(&Codecs::default(), blob).unwrap() == tar, "{compression} of {bytes} bytes");
            assert_eq!(packed.layer().diff_id, packed.diff_id);
        }
    }
}

#[test]
fn the_diff_id_of_an_uncompressed_layer_is_its_digest_and_no_label() {
    let (packed, _, labels) = pack_data(&Compression::Uncompressed, data(3 << 20, 2), PackOptions::default());
    assert_eq!(packed.diff_id, packed.info.digest);
    assert!(!labels.contains_key(UNCOMPRESSED));
}

#[test]
fn an_uncompressed_layer_is_hashed_by_the_store_alone() {
    for (compression, _) in BUILT_IN {
        let codec = Codecs::default().of(&compression).unwrap();
        let tar = data(100_000, 4);
        let copied = tar.clone();
        let produce = move |writer: &mut PackWriter| {
            write_all(writer, &copied)?;
            Ok::<_, Error>(writer.digest())
        };
        let ingest = sink(Pace::Fast).0;
        let packed =
            block_on(pack(&budget(2, 64 << 20), &pool(), &*codec, ingest, PackOptions::default(), produce)).unwrap();
        let is_hashed = compression != Compression::Uncompressed;
        assert_eq!(packed.produced, is_hashed.then(|| Digest::of(&tar)), "{compression}");
        assert_eq!(packed.diff_id, Digest::of(&tar));
    }
}

#[test]
fn a_compressed_layer_is_labelled_with_its_diff_id_and_what_the_caller_wants() {
    let wanted = Labels::from([("a".to_owned(), "b".to_owned())]);
    let options = PackOptions::default().with_labels(wanted).with_level(Some(1));
    let (packed, _, labels) = pack_data(&Compression::Gzip, data(100, 3), options);
    assert_eq!(labels[UNCOMPRESSED], packed.diff_id.to_string());
    assert_eq!(labels["a"], "b");
    assert_eq!(packed.recipe.level, Some(1));
}

#[test]
fn an_empty_tar_has_the_digest_of_nothing_in_every_compression() {
    for (compression, _) in BUILT_IN {
        let (packed, blob, _) = pack_data(&compression, Vec::new(), PackOptions::default());
        assert_eq!(packed.diff_id, Digest::of(b""));
        assert_eq!(blob.is_empty(), compression == Compression::Uncompressed);
    }
}
