//! Dropping the future of pack, apply, commit and `compute_blob_chain` at every await point leaves nothing visible.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

mod cancel_rig;

use bytes::Bytes;
use cache_blobs::chain::{Creation, compute_blob_chain};
use cache_blobs::verify_blob;
use cache_core::cache::{ImmutableRef, PruneOptions, RefOptions};
use cache_core::ports::{
    Access, Applier, ApplyOptions, ApplySource, Begun, DiffOptions, Differ, Expected, Ingest, Ingester, Lease,
    LeaseManager, LeaseOptions, Manager, Prepared, Provider, Resource, Start,
};
use cache_core::{CompressionConfig, Digest, ErrorKind, Labels, Layer};
use cancel_rig::work::{bind, every_await_point, fill, step, temporary};
use cancel_rig::{Rig, Visible, rigs, run_polls};
use futures::FutureExt;
use pollster::block_on;

/// Whatever blob there is, it is whole.
fn assert_whole(rig: &Rig, layer: &Layer) {
    let reader = block_on(rig.local.content.open(&layer.descriptor)).unwrap().unwrap();
    let pool = rig.backends.pool.as_ref();
    block_on(verify_blob(pool, &rig.codecs, reader.as_ref(), &layer.descriptor, Some(layer.diff_id))).unwrap();
}

fn assert_same(before: &Visible, after: &Visible, polls: usize) {
    assert_eq!(before, after, "dropped after {polls} polls");
}

#[test]
fn a_packing_dropped_at_any_await_point_leaves_nothing() {
    let tree = tempfile::tempdir().unwrap();
    fill(tree.path(), 1);
    let (mut points, mut packings) = (0, 0);
    for rig in rigs() {
        for compression in [CompressionConfig::uncompressed(), CompressionConfig::gzip()] {
            let options = DiffOptions::new(compression);
            let before = rig.visible();
            // From nothing by reading the tree as it is, and from an empty tree by comparing two mounts.
            for lower in [vec![], bind(&tree.path().join("a/b")).to_vec()] {
                let dropped = every_await_point(|polls| {
                    let lease = temporary(&rig);
                    let upper = bind(tree.path());
                    let packed = run_polls(polls, rig.differ.diff(lease.lease(), "key", &lower, &upper, &options));
                    rig.pool.wait_until_idle();
                    rig.wait_for_budget();
                    let during = rig.visible();
                    let ended = packed.is_some();
                    match packed {
                        Some(layer) => assert_whole(&rig, &layer.unwrap()),
                        None => assert_eq!((during.trees, &during.mounts), (before.trees, &before.mounts)),
                    }
                    drop(lease);
                    rig.settle();
                    assert_same(&before, &rig.visible(), polls);
                    ended
                });
                assert!(dropped > 0);
                points += dropped;
                packings += 1;
            }
        }
    }
    // How often one of them waits depends on the pace of threads.
    assert!(points > 3 * packings, "{points} await points in {packings} packings");
}

#[test]
fn a_packing_dropped_before_its_commit_shows_no_blob_to_anybody() {
    let tree = tempfile::tempdir().unwrap();
    fill(tree.path(), 2);
    let rig = Rig::new("native").unwrap();
    let options = DiffOptions::new(CompressionConfig::gzip());
    let upper = bind(tree.path());
    let mut seen = Vec::new();
    let mut last = None;
    every_await_point(|polls| {
        let lease = temporary(&rig);
        let packed = run_polls(polls, rig.differ.diff(lease.lease(), "key", &[], &upper, &options));
        // The lease lives on, so that everything that was made is seen.
        let visible = rig.visible();
        seen.push(visible.blobs.clone());
        assert_eq!(visible.blobs.len(), visible.blob_files.len());
        drop(lease);
        rig.settle();
        last = packed.map(|layer| layer.unwrap().descriptor.digest);
        last.is_some()
    });
    // A commit whose job has begun ends whether somebody waits for it or not; before that there is nothing.
    let invisible = seen.iter().take_while(|blobs| blobs.is_empty()).count();
    assert!(invisible >= 3, "{seen:?}");
    let digest = last.unwrap();
    assert!(seen.iter().flatten().all(|blob| *blob == digest), "{seen:?}");
}

#[test]
fn an_application_dropped_at_any_await_point_leaves_no_mount_and_no_work() {
    let tree = tempfile::tempdir().unwrap();
    fill(tree.path(), 3);
    for rig in rigs() {
        let held = temporary(&rig);
        let options = DiffOptions::new(CompressionConfig::gzip());
        let layer = block_on(rig.differ.diff(held.lease(), "key", &[], &bind(tree.path()), &options)).unwrap();
        rig.settle();
        let before = rig.visible();
        let dropped = every_await_point(|polls| {
            let lease = temporary(&rig);
            let prepared = rig.backends.snapshotter.prepare(lease.lease(), "active", None, Labels::new());
            let Prepared::Mounts(mounts) = block_on(prepared).unwrap() else { panic!("nobody committed it") };
            let apply_options = ApplyOptions::default().with_expected_diff_id(layer.diff_id);
            let applying = rig.applier.apply(&layer.descriptor, ApplySource::Committed, &mounts, &apply_options);
            let applied = run_polls(polls, applying);
            let ended = applied.is_some();
            if let Some(applied) = applied {
                assert_eq!(applied.unwrap().diff_id, layer.diff_id);
            }
            let during = rig.visible();
            assert_eq!((during.trees, &during.mounts), (before.trees, &before.mounts), "after {polls} polls");
            assert_eq!(during.blobs, before.blobs);
            drop(lease);
            rig.settle();
            assert_same(&before, &rig.visible(), polls);
            ended
        });
        assert!(dropped >= 3, "{dropped} await points");
    }
}

#[test]
fn a_commit_dropped_at_any_await_point_is_whole_or_nothing() {
    let rig = Rig::new("native").unwrap();
    let bytes = Bytes::from(vec![7; 700_000]);
    let digest = Digest::of(&bytes);
    let before = rig.visible();
    let dropped = every_await_point(|polls| {
        let lease = temporary(&rig);
        let begun = rig.local.content.begin(lease.lease(), "key", Expected::UNKNOWN, Start::Fresh);
        let Begun::Started(mut ingest) = block_on(begun).unwrap() else { panic!("nothing was expected") };
        block_on(ingest.write(bytes.clone())).unwrap();
        let ended = run_polls(polls, ingest.commit(Some(digest), Labels::new())).is_some();
        let during = rig.visible();
        match during.blobs.as_slice() {
            [] => assert!(!ended),
            [there] => {
                assert_eq!(*there, digest);
                assert_eq!((&during.ingests, during.blob_files.len()), (&Vec::new(), 1));
            }
            more => panic!("{more:?}"),
        }
        drop(lease);
        rig.settle();
        assert_same(&before, &rig.visible(), polls);
        ended
    });
    assert!(dropped >= 2, "{dropped} await points");
}

#[test]
fn a_commit_of_a_ref_dropped_at_any_await_point_is_whole_or_nothing() {
    for rig in rigs() {
        let before = rig.visible();
        let dropped = every_await_point(|polls| {
            let made = block_on(rig.cache.create(None, RefOptions::default())).unwrap();
            let id = made.id().to_owned();
            let committed = run_polls(polls, made.commit());
            let ended = committed.is_some();
            drop(committed);
            rig.settle();
            match block_on(rig.cache.get(&id)) {
                Ok(found) => {
                    block_on(found.finalize()).unwrap();
                    drop(found);
                    block_on(rig.cache.prune(&PruneOptions::all())).unwrap();
                }
                Err(error) => assert_eq!(error.kind(), ErrorKind::NotFound, "after {polls} polls: {error}"),
            }
            rig.settle();
            assert_same(&before, &rig.visible(), polls);
            ended
        });
        assert!(dropped >= 1, "{dropped} await points");
    }
}

#[test]
fn a_finalization_dropped_at_any_await_point_can_be_repeated() {
    for rig in rigs() {
        let dropped = every_await_point(|polls| {
            let made = step(&rig, None, 9);
            let before = rig.visible();
            let finalized = run_polls(polls, made.finalize());
            let ended = finalized.is_some();
            let after = rig.visible();
            assert_eq!((&after.leases, after.trees, &after.mounts), (&before.leases, before.trees, &before.mounts));
            assert_eq!(after.snapshots.len(), before.snapshots.len(), "after {polls} polls");
            block_on(made.finalize()).unwrap();
            assert!(made.is_finalized());
            ended
        });
        assert!(dropped >= 2, "{dropped} await points");
    }
}

/// The blobs that the lease `id` holds.
fn held_by(rig: &Rig, id: &str) -> Vec<Digest> {
    let resources = block_on(async {
        let lease = rig.local.leases.get(id).await.unwrap().unwrap();
        rig.local.leases.resources(&lease).await.unwrap()
    });
    let digest = |resource| if let Resource::Content(digest) = resource { Some(digest) } else { None };
    resources.into_iter().filter_map(digest).collect()
}

/// Computes the chain of two refs, drops it after so many polls, and says whether it ended.
fn drop_chain(rig: &Rig, polls: usize, options: &DiffOptions) -> bool {
    let bottom = step(rig, None, polls as u8);
    let top = step(rig, Some(&bottom), (polls as u8).wrapping_add(1));
    let (bottom_id, id) = (bottom.id().to_owned(), top.id().to_owned());
    let own_leases = [bottom_id.clone(), id.clone()];
    drop((bottom, top));
    rig.settle();
    let before = rig.visible();
    let top = block_on(rig.cache.get(&id)).unwrap();
    let lease = temporary(rig);
    let computing = compute_blob_chain(&top, lease.lease(), &rig.layers, options, Creation::MakeMissing);
    let computed = run_polls(polls, computing);
    let ended = computed.is_some();
    rig.pool.wait_until_idle();
    rig.wait_for_budget();
    let during = rig.visible();
    assert_eq!((during.trees, &during.mounts), (before.trees, &before.mounts), "after {polls} polls");
    block_on(async { top.refresh().await.unwrap() });
    drop(lease);
    drop(top);
    rig.settle();
    // What stays is what the refs have, whole, and nothing else.
    let after = rig.visible();
    let top = block_on(rig.cache.get(&id)).unwrap();
    let chain = top.layer_chain();
    let layers: Vec<_> = chain.iter().filter_map(ImmutableRef::layer).collect();
    layers.iter().for_each(|layer| assert_whole(rig, layer));
    if let Some(computed) = computed {
        assert_eq!(computed.unwrap().unwrap().layers(), layers);
    }
    let mut named: Vec<_> = layers.iter().map(|layer| layer.descriptor.digest).collect();
    named.sort();
    let mut held: Vec<_> = own_leases.iter().flat_map(|own| held_by(rig, own)).collect();
    held.sort();
    assert_eq!((&after.blobs, &held), (&named, &named), "after {polls} polls");
    assert_eq!(after.blob_files.len(), after.blobs.len());
    assert_eq!((&after.ingests, &after.ingest_files), (&before.ingests, &before.ingest_files), "after {polls} polls");
    assert_eq!((&after.leases, after.trees, &after.mounts), (&before.leases, before.trees, &before.mounts));
    assert!(own_leases.iter().all(|own| after.leases.contains(own)));
    assert_eq!(after.snapshots.len(), before.snapshots.len(), "after {polls} polls");
    // And whoever comes next gets all of it.
    let lease = temporary(rig);
    let again = block_on(compute_blob_chain(&top, lease.lease(), &rig.layers, options, Creation::MakeMissing));
    assert_eq!(again.unwrap().unwrap().layers().len(), 2);
    drop((lease, chain, top));
    block_on(rig.cache.prune(&PruneOptions::all())).unwrap();
    rig.settle();
    let last = rig.visible();
    assert_eq!((last.blobs, last.snapshots, last.leases), (vec![], vec![], vec![]), "after {polls} polls");
    ended
}

#[test]
fn a_blob_chain_dropped_at_any_await_point_leaves_what_its_refs_have_and_nothing_else() {
    for rig in rigs() {
        let options = DiffOptions::new(CompressionConfig::gzip());
        let dropped = every_await_point(|polls| drop_chain(&rig, polls, &options));
        assert!(dropped > 20, "{dropped} await points");
    }
}

#[test]
fn a_caller_that_is_dropped_takes_nothing_from_one_that_stays() {
    let rig = Rig::new("native").unwrap();
    let options = DiffOptions::new(CompressionConfig::gzip());
    let lease = block_on(rig.local.leases.create(LeaseOptions::default())).unwrap();
    for polls in 0..20 {
        let made = step(&rig, None, 100 + polls as u8);
        let compute = |lease: &Lease| {
            let (made, layers, lease, options) = (made.clone(), rig.layers.clone(), lease.clone(), options.clone());
            async move { compute_blob_chain(&made, &lease, &layers, &options, Creation::MakeMissing).await }
        };
        let other = temporary(&rig);
        let mut stays = compute(&lease).boxed();
        // One step each: both are aboard the same work, or not yet.
        let _ = FutureExt::now_or_never(&mut stays);
        run_polls(polls, compute(other.lease()));
        let chain = block_on(stays).unwrap().unwrap();
        drop(other);
        rig.settle();
        chain.layers().iter().for_each(|layer| assert_whole(&rig, layer));
        drop(made);
    }
    block_on(rig.local.leases.delete(lease.id())).unwrap();
}

#[test]
fn the_rig_sees_what_is_left_behind() {
    let rig = Rig::new("native").unwrap();
    let before = rig.visible();
    let lease = temporary(&rig);
    let begun = block_on(rig.local.content.begin(lease.lease(), "key", Expected::UNKNOWN, Start::Fresh)).unwrap();
    let Begun::Started(mut ingest) = begun else { panic!("nothing was expected") };
    block_on(Ingest::write(&mut *ingest, Bytes::from_static(b"left"))).unwrap();
    let tree = tempfile::tempdir().unwrap();
    let mounted = block_on(rig.backends.mounter.mount(&bind(tree.path()), Access::ReadOnly)).unwrap();
    let during = rig.visible();
    assert_ne!(before.leases, during.leases);
    assert_ne!(before.ingests, during.ingests);
    assert_ne!(before.ingest_files, during.ingest_files);
    assert_eq!(during.trees, before.trees + 1);
    block_on(ingest.commit(None, Labels::new())).unwrap();
    assert_eq!(rig.visible().blobs, [Digest::of("left")]);
    assert!(block_on(rig.local.content.info(&Digest::of("left"))).unwrap().is_some());
    drop((mounted, lease));
    rig.settle();
    assert_same(&before, &rig.visible(), 0);
}
