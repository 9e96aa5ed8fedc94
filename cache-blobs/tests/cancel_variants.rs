//! Dropping the future of a difference or a chain that is made in several compressions, at every await point.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

mod cancel_rig;

use cache_blobs::chain::{Creation, compute_blob_chain};
use cache_blobs::convert::variants;
use cache_blobs::verify_blob;
use cache_core::cache::{ImmutableRef, PruneOptions};
use cache_core::ports::{DiffOptions, Differ, Provider};
use cache_core::{CompressionConfig, Layer};
use cancel_rig::work::{bind, every_await_point, fill, step, temporary};
use cancel_rig::{Rig, rigs, run_polls};
use pollster::block_on;

fn options() -> [DiffOptions; 2] {
    let gzip = DiffOptions::new(CompressionConfig::gzip());
    let zstd = DiffOptions::new(CompressionConfig::zstd());
    // With a plain tar, which is committed before the others, and without.
    [
        gzip.with_variants([CompressionConfig::zstd(), CompressionConfig::uncompressed()]),
        zstd.with_variants([CompressionConfig::gzip()]),
    ]
}

/// Whatever blob there is, it is whole.
fn assert_whole(rig: &Rig, layer: &Layer) {
    let reader = block_on(rig.local.content.open(&layer.descriptor)).unwrap().unwrap();
    let pool = rig.backends.pool.as_ref();
    block_on(verify_blob(pool, &rig.codecs, reader.as_ref(), &layer.descriptor, Some(layer.diff_id))).unwrap();
}

fn variants_of(rig: &Rig, layer: &Layer) -> Vec<Layer> {
    block_on(variants(&*rig.local.content, layer)).unwrap()
}

#[test]
fn a_difference_in_several_compressions_dropped_at_any_await_point_leaves_nothing() {
    let tree = tempfile::tempdir().unwrap();
    fill(tree.path(), 1);
    let rig = Rig::new("native").unwrap();
    for options in options() {
        let before = rig.visible();
        let mut seen = Vec::new();
        let dropped = every_await_point(|polls| {
            let lease = temporary(&rig);
            let (lower, upper) = (bind(&tree.path().join("a/b")), bind(tree.path()));
            let packed = run_polls(polls, rig.differ.diff(lease.lease(), "key", &lower, &upper, &options));
            rig.pool.wait_until_idle();
            rig.wait_for_budget();
            // The lease lives on, so that everything that was made is seen.
            let during = rig.visible();
            assert_eq!(during.blobs.len(), during.blob_files.len());
            seen.push(during.blobs.len());
            let ended = packed.is_some();
            match packed {
                Some(layer) => {
                    let found = variants_of(&rig, &layer.unwrap());
                    assert_eq!((found.len(), during.blobs.len()), (1 + options.variants.len(), found.len()));
                    found.iter().for_each(|layer| assert_whole(&rig, layer));
                }
                None => assert_eq!((during.trees, &during.mounts), (before.trees, &before.mounts)),
            }
            drop(lease);
            rig.settle();
            assert_eq!(before, rig.visible(), "dropped after {polls} polls");
            ended
        });
        assert!(dropped > 5, "{dropped} await points");
        // Before any commit has begun there is nothing, although all blobs but their ends lie in their ingests.
        assert!(seen.iter().take_while(|blobs| **blobs == 0).count() > 4, "{seen:?}");
    }
}

/// Computes the chain of two refs, drops it after so many polls, and says whether it ended.
fn drop_chain(rig: &Rig, polls: usize, options: &DiffOptions) -> bool {
    let bottom = step(rig, None, polls as u8);
    let top = step(rig, Some(&bottom), (polls as u8).wrapping_add(1));
    drop(bottom);
    let lease = temporary(rig);
    let computing = compute_blob_chain(&top, lease.lease(), &rig.layers, options, Creation::MakeMissing);
    let ended = run_polls(polls, computing).is_some();
    rig.pool.wait_until_idle();
    rig.wait_for_budget();
    drop(lease);
    rig.settle();
    // A ref has its layer with all variants or none, and there is nothing else.
    let after = rig.visible();
    let layers: Vec<_> = top.layer_chain().iter().filter_map(ImmutableRef::layer).collect();
    let mut reached: Vec<_> = layers.iter().flat_map(|layer| variants_of(rig, layer)).collect();
    assert_eq!(reached.len(), layers.len() * (1 + options.variants.len()), "after {polls} polls");
    reached.iter().for_each(|layer| assert_whole(rig, layer));
    reached.sort_by_key(|layer| layer.descriptor.digest);
    assert_eq!(after.blobs, reached.iter().map(|layer| layer.descriptor.digest).collect::<Vec<_>>());
    assert_eq!((after.blob_files.len(), after.ingests, after.ingest_files), (after.blobs.len(), vec![], vec![]));
    // And whoever comes next gets all of it.
    let lease = temporary(rig);
    let again = block_on(compute_blob_chain(&top, lease.lease(), &rig.layers, options, Creation::MakeMissing));
    let again = again.unwrap().unwrap();
    assert!(again.layers().iter().all(|layer| variants_of(rig, layer).len() == 1 + options.variants.len()));
    drop((lease, top));
    block_on(rig.cache.prune(&PruneOptions::all())).unwrap();
    rig.settle();
    let last = rig.visible();
    assert_eq!((last.blobs, last.snapshots, last.leases), (vec![], vec![], vec![]), "after {polls} polls");
    ended
}

#[test]
fn a_chain_in_several_compressions_dropped_at_any_await_point_leaves_whole_sets_of_variants_only() {
    for (rig, options) in rigs().iter().zip(options()) {
        let dropped = every_await_point(|polls| drop_chain(rig, polls, &options));
        assert!(dropped > 20, "{dropped} await points");
    }
}
