//! Layers of a store as eStargz with prioritised files.
#![cfg(all(target_os = "linux", feature = "gzip", feature = "zstd", feature = "estargz"))]
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

mod cancel_rig;
mod pack_rig;
mod toc_rig;
mod variant_rig;

use std::io::Cursor;

use cache_blobs::codec::estargz::{MissingFiles, PrefetchOptions, PrefetchOrder, TOC_DIGEST};
use cache_blobs::convert::{ConversionLimits, PrioritizedLayer, rederive};
use cache_core::ports::Lease;
use cache_core::{Compression, Descriptor, Digest, ErrorKind, Layer, MediaType, Result};
use cancel_rig::work::{every_await_point, temporary};
use cancel_rig::{Rig, run_polls};
use pack_rig::data;
use pollster::block_on;
use toc_rig::{Format, Stargz, file, tar_of};
use variant_rig::{ALL, backends, blobs, bytes, collect, config, converter, layer, lease, put};

fn tar() -> Vec<u8> {
    tar_of(&[file("first", data(3_000_000, 1)), file("second", data(700, 2)), file("third", data(9, 3))])
}

fn options() -> PrefetchOptions {
    PrefetchOptions::default().with_prioritized(["/third", "second"])
}

fn reordered(tar: &[u8]) -> Vec<u8> {
    let (mut tar, mut out) = (Cursor::new(tar), Vec::new());
    PrefetchOrder::of(&mut tar, &options()).unwrap().copy(&mut tar, &mut out).unwrap();
    out
}

fn prioritized(rig: &Rig, lease: &Lease, layer: &Layer, options: &PrefetchOptions) -> Result<PrioritizedLayer> {
    block_on(converter(rig).prioritize(lease, layer, options, None))
}

#[test]
fn a_layer_of_any_compression_becomes_the_one_blob_that_the_new_tar_becomes() {
    let tar = tar();
    let (expected, blob) = Stargz::packed(&reordered(&tar));
    let estargz = Stargz::packed(&tar).1;
    let mut sources: Vec<_> = ALL.iter().map(|compression| (Some(compression), Vec::new())).collect();
    sources.push((None, estargz));
    for (compression, foreign) in sources {
        let rig = Rig::new("native").unwrap();
        let lease = lease(&rig);
        let source = compression.map_or_else(
            || {
                put(&rig, &lease, &foreign);
                Layer::new(Descriptor::of(MediaType::OCI_LAYER_GZIP, &foreign), Digest::of(Stargz::decode(&foreign)))
            },
            |compression| layer(&rig, &lease, compression, &tar),
        );
        let made = prioritized(&rig, &lease, &source, &options()).unwrap();
        assert!(made.missing.is_empty());
        assert_eq!(made.layer.descriptor.digest, Digest::of(&blob), "{compression:?}");
        assert_eq!(made.layer.diff_id, expected.diff_id);
        assert_eq!(made.layer.diff_id, Digest::of(Stargz::decode(&blob)));
        assert_eq!(made.layer.descriptor.media_type, MediaType::OCI_LAYER_GZIP);
        let annotations = &made.layer.descriptor.annotations;
        assert_eq!(annotations[TOC_DIGEST], Digest::of(Stargz::json(&blob)).to_string());
        assert!(bytes(&rig, &made.layer.descriptor) == blob);
        // The plain tar was only on the way.
        collect(&rig);
        let both = [source.descriptor.digest, made.layer.descriptor.digest].into();
        assert_eq!(blobs(&rig), both, "{compression:?}");
        assert_eq!(rig.visible().ingests, Vec::<String>::new());
    }
}

#[test]
fn it_is_no_variant_of_the_layer_and_can_be_made_again_of_its_recipe() {
    let rig = Rig::new("native").unwrap();
    let lease = lease(&rig);
    let source = layer(&rig, &lease, &Compression::Gzip, &tar());
    let made = prioritized(&rig, &lease, &source, &options()).unwrap().layer;
    let lossless = block_on(converter(&rig).convert(&lease, &source, &config(&Compression::EStargz))).unwrap();
    assert_ne!(lossless.descriptor.digest, made.descriptor.digest);
    assert!(Stargz::decode(Stargz::body(&bytes(&rig, &lossless.descriptor))) == tar());
    let plain = block_on(converter(&rig).convert(&lease, &made, &config(&Compression::Uncompressed))).unwrap();
    assert!(bytes(&rig, &plain.descriptor) == reordered(&tar()));
    let again = block_on(rederive(&backends(&rig), ConversionLimits::default(), made.descriptor.digest)).unwrap();
    assert!(again.same);
    // Asked for again, it is there.
    assert_eq!(prioritized(&rig, &lease, &source, &options()).unwrap().layer, made);
}

#[test]
fn missing_files_are_told_or_nothing_is_made() {
    let rig = Rig::new("native").unwrap();
    let lease = lease(&rig);
    let source = layer(&rig, &lease, &Compression::Zstd, &tar());
    let before = blobs(&rig);
    let wanted = PrefetchOptions::default().with_prioritized(["/none", "second"]);
    let kind = |layer: &Layer, wanted: &PrefetchOptions| prioritized(&rig, &lease, layer, wanted).unwrap_err().kind();
    assert_eq!(kind(&source, &wanted), ErrorKind::NotFound);
    // The layer is not what its DiffID says, also where the tar is there as it is.
    for source in [source.clone(), layer(&rig, &lease, &Compression::Uncompressed, &data(9, 9))] {
        let lying = Layer::new(source.descriptor, Digest::of("another"));
        assert_eq!(kind(&lying, &options()), ErrorKind::Corrupt);
    }
    collect(&rig);
    assert_eq!(blobs(&rig).difference(&before).count(), 1, "the second source alone");
    assert_eq!(rig.visible().ingests, Vec::<String>::new());
    let told = wanted.with_missing(MissingFiles::Tell);
    assert_eq!(prioritized(&rig, &lease, &source, &told).unwrap().missing, [b"/none"]);
}

#[test]
fn a_level_out_of_range_is_invalid_and_every_other_is_taken() {
    let rig = Rig::new("native").unwrap();
    let lease = lease(&rig);
    let source = layer(&rig, &lease, &Compression::Gzip, &tar());
    let made = |level| block_on(converter(&rig).prioritize(&lease, &source, &options(), level));
    assert_eq!(made(Some(13)).unwrap_err().kind(), ErrorKind::Invalid);
    let [fast, small] = [1, 9].map(|level| made(Some(level)).unwrap().layer.descriptor.size);
    assert!(small < fast);
}

#[test]
fn a_call_dropped_at_any_await_point_leaves_nothing_but_what_a_lease_holds() {
    let rig = Rig::new("native").unwrap();
    let lease = lease(&rig);
    let source = layer(
        &rig,
        &lease,
        &Compression::Gzip,
        &tar_of(&[file("first", data(90_000, 1)), file("second", data(700, 2))]),
    );
    let wanted = PrefetchOptions::default().with_prioritized(["second"]);
    rig.settle();
    let before = rig.visible();
    let dropped = every_await_point(|polls| {
        let held = temporary(&rig);
        let made = run_polls(polls, converter(&rig).prioritize(held.lease(), &source, &wanted, None));
        rig.pool.wait_until_idle();
        rig.wait_for_budget();
        let ended = made.is_some();
        if let Some(made) = made {
            let descriptor = made.unwrap().layer.descriptor;
            assert_eq!(Digest::of(bytes(&rig, &descriptor)), descriptor.digest);
        }
        drop(held);
        rig.settle();
        assert_eq!(rig.visible(), before, "dropped after {polls} polls");
        ended
    });
    assert!(dropped > 3, "{dropped} await points");
}
