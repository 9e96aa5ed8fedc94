//! Blobs that are made again by their recipes.
#![cfg(all(target_os = "linux", feature = "gzip", feature = "zstd", feature = "estargz"))]
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

mod cancel_rig;
mod pack_rig;
mod variant_rig;

use std::sync::Arc;

use cache_blobs::codec::Recipe;
#[cfg(feature = "libdeflate")]
use cache_blobs::codec::{Codec, DeflateLibrary, Gzip};
use cache_blobs::convert::{ConversionLimits, Rederived, Unkept, rederive};
use cache_blobs::differ::TreeDiffer;
use cache_core::annotation::{RECIPE, UNCOMPRESSED};
use cache_core::ports::{DiffOptions, Differ, Lease, Manager, Mount, MountKind};
use cache_core::{Compression, CompressionConfig, Digest, ErrorKind, LabelChange, Layer, Result};
use cancel_rig::Rig;
use pollster::block_on;
use variant_rig::{backends, blobs, config, converter, labels, layer, lease, put, tar};

const MADE: [Compression; 3] = [Compression::Gzip, Compression::Zstd, Compression::EStargz];

fn again(rig: &Rig, blob: Digest) -> Result<Rederived> {
    block_on(rederive(&backends(rig), ConversionLimits::default(), blob))
}

/// A blob that this machine made, and the foreign one of which it did.
fn made(rig: &Rig, lease: &Lease, wanted: &CompressionConfig) -> (Layer, Layer) {
    let from = if wanted.compression == Compression::Gzip { Compression::Zstd } else { Compression::Gzip };
    let source = layer(rig, lease, &from, &tar("file", 3_000_000));
    (block_on(converter(rig).convert(lease, &source, wanted)).unwrap(), source)
}

fn set(rig: &Rig, blob: &Digest, key: &str, value: String) {
    block_on(rig.local.content.change_labels(blob, &[LabelChange::Set(key.to_owned(), value)])).unwrap();
}

fn recipe(rig: &Rig, blob: &Digest) -> Recipe {
    Recipe::from_label(&labels(rig, blob)[RECIPE]).unwrap()
}

/// Takes the labels that tie a blob to others.
fn untie(rig: &Rig, blob: &Digest) {
    let ties = labels(rig, blob).into_keys().filter(|key| key.starts_with(cache_core::annotation::VARIANT));
    let changes: Vec<_> = ties.map(LabelChange::Remove).collect();
    block_on(rig.local.content.change_labels(blob, &changes)).unwrap();
}

#[test]
fn a_blob_is_the_same_made_again_of_a_variant_or_of_itself_and_nothing_is_written() {
    for compression in MADE.into_iter().chain([Compression::Uncompressed]) {
        let rig = Rig::new("native").unwrap();
        let lease = lease(&rig);
        let (made, source) = made(&rig, &lease, &config(&compression));
        let (digest, before) = (made.descriptor.digest, blobs(&rig));
        let of_variant = again(&rig, digest).unwrap();
        assert!(of_variant.same, "{compression}");
        assert_eq!((of_variant.digest, of_variant.size), (digest, made.descriptor.size));
        assert_eq!(of_variant.derived_from, source.descriptor.digest);
        assert_eq!(of_variant.recipe, recipe(&rig, &digest));
        untie(&rig, &digest);
        let of_itself = again(&rig, digest).unwrap();
        assert!(of_itself.same && of_itself.derived_from == digest, "{compression}");
        rig.settle();
        assert_eq!((blobs(&rig), rig.visible().ingests), (before, Vec::new()));
    }
}

#[test]
fn a_blob_whose_recipe_names_another_level_is_not_the_same() {
    let rig = Rig::new("native").unwrap();
    let lease = lease(&rig);
    for compression in MADE {
        let (made, _) = made(&rig, &lease, &config(&compression).with_level(2));
        let digest = made.descriptor.digest;
        assert!(again(&rig, digest).unwrap().same);
        let other = rig.codecs.of(&compression).unwrap().recipe(Some(9)).unwrap();
        set(&rig, &digest, RECIPE, other.to_label());
        let different = again(&rig, digest).unwrap();
        assert!(!different.same && different.digest != digest, "{compression}");
        assert_eq!(different.recipe.level, Some(9));
    }
}

#[test]
fn what_cannot_be_made_again_is_told_by_kind() {
    let rig = Rig::new("native").unwrap();
    let lease = lease(&rig);
    let kind = |blob| again(&rig, blob).unwrap_err().kind();
    assert_eq!(kind(Digest::of(b"absent")), ErrorKind::NotFound);
    let foreign = layer(&rig, &lease, &Compression::Gzip, &tar("foreign", 100));
    assert_eq!(kind(foreign.descriptor.digest), ErrorKind::NotFound, "it has no recipe");
    let (made, _) = made(&rig, &lease, &CompressionConfig::gzip());
    let digest = made.descriptor.digest;
    let sound = recipe(&rig, &digest);
    let mut others = vec![Recipe::new("unheard-of"), sound.clone().with_level(99)];
    others.push(sound.clone().with_library("libdeflate", "another version"));
    others.push(sound.clone().with_block(1));
    // Libraries are never taken for each other, even were their versions called alike.
    #[cfg(feature = "libdeflate")]
    others.extend([
        Recipe::new("gzip")
            .with_library("zlib-rs", &sound.version)
            .with_level(5)
            .with_block(2 << 20)
            .with_parameters("member-size,noise-stored"),
        Gzip::by(DeflateLibrary::ZlibRs).recipe(sound.level).unwrap(),
    ]);
    others.push(sound.clone().with_parameters("others"));
    for recipe in others {
        set(&rig, &digest, RECIPE, recipe.to_label());
        assert_eq!(kind(digest), ErrorKind::Unsupported, "{recipe:?}");
    }
    set(&rig, &digest, RECIPE, "no recipe".to_owned());
    assert_eq!(kind(digest), ErrorKind::Unsupported);
    set(&rig, &digest, RECIPE, sound.to_label());
    assert!(again(&rig, digest).unwrap().same);
}

#[test]
fn a_source_that_does_not_decode_to_its_diff_id_is_corrupt() {
    let rig = Rig::new("native").unwrap();
    let lease = lease(&rig);
    let (made, source) = made(&rig, &lease, &CompressionConfig::gzip());
    let digest = made.descriptor.digest;
    let key = format!("{}{UNCOMPRESSED}", cache_core::annotation::BLOB_ANNOTATION);
    set(&rig, &source.descriptor.digest, &key, Digest::of(b"another tar").to_string());
    assert_eq!(again(&rig, digest).unwrap_err().kind(), ErrorKind::Corrupt, "a variant");
    let damaged = put(&rig, &lease, b"\x1f\x8b\x08 and no gzip");
    set(&rig, &damaged, RECIPE, recipe(&rig, &digest).to_label());
    assert_eq!(again(&rig, damaged).unwrap_err().kind(), ErrorKind::Corrupt, "the blob itself");
}

#[test]
fn a_blob_is_made_again_of_its_snapshot_by_a_differ_over_a_store_that_keeps_nothing() {
    let rig = Rig::new("native").unwrap();
    let lease = lease(&rig);
    let tree = tempfile::tempdir().unwrap();
    std::fs::write(tree.path().join("file"), vec![7; 100_000]).unwrap();
    let upper =
        [Mount { kind: MountKind::Bind, source: tree.path().to_owned(), options: vec!["rbind".into(), "ro".into()] }];
    let differ = |content| {
        let (mounter, pool) = (rig.backends.mounter.clone(), rig.backends.pool.clone());
        TreeDiffer::new(content, mounter, pool, rig.codecs.clone(), rig.budget.clone())
    };
    for compression in MADE {
        let options = DiffOptions::new(config(&compression));
        let kept = differ(rig.backends.content.clone());
        let made = block_on(kept.diff(&lease, "kept", &[], &upper, &options)).unwrap();
        let wanted = rig.codecs.follow(&recipe(&rig, &made.descriptor.digest)).unwrap();
        let before = blobs(&rig);
        let unkept = differ(Arc::new(Unkept));
        let again = block_on(unkept.diff(&lease, "again", &[], &upper, &DiffOptions::new(wanted))).unwrap();
        assert_eq!(again, made, "{compression}");
        assert_eq!(blobs(&rig), before);
    }
}
