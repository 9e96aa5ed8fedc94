//! Conversion from and to eStargz: the tar stays, and every variant has the DiffID of what it decodes to.
#![cfg(all(target_os = "linux", feature = "gzip", feature = "zstd", feature = "estargz"))]
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

mod cancel_rig;
mod pack_rig;
mod toc_rig;
mod variant_rig;

use std::collections::BTreeSet;

use cache_blobs::chain::RemoteExt;
use cache_blobs::convert::Converter;
use cache_core::annotation::{ESTARGZ_TOC_DIGEST, UNCOMPRESSED};
use cache_core::cache::RefOptions;
use cache_core::ports::{DiffOptions, Lease};
use cache_core::{Compression, CompressionConfig, Descriptor, Digest, ErrorKind, Layer, MediaType};
use cancel_rig::Rig;
use pack_rig::decode;
use pollster::block_on;
use toc_rig::{Format, Stargz, buildkit_layers, file, json_of, tar_of};
use variant_rig::{ALL, bytes, config, converter, foreign_tars, labels, lease, put, tar};

const TARGETS: [Compression; 4] =
    [Compression::Uncompressed, Compression::Gzip, Compression::Zstd, Compression::EStargz];

/// The archives in the fixtures with a sparse file in them.
const SPARSE: [&str; 6] =
    ["27-sparse.trees", "bsd-pax", "gnu-sparse-0.0", "gnu-sparse-0.1", "gnu-sparse-1.0", "gnu-sparse-old"];

/// `blob`, whose DiffID is that of all that it inflates to, in the store.
fn estargz(rig: &Rig, lease: &Lease, blob: &[u8]) -> Layer {
    put(rig, lease, blob);
    Layer::new(Descriptor::of(MediaType::OCI_LAYER_GZIP, blob), Digest::of(Stargz::decode(blob)))
}

/// The tar in a blob of `compression`, found without the converter.
fn tar_in(rig: &Rig, compression: &Compression, blob: Vec<u8>) -> Vec<u8> {
    if *compression == Compression::EStargz {
        Stargz::decode(Stargz::body(&blob))
    } else {
        decode(&rig.codecs, blob).unwrap()
    }
}

/// What the DiffID of a blob covers, found without the converter.
fn stream_of(rig: &Rig, compression: &Compression, blob: Vec<u8>) -> Vec<u8> {
    if *compression == Compression::EStargz { Stargz::decode(&blob) } else { decode(&rig.codecs, blob).unwrap() }
}

/// Converts `source` to `to`, and checks the tar, the DiffID and the label.
fn assert_converts(rig: &Rig, lease: &Lease, converter: &Converter, source: &Layer, to: &Compression, tar: &[u8]) {
    let made = block_on(converter.convert(lease, source, &config(to))).unwrap();
    let blob = bytes(rig, &made.descriptor);
    assert!(tar_in(rig, to, blob.clone()) == tar, "another tar in {to}");
    assert_eq!(made.diff_id, Digest::of(stream_of(rig, to, blob)), "{to}");
    assert_eq!(made.diff_id == Digest::of(tar), *to != Compression::EStargz);
    assert_eq!(made.descriptor.annotations.contains_key(ESTARGZ_TOC_DIGEST), *to == Compression::EStargz);
    if *to != Compression::Uncompressed {
        assert_eq!(labels(rig, &made.descriptor.digest)[UNCOMPRESSED], made.diff_id.to_string());
    }
}

/// BuildKit's TestConversion, with eStargz on either side: our tars, GNU tar's and those of BuildKit's differs.
#[test]
fn from_and_to_estargz_every_tar_stays_bit_for_bit() {
    let mut tars = foreign_tars();
    tars.push(("ours".to_owned(), tar("ours", 3_000_000)));
    tars.push(("no bytes".to_owned(), Vec::new()));
    // A store for each direction: what one made, the other would find.
    let (into, out_of) = (Rig::new("native").unwrap(), Rig::new("native").unwrap());
    let (lease_into, lease_out) = (lease(&into), lease(&out_of));
    let (converter_into, converter_out) = (converter(&into), converter(&out_of));
    let mut sparse = BTreeSet::new();
    for (at, (name, tar)) in tars.iter().enumerate() {
        let from = &ALL[at % ALL.len()];
        let source = variant_rig::layer(&into, &lease_into, from, tar);
        if let Err(error) = block_on(converter_into.convert(&lease_into, &source, &config(&Compression::EStargz))) {
            assert_eq!(error.kind(), ErrorKind::Unsupported, "{name}: {error}");
            sparse.insert(name.trim_end_matches(".tar.zst"));
            continue;
        }
        assert_converts(&into, &lease_into, &converter_into, &source, &Compression::EStargz, tar);
        let source = estargz(&out_of, &lease_out, &Stargz::packed(tar).1);
        for to in &ALL {
            assert_converts(&out_of, &lease_out, &converter_out, &source, to, tar);
        }
    }
    assert_eq!(sparse, SPARSE.into(), "only a table of contents of sparse files is refused");
}

#[test]
fn every_compression_becomes_every_other_by_way_of_estargz() {
    let tar = tar("file", 300_000);
    for from in &TARGETS {
        let rig = Rig::new("native").unwrap();
        let (lease, converter) = (lease(&rig), converter(&rig));
        let source = match from {
            Compression::EStargz => estargz(&rig, &lease, &Stargz::packed(&tar).1),
            from => variant_rig::layer(&rig, &lease, from, &tar),
        };
        for to in TARGETS.iter().filter(|to| *to != from) {
            assert_converts(&rig, &lease, &converter, &source, to, &tar);
        }
        for to in &TARGETS {
            let made = block_on(converter.convert(&lease, &source, &config(to))).unwrap();
            let back = block_on(converter.convert(&lease, &made, &config(from))).unwrap();
            assert_eq!(back, source, "{from} to {to} and back");
        }
    }
}

#[test]
fn buildkits_estargz_layers_become_every_other_with_the_tar_that_buildkit_wrote() {
    let (rig, again) = (Rig::new("native").unwrap(), Rig::new("native").unwrap());
    let (lease, lease_again) = (lease(&rig), lease(&again));
    for (source, blob) in buildkit_layers() {
        put(&rig, &lease, &blob);
        let tar = Stargz::decode(Stargz::body(&blob));
        for to in &ALL {
            assert_converts(&rig, &lease, &converter(&rig), &source, to, &tar);
        }
        let same = block_on(converter(&rig).convert(&lease, &source, &config(&Compression::EStargz))).unwrap();
        assert_eq!(same, source, "gzip that is eStargz is not converted to it");
        let gzip = variant_rig::layer(&again, &lease_again, &Compression::Gzip, &tar);
        assert_converts(&again, &lease_again, &converter(&again), &gzip, &Compression::EStargz, &tar);
    }
}

#[test]
fn a_forced_chain_shows_the_diff_id_of_each_variant_and_the_records_keep_theirs() {
    let rig = Rig::new("native").unwrap();
    let lease = lease(&rig);
    let layers = rig.layers.clone().with_converter(converter(&rig));
    let tars: Vec<_> = (0..6).map(|at| tar(&format!("file-{at}"), 2000 + at)).collect();
    let mut top: Option<cache_core::cache::ImmutableRef> = None;
    for tar in &tars {
        let layer = estargz(&rig, &lease, &Stargz::packed(tar).1);
        let made = rig.cache.get_by_blob(&lease, &layer, top.as_ref(), RefOptions::default());
        top = Some(block_on(made).unwrap());
    }
    let top = top.unwrap();
    for wanted in [CompressionConfig::gzip(), CompressionConfig::zstd(), CompressionConfig::uncompressed()] {
        let remote = block_on(top.ensure_remote(&lease, &layers, &DiffOptions::new(wanted.forced()))).unwrap();
        for ((shown, of), tar) in remote.layers().iter().zip(top.layer_chain()).zip(&tars) {
            assert_eq!(shown.layer.diff_id, Digest::of(tar));
            assert_ne!(of.layer().unwrap().diff_id, shown.layer.diff_id, "the record's own stays");
            assert!(!shown.layer.descriptor.annotations.contains_key(ESTARGZ_TOC_DIGEST));
        }
    }
}

#[test]
fn a_table_of_contents_that_hides_files_or_another_diff_id_is_corrupt_and_makes_nothing() {
    let tar = tar("file", 200_000);
    let blob = Stargz::packed(&tar).1;
    let json = json_of(&[]);
    let hidden = tar_of(&[file("stargz.index.json", json), file("hidden", b"behind the table".to_vec())]);
    let body = Stargz::body(&blob);
    let hiding = [body, &Stargz::encode(&hidden), &Stargz::footer(body.len() as u64)].concat();
    let rig = Rig::new("native").unwrap();
    let lease = lease(&rig);
    let hiding = estargz(&rig, &lease, &hiding);
    let mut of_tar = estargz(&rig, &lease, &blob);
    of_tar.diff_id = Digest::of(&tar);
    for to in &ALL {
        for (what, layer) in [("hides files", &hiding), ("has the DiffID of its tar", &of_tar)] {
            let before = variant_rig::blobs(&rig);
            let refused = block_on(converter(&rig).convert(&lease, layer, &config(to))).unwrap_err();
            assert_eq!(refused.kind(), ErrorKind::Corrupt, "{what}: {refused}");
            rig.settle();
            assert_eq!(variant_rig::blobs(&rig), before, "{what}");
        }
    }
}

#[test]
fn gzip_with_a_footer_that_points_to_no_table_is_converted_as_gzip() {
    let rig = Rig::new("native").unwrap();
    let lease = lease(&rig);
    let (one, other) = (tar("one", 1000), tar("other", 1000));
    let first = Stargz::encode(&one);
    let blob = [&first[..], &Stargz::encode(&other), &Stargz::footer(first.len() as u64)].concat();
    let source = estargz(&rig, &lease, &blob);
    let made = block_on(converter(&rig).convert(&lease, &source, &CompressionConfig::zstd())).unwrap();
    assert_eq!(made.diff_id, source.diff_id);
    assert!(decode(&rig.codecs, bytes(&rig, &made.descriptor)).unwrap() == [one, other].concat());
}

#[test]
fn what_has_no_table_of_contents_is_told_by_kind() {
    let rig = Rig::new("native").unwrap();
    let (lease, converter) = (lease(&rig), converter(&rig));
    let sparse = foreign_tars().into_iter().find(|(name, _)| name.contains("gnu-sparse-1.0")).unwrap().1;
    let with_one = tar_of(&[file("stargz.index.json", b"{}".to_vec())]);
    let no_tar = pack_rig::data(100_000, 3);
    let table = [(sparse, ErrorKind::Unsupported), (with_one, ErrorKind::Invalid), (no_tar, ErrorKind::Corrupt)];
    for (tar, kind) in table {
        let source = variant_rig::layer(&rig, &lease, &Compression::Gzip, &tar);
        let refused = block_on(converter.convert(&lease, &source, &config(&Compression::EStargz))).unwrap_err();
        assert_eq!(refused.kind(), kind, "{refused}");
    }
    // A table that lists nothing, before which is nothing, as stargz writes where there are no files.
    let source = estargz(&rig, &lease, &Stargz::with_toc(&[], &json_of(&[])));
    let made = block_on(converter.convert(&lease, &source, &CompressionConfig::uncompressed())).unwrap();
    assert_eq!((made.descriptor.size, made.diff_id), (0, Digest::of(b"")));
}
