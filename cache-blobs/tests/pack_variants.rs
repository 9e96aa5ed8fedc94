//! One tar, packed as several blobs: each has the bytes that it has alone.
#![cfg(all(feature = "gzip", feature = "zstd", feature = "estargz", feature = "zstd-chunked"))]
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

mod pack_rig;

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use cache_blobs::codec::{Codec, Codecs, error_of_io};
use cache_blobs::pack::{Budget, PackOptions, PackTarget, PackWriter, Packed, PackedVariants, pack, pack_variants};
use cache_blobs::tar::{Header, Writer};
use cache_core::annotation::UNCOMPRESSED;
use cache_core::{Compression, Digest, Error, ErrorKind, Result};
use futures::future::join_all;
use pack_rig::{Pace, budget, data, pool, same_bytes, sink, write_all};
use pollster::block_on;
use proptest::prelude::{ProptestConfig, any, prop_assert_eq, proptest};

/// What is wanted of one blob.
type Wish = (Compression, Option<i32>);

const MEMORY: u64 = 64 << 20;

fn every_wish() -> Vec<Wish> {
    vec![
        (Compression::Gzip, None),
        (Compression::Zstd, Some(1)),
        (Compression::Uncompressed, None),
        (Compression::EStargz, None),
        (Compression::ZSTD_CHUNKED, None),
        (Compression::Gzip, Some(1)),
    ]
}

/// An archive of files of these sizes.
fn archive(sizes: &[usize], seed: u32) -> Vec<u8> {
    let mut tar = Writer::new(Vec::new());
    for (at, size) in sizes.iter().enumerate() {
        let content = data(*size, seed.wrapping_add(at as u32));
        tar.append(&Header::file(format!("file-{at}"), *size as u64), &content[..]).unwrap();
    }
    tar.finish().unwrap()
}

fn write_pieces(writer: &mut PackWriter, tar: &[u8], piece: usize) -> Result<()> {
    tar.chunks(piece)
        .try_for_each(|piece| writer.write_all(piece).map_err(|error| error_of_io("write", "a test tar", error)))
}

fn codecs_of(wishes: &[Wish]) -> Vec<Arc<dyn Codec>> {
    wishes.iter().map(|(compression, _)| Codecs::default().of(compression).unwrap()).collect()
}

fn alone(tar: &[u8], (compression, level): &Wish) -> Packed<()> {
    let codec = Codecs::default().of(compression).unwrap();
    let (tar, options) = (tar.to_vec(), PackOptions::default().with_level(*level));
    let produce = move |writer: &mut PackWriter| write_pieces(writer, &tar, 1 << 20);
    block_on(pack(&budget(1, MEMORY), &pool(), &*codec, sink(Pace::Fast).0, options, produce)).unwrap()
}

fn together(tar: &[u8], wishes: &[Wish], workers: usize, pace: Pace, piece: usize) -> PackedVariants<&'static str> {
    let codecs = codecs_of(wishes);
    let targets = codecs.iter().zip(wishes).map(|(codec, (_, level))| PackTarget {
        codec: &**codec,
        ingest: sink(pace).0,
        options: PackOptions::default().with_level(*level),
    });
    let tar = tar.to_vec();
    let produce = move |writer: &mut PackWriter| write_pieces(writer, &tar, piece).map(|()| "produced");
    let budget = budget(workers, MEMORY);
    let packed = block_on(pack_variants(&budget, &pool(), targets.collect(), produce)).unwrap();
    assert_eq!(budget.usage().used_bytes, 0);
    assert!(budget.usage().peak_bytes <= MEMORY);
    packed
}

#[test]
fn each_variant_is_what_it_is_alone_for_1_2_3_and_8_threads() {
    let tar = archive(&[9 << 20, 0, 3000, 5 << 20, 700_000, 1, 2 << 20], 1);
    let wishes = every_wish();
    let expected: Vec<_> = wishes.iter().map(|wish| alone(&tar, wish)).collect();
    for (workers, pace) in [(1, Pace::Fast), (2, Pace::Slow(9)), (3, Pace::Fast), (8, Pace::Slow(3))] {
        let packed = together(&tar, &wishes, workers, pace, 70_001);
        assert_eq!(packed.produced, "produced");
        assert_eq!(packed.variants, expected, "{workers} workers");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(10))]

    #[test]
    fn any_choice_of_variants_of_any_tar_is_what_each_is_alone(
        sizes in proptest::collection::vec(0_usize..600_000, 0..6),
        seed in any::<u32>(),
        wanted in proptest::collection::vec(0_usize..6, 1..5),
        piece in 1000_usize..200_000,
    ) {
        let tar = archive(&sizes, seed);
        let wishes: Vec<_> = wanted.iter().map(|at| every_wish()[*at].clone()).collect();
        let expected: Vec<_> = wishes.iter().map(|wish| alone(&tar, wish)).collect();
        for workers in [1, 2, 3, 8] {
            prop_assert_eq!(&together(&tar, &wishes, workers, Pace::Fast, piece).variants, &expected);
        }
    }
}

#[test]
fn all_variants_have_the_diff_id_of_the_tar_but_for_a_codec_with_a_rule_of_its_own() {
    let tar = archive(&[100, 70_000], 3);
    for variant in together(&tar, &every_wish(), 2, Pace::Fast, 4096).variants {
        let is_own = variant.recipe.codec == "estargz";
        assert_eq!(variant.diff_id == Digest::of(&tar), !is_own, "{}", variant.recipe.codec);
        let label = variant.info.labels.get(UNCOMPRESSED).cloned();
        let is_plain = variant.recipe.codec == "uncompressed";
        assert_eq!(label, (!is_plain).then(|| variant.diff_id.to_string()));
    }
}

#[test]
fn beside_a_plain_tar_the_store_alone_hashes_it_unless_a_codec_wants_the_hasher() {
    let plain = (Compression::Uncompressed, None);
    let cases = [
        (vec![plain.clone(), (Compression::Gzip, None), (Compression::Zstd, None)], false),
        (vec![(Compression::Gzip, None), plain.clone()], false),
        (vec![(Compression::EStargz, None), plain.clone()], true),
        (vec![plain, (Compression::ZSTD_CHUNKED, None)], true),
        (vec![(Compression::Gzip, None), (Compression::Zstd, None)], true),
    ];
    let tar = archive(&[5000], 4);
    for (wishes, is_hashed) in cases {
        let codecs = codecs_of(&wishes);
        let targets = codecs.iter().map(|codec| PackTarget {
            codec: &**codec,
            ingest: sink(Pace::Fast).0,
            options: PackOptions::default(),
        });
        let copied = tar.clone();
        let produce = move |writer: &mut PackWriter| write_all(writer, &copied).map(|()| writer.digest().is_some());
        let packed = block_on(pack_variants(&budget(2, MEMORY), &pool(), targets.collect(), produce)).unwrap();
        assert_eq!(packed.produced, is_hashed, "{wishes:?}");
        let expected: Vec<_> = wishes.iter().map(|wish| alone(&tar, wish)).collect();
        assert_eq!(packed.variants, expected);
    }
}

#[test]
fn the_tar_is_produced_once_and_no_target_is_no_packing() {
    let produced = Arc::new(AtomicUsize::new(0));
    let produce = || {
        let produced = Arc::clone(&produced);
        move |writer: &mut PackWriter| {
            produced.fetch_add(1, Ordering::SeqCst);
            write_all(writer, &data(20_000, 1))
        }
    };
    let (budget, pool) = (budget(2, 1 << 20), pool());
    let codecs = [same_bytes(1000), same_bytes(700), same_bytes(3)];
    let targets =
        codecs.iter().map(|codec| PackTarget { codec, ingest: sink(Pace::Fast).0, options: PackOptions::default() });
    let packed = block_on(pack_variants(&budget, &pool, targets.collect(), produce())).unwrap();
    assert!(packed.variants.iter().all(|variant| variant.info.digest == Digest::of(data(20_000, 1))));
    assert_eq!(produced.load(Ordering::SeqCst), 1);
    let none: Result<_, Error> = block_on(pack_variants(&budget, &pool, Vec::new(), produce()));
    assert_eq!(none.unwrap_err().kind(), ErrorKind::Invalid);
    assert_eq!(produced.load(Ordering::SeqCst), 1);
}

#[test]
fn one_block_of_every_codec_fits_into_the_default_budget_together() {
    let compressions: Vec<_> = Codecs::default().iter().map(|codec| (codec.compression(), None)).collect();
    let codecs = codecs_of(&compressions);
    let targets = codecs.iter().map(|codec| PackTarget {
        codec: &**codec,
        ingest: sink(Pace::Fast).0,
        options: PackOptions::default(),
    });
    let budget = budget(1, Budget::DEFAULT_MEMORY_BYTES);
    let tar = archive(&[1], 1);
    block_on(pack_variants(&budget, &pool(), targets.collect(), move |out| write_all(out, &tar))).unwrap();
    let (minimum, half) = (budget.usage().peak_bytes, Budget::DEFAULT_MEMORY_BYTES * 9 / 16);
    assert!(codecs.len() == 5 && minimum < half, "{minimum} bytes of {half}");
}

#[test]
fn many_layers_of_several_variants_share_two_workers_and_a_budget_for_one_of_them() {
    let wishes = [(Compression::Zstd, None), (Compression::Gzip, None), (Compression::Uncompressed, None)];
    let (codecs, pool) = (codecs_of(&wishes), pool());
    // 16.1 MiB for zstd, 4.1 for gzip, 2 for the plain tar: a second layer never fits beside the first.
    let budget = budget(2, 23 << 20);
    let layers = (0..32_u32).map(|layer| {
        let (budget, pool, codecs) = (&budget, &pool, &codecs);
        async move {
            let targets = codecs.iter().map(|codec| PackTarget {
                codec: &**codec,
                ingest: sink(Pace::Slow(layer % 4)).0,
                options: PackOptions::default(),
            });
            let produce = move |writer: &mut PackWriter| write_all(writer, &data(300_000, layer));
            pack_variants(budget, pool, targets.collect(), produce).await
        }
    });
    for (layer, outcome) in block_on(join_all(layers)).into_iter().enumerate() {
        let expected = Digest::of(data(300_000, layer as u32));
        assert!(outcome.unwrap().variants.iter().all(|variant| variant.diff_id == expected));
    }
    let usage = budget.usage();
    assert_eq!(usage.used_bytes, 0);
    assert!(usage.peak_bytes <= usage.total_bytes && usage.peak_bytes > 21 << 20, "{usage:?}");
}
