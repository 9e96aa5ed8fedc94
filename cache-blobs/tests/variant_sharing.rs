//! Variants among refs: BuildKit's TestSharingCompressionVariant and TestGetRemotes, with chains of six layers and more.
#![cfg(all(target_os = "linux", feature = "gzip", feature = "zstd", feature = "estargz"))]
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

mod cancel_rig;
mod pack_rig;
mod toc_rig;
mod variant_rig;

use std::collections::BTreeSet;
use std::fs;

use cache_blobs::chain::{LayerBackends, RemoteExt, RemoteOptions};
use cache_blobs::codec::Estargz;
use cache_blobs::convert::{find_variant, variants};
use cache_blobs::pack::{PackOptions, PackWriter, pack};
use cache_blobs::remote::Remote;
use cache_core::annotation::UNCOMPRESSED;
use cache_core::cache::{ImmutableRef, PruneOptions, RefOptions};
use cache_core::ports::{Access, DiffOptions, Lease, LeaseManager, MountedTree};
use cache_core::{BlobChain, Compression, Digest, Layer, Result};
use cancel_rig::Rig;
use futures::future::join_all;
use pack_rig::{Pace, budget, decode, pool, sink, write_all};
use pollster::block_on;
use toc_rig::{Format, Stargz};
use variant_rig::{blobs, bytes, collect, config, converter, labels, lease, put, tar};

/// All of BuildKit's.
const EVERY: [Compression; 4] = [Compression::Uncompressed, Compression::Gzip, Compression::Zstd, Compression::EStargz];

fn backends(rig: &Rig) -> LayerBackends {
    rig.layers.clone().with_converter(converter(rig))
}

fn forced(compression: &Compression) -> DiffOptions {
    DiffOptions::new(config(compression).forced())
}

/// The tar in a layer of `compression`, found without the converter. The DiffID must be that of all that the blob decodes to.
fn tar_in(rig: &Rig, compression: &Compression, layer: &Layer) -> Vec<u8> {
    let blob = bytes(rig, &layer.descriptor);
    let decoded = decode(&rig.codecs, blob.clone()).unwrap();
    assert_eq!(Digest::of(&decoded), layer.diff_id);
    if *compression == Compression::EStargz { Stargz::decode(Stargz::body(&blob)) } else { decoded }
}

/// The tars of a remote, all of whose layers are of `compression`.
fn tars(rig: &Rig, compression: &Compression, remote: &Remote) -> Vec<Vec<u8>> {
    remote.layers().iter().map(|layer| tar_in(rig, compression, &layer.layer)).collect()
}

/// The layer of `tar` in the store, in a blob that our own converter never makes.
fn foreign(rig: &Rig, lease: &Lease, compression: &Compression, tar: &[u8]) -> Layer {
    if *compression != Compression::EStargz {
        return variant_rig::layer(rig, lease, compression, tar);
    }
    let ((ingest, seen), copied) = (sink(Pace::Fast), tar.to_vec());
    let produce = move |out: &mut PackWriter| write_all(out, &copied);
    let options = PackOptions::default().with_level(Some(1));
    let packed = block_on(pack(&budget(1, 64 << 20), &pool(), &Estargz::new(), ingest, options, produce)).unwrap();
    let blob = std::mem::take(&mut seen.lock().unwrap().bytes);
    assert_ne!(blob, Stargz::packed(tar).1, "another level, other bytes");
    put(rig, lease, &blob);
    packed.layer()
}

/// Refs of `layers`, bottom first.
fn refs_of(rig: &Rig, lease: &Lease, layers: impl IntoIterator<Item = Layer>) -> Vec<ImmutableRef> {
    let mut refs: Vec<ImmutableRef> = Vec::new();
    for layer in layers {
        let made = rig.cache.get_by_blob(lease, &layer, refs.last(), RefOptions::default());
        refs.push(block_on(made).unwrap());
    }
    refs
}

/// A chain of foreign blobs of `tars`; the top.
fn chain(rig: &Rig, lease: &Lease, compressions: &[Compression], tars: &[Vec<u8>]) -> ImmutableRef {
    let layers = compressions.iter().zip(tars).map(|(compression, tar)| foreign(rig, lease, compression, tar));
    refs_of(rig, lease, layers).pop().unwrap()
}

/// So many tars, no two of which are the same.
fn tars_of(name: &str, count: usize) -> Vec<Vec<u8>> {
    (0..count).map(|at| tar(&format!("{name}-{at}"), 3000 + at)).collect()
}

/// Each pair of compressions, in encodings that we never write: what is made through one ref is found through another, while
/// both live and when the first is gone.
#[test]
fn variants_made_through_one_ref_are_found_through_the_others() {
    for one in &EVERY {
        for other in EVERY.iter().filter(|other| *other != one) {
            let rig = Rig::new("native").unwrap();
            let (holds, converter, content) = (lease(&rig), converter(&rig), rig.backends.content.clone());
            let tars = tars_of("layer", 6);
            let a = chain(&rig, &holds, &vec![one.clone(); 6], &tars);
            let backends = backends(&rig);
            let converted = block_on(a.ensure_remote(&holds, &backends, &forced(other))).unwrap();
            // The other refs' blobs are the variants, over one another as the first refs are.
            let b = refs_of(&rig, &holds, converted.chain().into_layers()).pop().unwrap();
            let has_own_diff_ids = [one, other].contains(&&Compression::EStargz);
            assert_eq!(b.chain_id() == a.chain_id(), !has_own_diff_ids, "{one} to {other}");
            assert_ne!(b.blob_chain_id(), a.blob_chain_id());
            // What is there is not made again.
            for of in b.layer_chain() {
                for wanted in &EVERY {
                    block_on(converter.convert(&holds, &of.layer().unwrap(), &config(wanted))).unwrap();
                }
            }
            let see_all = |top: &ImmutableRef| {
                for (of, tar) in top.layer_chain().iter().zip(&tars) {
                    let layer = of.layer().unwrap();
                    assert_eq!(block_on(variants(content.as_ref(), &layer)).unwrap().len(), 4);
                    for wanted in &EVERY {
                        let found = block_on(find_variant(content.as_ref(), &rig.codecs, &layer, wanted)).unwrap();
                        assert!(tar_in(&rig, wanted, &found.unwrap()) == *tar, "{one} to {other}, {wanted}");
                    }
                }
            };
            see_all(&a);
            see_all(&b);
            let all = blobs(&rig);
            assert_eq!(all.len(), 24);
            block_on(rig.local.leases.delete(holds.id())).unwrap();
            drop(a);
            assert_eq!(block_on(rig.cache.prune(&PruneOptions::all())).unwrap().refs.len(), 6);
            collect(&rig);
            assert_eq!(blobs(&rig), all, "{one} to {other}: they survive the ref through which they were made");
            see_all(&b);
            drop(b);
            block_on(rig.cache.prune(&PruneOptions::all())).unwrap();
            collect(&rig);
            assert_eq!(blobs(&rig), BTreeSet::new());
        }
    }
}

#[test]
fn refs_that_are_converted_at_once_by_many_share_what_is_made() {
    let rig = Rig::new("native").unwrap();
    let (holds, backends) = (lease(&rig), backends(&rig));
    let mixed = [&EVERY[..], &EVERY[..]].concat();
    let all_tars: Vec<_> = (0..3).map(|number| tars_of(&format!("chain-{number}"), mixed.len())).collect();
    let tops: Vec<_> = all_tars.iter().map(|tars| chain(&rig, &holds, &mixed, tars)).collect();
    let leases: Vec<_> = (0..5).map(|_| lease(&rig)).collect();
    let mut work = Vec::new();
    for lease in &leases {
        for (top, made_of) in tops.iter().zip(&all_tars) {
            for wanted in &EVERY {
                let backends = &backends;
                work.push(async move {
                    let remote = top.ensure_remote(lease, backends, &forced(wanted)).await;
                    remote.map(|remote| (remote, wanted, made_of))
                });
            }
        }
    }
    let remotes: Vec<_> = block_on(join_all(work)).into_iter().map(Result::unwrap).collect();
    let distinct: BTreeSet<_> = remotes.iter().map(|(remote, ..)| remote.chain().blob_chain_id()).collect();
    assert_eq!(distinct.len(), 12, "who wants the same gets the same");
    assert_eq!(blobs(&rig).len(), 3 * 8 * 4, "each layer once in each compression");
    for (remote, wanted, made_of) in &remotes[..12] {
        assert!(tars(&rig, wanted, remote) == **made_of, "{wanted}");
    }
}

/// Two callers that force two compressions at the same time: each gets the one that it asked for.
#[test]
fn concurrent_callers_get_the_compression_that_each_forces() {
    let rig = Rig::new("native").unwrap();
    let (holds, backends) = (lease(&rig), backends(&rig));
    let top = grown(&rig, None, "new", 6);
    let work = EVERY.map(|wanted| {
        let (top, backends, holds) = (&top, &backends, &holds);
        async move { (top.ensure_remote(holds, backends, &forced(&wanted)).await.unwrap(), wanted) }
    });
    let mut made_of = BTreeSet::new();
    for (remote, wanted) in block_on(join_all(work)) {
        assert_eq!(remote.layers().len(), 6);
        for layer in remote.layers() {
            assert_eq!(layer.layer.descriptor.media_type, variant_rig::media_type(&wanted));
            assert_eq!(is_estargz(&rig, &layer.layer), wanted == Compression::EStargz);
        }
        made_of.insert(tars(&rig, &wanted, &remote));
    }
    assert_eq!(made_of.len(), 1, "the same tars for all");
}

fn is_estargz(rig: &Rig, layer: &Layer) -> bool {
    Stargz::is(bytes(rig, &layer.descriptor))
}

/// So many refs on top of each other, each with a file of its own, without blobs; the top.
fn grown(rig: &Rig, base: Option<&ImmutableRef>, name: &str, count: usize) -> ImmutableRef {
    let mut top = base.cloned();
    for at in 0..count {
        let made = block_on(rig.cache.create(top.as_ref(), RefOptions::default())).unwrap();
        let tree = block_on(made.mount(Access::ReadWrite)).unwrap();
        fs::write(tree.path().join(format!("{name}-{at}")), format!("{name} {at}").repeat(100)).unwrap();
        drop(tree);
        top = Some(block_on(made.commit()).unwrap());
    }
    top.unwrap()
}

/// A tree of refs over one base, every branch in every compression at once.
#[test]
fn remotes_of_a_tree_of_refs_hold_what_was_asked_for_and_nothing_else_is_stored() {
    let rig = Rig::new("native").unwrap();
    let (holds, backends) = (lease(&rig), backends(&rig));
    let base = foreign(&rig, &holds, &Compression::Gzip, &tar("base", 5000));
    let base = block_on(rig.cache.get_by_blob(&holds, &base, None, RefOptions::default())).unwrap();
    let trunk = grown(&rig, Some(&base), "trunk", 3);
    let branches: Vec<_> = ["left", "right"]
        .iter()
        .flat_map(|branch| {
            let fork = grown(&rig, Some(&trunk), branch, 1);
            ["one", "two"].map(|leaf| grown(&rig, Some(&fork), &format!("{branch}-{leaf}"), 2))
        })
        .collect();
    let mut work = Vec::new();
    for top in &branches {
        for wanted in &EVERY {
            let (backends, holds) = (&backends, &holds);
            work.push(async move { (top, wanted, top.ensure_remote(holds, backends, &forced(wanted)).await.unwrap()) });
        }
    }
    let mut expected = BTreeSet::new();
    let mut distinct = BTreeSet::new();
    for (top, wanted, remote) in block_on(join_all(work)) {
        let refs = top.layer_chain();
        assert_eq!((remote.layers().len(), refs.len()), (7, 7));
        let tars = tars(&rig, wanted, &remote);
        for ((shown, of), tar) in remote.layers().iter().zip(&refs).zip(&tars) {
            let own = of.layer().unwrap();
            let (is_wanted, is_own) = (*wanted == Compression::EStargz, is_estargz(&rig, &own));
            assert_eq!(is_estargz(&rig, &shown.layer), is_wanted);
            assert_eq!(shown.layer.diff_id == own.diff_id, is_wanted == is_own, "the record's DiffID stays");
            assert_eq!(shown.layer.descriptor.media_type, variant_rig::media_type(wanted));
            let digest = shown.layer.descriptor.digest;
            if *wanted != Compression::Uncompressed && digest != base.layer().unwrap().descriptor.digest {
                assert_eq!(labels(&rig, &digest)[UNCOMPRESSED], shown.layer.diff_id.to_string());
            }
            assert_eq!(Digest::of(bytes(&rig, &shown.layer.descriptor)), digest);
            expected.insert(digest);
            distinct.insert(Digest::of(tar));
        }
    }
    // Base, three of the trunk, two forks and eight of the leaves, each in four compressions.
    assert_eq!((distinct.len(), expected.len()), (14, 56));
    assert_eq!(blobs(&rig), expected);

    // With all variants there, every combination below the topmost layer is a remote.
    let options = RemoteOptions::new(DiffOptions::new(config(&Compression::Zstd)));
    for top in &branches {
        let remotes = block_on(top.remotes(&holds, &backends, &options)).unwrap().unwrap();
        assert_eq!(remotes.variants.count(), 4_u64.pow(6));
        let own: Vec<_> = top.layer_chain().iter().map(|of| of.layer().unwrap().descriptor.digest).collect();
        let main: Vec<_> = remotes.main.layers().iter().map(|layer| layer.layer.descriptor.digest).collect();
        assert_eq!(main, own);
        let all: BTreeSet<_> = remotes.variants.iter(usize::MAX).map(|remote| remote.chain().blob_chain_id()).collect();
        assert_eq!(all.len(), 4096);
    }
    collect(&rig);
    assert_eq!(blobs(&rig), expected);
}

/// BuildKit's TestSetBlob over six layers: the formulas, one ref for one chain of blobs, one snapshot for one chain of tars.
#[test]
fn a_chain_of_blobs_is_one_ref_and_a_chain_of_tars_one_snapshot() {
    let rig = Rig::new("native").unwrap();
    let (holds, backends) = (lease(&rig), backends(&rig));
    let top = grown(&rig, None, "new", 6);
    let gzip = block_on(top.ensure_remote(&holds, &backends, &DiffOptions::new(config(&Compression::Gzip)))).unwrap();
    let refs = top.layer_chain();
    let load = |remote: &Remote| refs_of(&rig, &holds, remote.chain().into_layers());
    for (at, (of, same)) in refs.iter().zip(load(&gzip)).enumerate() {
        let below = BlobChain::new(gzip.chain().into_layers()[..=at].to_vec());
        assert_eq!((of.chain_id(), of.blob_chain_id()), (below.chain_id(), below.blob_chain_id()));
        assert_eq!(of.id(), same.id(), "the same blobs are the same ref");
    }
    // The DiffID of eStargz covers the table of contents.
    for (wanted, has_same_tars) in [(Compression::Zstd, true), (Compression::EStargz, false)] {
        let remote = block_on(top.ensure_remote(&holds, &backends, &forced(&wanted))).unwrap();
        for (at, (of, twin)) in refs.iter().zip(load(&remote)).enumerate() {
            let below = BlobChain::new(remote.chain().into_layers()[..=at].to_vec());
            assert_eq!((twin.chain_id(), twin.blob_chain_id()), (below.chain_id(), below.blob_chain_id()));
            assert_ne!(of.id(), twin.id());
            assert_eq!(twin.chain_id() == of.chain_id(), has_same_tars, "{wanted}");
            assert_eq!(
                twin.snapshot_key() == of.snapshot_key(),
                has_same_tars,
                "{wanted}: one snapshot a chain of tars"
            );
        }
    }
}
