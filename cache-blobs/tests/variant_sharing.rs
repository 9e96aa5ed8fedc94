//! Variants among refs: BuildKit's TestSharingCompressionVariant and TestGetRemotes, with chains of six layers.
#![cfg(all(target_os = "linux", feature = "gzip", feature = "zstd"))]
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

mod cancel_rig;
mod pack_rig;
mod variant_rig;

use std::collections::BTreeSet;
use std::fs;
use std::io::Read;

use cache_blobs::chain::{LayerBackends, RemoteExt, RemoteOptions};
use cache_blobs::convert::{find_variant, variants};
use cache_blobs::remote::Remote;
use cache_core::annotation::UNCOMPRESSED;
use cache_core::cache::{ImmutableRef, PruneOptions, RefOptions};
use cache_core::ports::{Access, DiffOptions, LeaseManager, MountedTree};
use cache_core::{BlobChain, Compression, Digest, Result};
use cancel_rig::Rig;
use futures::future::join_all;
use pack_rig::decode;
use pollster::block_on;
use variant_rig::{ALL, blobs, bytes, chain, collect, config, converter, labels, layer, lease, tar};

fn backends(rig: &Rig) -> LayerBackends {
    rig.layers.clone().with_converter(converter(rig))
}

fn forced(compression: &Compression) -> DiffOptions {
    DiffOptions::new(config(compression).forced())
}

/// The layers of a remote, each with its tar, which must be what its ref says.
fn tars(rig: &Rig, remote: &Remote) -> Vec<Vec<u8>> {
    let layers = remote.layers().iter().map(|layer| {
        let tar = decode(&rig.codecs, bytes(rig, &layer.layer.descriptor)).unwrap();
        assert_eq!(Digest::of(&tar), layer.layer.diff_id);
        tar
    });
    layers.collect()
}

/// Each pair of compressions, in encodings that we never write: what is made through one ref is found through another, while
/// both live and when the first is gone.
#[test]
fn variants_made_through_one_ref_are_found_through_the_others() {
    for one in &ALL {
        for other in &ALL {
            if one == other {
                continue;
            }
            let rig = Rig::new("native").unwrap();
            let (holds, converter, content) = (lease(&rig), converter(&rig), rig.backends.content.clone());
            let a = chain(&rig, &holds, &vec![one.clone(); 6], "layer");
            let backends = backends(&rig);
            let converted = block_on(a.ensure_remote(&holds, &backends, &forced(other))).unwrap();
            // The other refs' blobs are the variants, over one another as the first refs are.
            let mut b: Option<ImmutableRef> = None;
            for layer in converted.chain().into_layers() {
                let made = rig.cache.get_by_blob(&holds, &layer, b.as_ref(), RefOptions::default());
                b = Some(block_on(made).unwrap());
            }
            let b = b.unwrap();
            assert_eq!(b.chain_id(), a.chain_id());
            assert_ne!(b.blob_chain_id(), a.blob_chain_id());
            let third = ALL.iter().find(|it| *it != one && *it != other).unwrap();
            for of in b.layer_chain() {
                block_on(converter.convert(&holds, &of.layer().unwrap(), &config(third))).unwrap();
            }
            let see_all = |top: &ImmutableRef| {
                for of in top.layer_chain() {
                    let layer = of.layer().unwrap();
                    assert_eq!(block_on(variants(content.as_ref(), &layer)).unwrap().len(), 3);
                    for wanted in &ALL {
                        let found = block_on(find_variant(content.as_ref(), &rig.codecs, &layer, wanted)).unwrap();
                        let tar = decode(&rig.codecs, bytes(&rig, &found.unwrap().descriptor)).unwrap();
                        assert_eq!(Digest::of(tar), layer.diff_id);
                    }
                }
            };
            see_all(&a);
            see_all(&b);
            let all = blobs(&rig);
            assert_eq!(all.len(), 18);
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
    let mixed = [&ALL[..], &ALL[..]].concat();
    let tops: Vec<_> = (0..3).map(|number| chain(&rig, &holds, &mixed, &format!("chain-{number}"))).collect();
    let leases: Vec<_> = (0..5).map(|_| lease(&rig)).collect();
    let mut work = Vec::new();
    for lease in &leases {
        for top in &tops {
            for wanted in &ALL {
                let backends = &backends;
                work.push(async move { top.ensure_remote(lease, backends, &forced(wanted)).await });
            }
        }
    }
    let remotes: Vec<_> = block_on(join_all(work)).into_iter().map(Result::unwrap).collect();
    let distinct: BTreeSet<_> = remotes.iter().map(|remote| remote.chain().blob_chain_id()).collect();
    assert_eq!(distinct.len(), 9, "who wants the same gets the same");
    assert_eq!(blobs(&rig).len(), 3 * 6 * 3, "each layer once in each compression");
    for remote in &remotes[..9] {
        tars(&rig, remote);
    }
}

/// Two callers that force two compressions at the same time: each gets the one that it asked for.
#[test]
fn concurrent_callers_get_the_compression_that_each_forces() {
    let rig = Rig::new("native").unwrap();
    let (holds, backends) = (lease(&rig), backends(&rig));
    let top = grown(&rig, None, "new", 6);
    let work = ALL.map(|wanted| {
        let (top, backends, holds) = (&top, &backends, &holds);
        async move { (top.ensure_remote(holds, backends, &forced(&wanted)).await.unwrap(), wanted) }
    });
    for (remote, wanted) in block_on(join_all(work)) {
        assert_eq!(remote.layers().len(), 6);
        for layer in remote.layers() {
            assert_eq!(layer.layer.descriptor.media_type, variant_rig::media_type(&wanted));
        }
        tars(&rig, &remote);
    }
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
    let base = layer(&rig, &holds, &Compression::Gzip, &tar("base", 5000));
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
        for wanted in &ALL {
            let (backends, holds) = (&backends, &holds);
            work.push(async move { (top, wanted, top.ensure_remote(holds, backends, &forced(wanted)).await.unwrap()) });
        }
    }
    let mut expected = BTreeSet::new();
    let mut distinct = BTreeSet::new();
    for (top, wanted, remote) in block_on(join_all(work)) {
        let refs = top.layer_chain();
        assert_eq!((remote.layers().len(), refs.len()), (7, 7));
        for (shown, of) in remote.layers().iter().zip(&refs) {
            assert_eq!(shown.layer.diff_id, of.layer().unwrap().diff_id, "the record's DiffID stays");
            assert_eq!(shown.layer.descriptor.media_type, variant_rig::media_type(wanted));
            let digest = shown.layer.descriptor.digest;
            if *wanted != Compression::Uncompressed && digest != base.layer().unwrap().descriptor.digest {
                assert_eq!(labels(&rig, &digest)[UNCOMPRESSED], shown.layer.diff_id.to_string());
            }
            let mut blob = Vec::new();
            std::io::Cursor::new(bytes(&rig, &shown.layer.descriptor)).read_to_end(&mut blob).unwrap();
            assert_eq!(Digest::of(&blob), digest);
            expected.insert(digest);
            distinct.insert(shown.layer.diff_id);
        }
        tars(&rig, &remote);
    }
    // Base, three of the trunk, two forks and eight of the leaves, each in three compressions.
    assert_eq!((distinct.len(), expected.len()), (14, 42));
    assert_eq!(blobs(&rig), expected);

    // With all variants there, every combination below the topmost layer is a remote.
    let options = RemoteOptions::new(DiffOptions::new(config(&Compression::Zstd)));
    for top in &branches {
        let remotes = block_on(top.remotes(&holds, &backends, &options)).unwrap().unwrap();
        assert_eq!(remotes.variants.count(), 3_u64.pow(6));
        let own: Vec<_> = top.layer_chain().iter().map(|of| of.layer().unwrap().descriptor.digest).collect();
        let main: Vec<_> = remotes.main.layers().iter().map(|layer| layer.layer.descriptor.digest).collect();
        assert_eq!(main, own);
        let all: BTreeSet<_> = remotes.variants.iter(usize::MAX).map(|remote| remote.chain().blob_chain_id()).collect();
        assert_eq!(all.len(), 729);
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
    let zstd = block_on(top.ensure_remote(&holds, &backends, &forced(&Compression::Zstd))).unwrap();
    let load = |remote: &Remote| {
        let mut made: Vec<ImmutableRef> = Vec::new();
        for layer in remote.chain().into_layers() {
            let of = rig.cache.get_by_blob(&holds, &layer, made.last(), RefOptions::default());
            made.push(block_on(of).unwrap());
        }
        made
    };
    for (at, (of, same)) in top.layer_chain().iter().zip(load(&gzip)).enumerate() {
        let below = BlobChain::new(gzip.chain().into_layers()[..=at].to_vec());
        assert_eq!((of.chain_id(), of.blob_chain_id()), (below.chain_id(), below.blob_chain_id()));
        assert_eq!(of.id(), same.id(), "the same blobs are the same ref");
    }
    for (at, (of, twin)) in top.layer_chain().iter().zip(load(&zstd)).enumerate() {
        let below = BlobChain::new(zstd.chain().into_layers()[..=at].to_vec());
        assert_eq!((twin.chain_id(), twin.blob_chain_id()), (of.chain_id(), below.blob_chain_id()));
        assert_ne!(of.id(), twin.id());
        assert_eq!(of.snapshot_key(), twin.snapshot_key(), "the same tars share a snapshot");
    }
}
