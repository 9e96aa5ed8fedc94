//! Refs with blobs: chain ids, identity, snapshot sharing, unpacking.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

mod cache_support;

use std::sync::Arc;

use cache_core::cache::{CacheManager, ImmutableRef, RefOptions};
use cache_core::ports::{Lease, LeaseManager, Manager};
use cache_core::{Digest, ErrorKind, Layer};
use cache_support::{Form, TestApplier, World, layer, prune, usage};
use futures::future::join_all;
use pollster::block_on;

async fn committed(manager: &CacheManager, parent: Option<&ImmutableRef>) -> ImmutableRef {
    manager.create(parent, RefOptions::default()).await.unwrap().commit().await.unwrap()
}

async fn by_blob(
    manager: &CacheManager,
    lease: &Lease,
    layer: &Layer,
    parent: Option<&ImmutableRef>,
) -> cache_core::Result<ImmutableRef> {
    manager.get_by_blob(lease, layer, parent, RefOptions::default()).await
}

fn joined(left: Digest, right: Digest) -> Digest {
    Digest::of(format!("{left} {right}"))
}

/// BuildKit's TestSetBlob.
#[test]
fn chain_ids_follow_the_formulas_and_identify_refs() {
    block_on(async {
        let world = World::new();
        let manager = world.open().await;
        let lease = world.lease().await;

        let snap = committed(&manager, None).await;
        assert_eq!((snap.layer(), snap.chain_id(), snap.blob_chain_id()), (None, None, None));
        let absent = layer(Form::Packed, "absent");
        assert_eq!(snap.set_blob(&lease, &absent).await.unwrap_err().kind(), ErrorKind::NotFound);
        assert_eq!((snap.layer(), snap.chain_id(), snap.blob_chain_id()), (None, None, None));

        let first = world.layer(&lease, Form::Packed, "first").await;
        assert_eq!(snap.set_blob(&lease, &first).await.unwrap(), first);
        assert_eq!(snap.layer(), Some(first.clone()));
        assert_eq!(snap.chain_id(), Some(first.diff_id));
        assert_eq!(snap.blob_chain_id(), Some(joined(first.descriptor.digest, first.diff_id)));

        let snap2 = committed(&manager, Some(&snap)).await;
        let second = world.layer(&lease, Form::Packed, "second").await;
        snap2.set_blob(&lease, &second).await.unwrap();
        let blob_id2 = joined(second.descriptor.digest, second.diff_id);
        assert_eq!(snap2.chain_id(), Some(joined(snap.chain_id().unwrap(), second.diff_id)));
        assert_eq!(snap2.blob_chain_id(), Some(joined(snap.blob_chain_id().unwrap(), blob_id2)));

        let third = world.layer(&lease, Form::Packed, "third").await;
        let snap3 = by_blob(&manager, &lease, &third, Some(&snap)).await.unwrap();
        let blob_id3 = joined(third.descriptor.digest, third.diff_id);
        assert_eq!(snap3.layer(), Some(third.clone()));
        assert_eq!(snap3.chain_id(), Some(joined(snap.chain_id().unwrap(), third.diff_id)));
        assert_eq!(snap3.blob_chain_id(), Some(joined(snap.blob_chain_id().unwrap(), blob_id3)));
        assert_eq!(snap3.snapshot_key(), snap3.chain_id().unwrap().to_string());
        assert!(snap3.is_finalized());

        // The same blob chain is the same ref.
        let snap4 = by_blob(&manager, &lease, &second, Some(&snap)).await.unwrap();
        assert_eq!(snap4.id(), snap2.id());

        // The same DiffID in another blob shares the snapshot.
        let other_form = world.layer(&lease, Form::Plain, "second").await;
        assert_eq!(other_form.diff_id, second.diff_id);
        let snap5 = by_blob(&manager, &lease, &other_form, Some(&snap)).await.unwrap();
        assert_ne!(snap5.id(), snap2.id());
        assert_eq!(snap5.snapshot_key(), snap2.snapshot_key());
        assert_eq!(snap5.chain_id(), snap2.chain_id());
        let blob_id5 = joined(other_form.descriptor.digest, other_form.diff_id);
        assert_eq!(snap5.blob_chain_id(), Some(joined(snap.blob_chain_id().unwrap(), blob_id5)));
        assert_ne!(snap5.blob_chain_id(), snap2.blob_chain_id());

        let sixth = world.layer(&lease, Form::Packed, "sixth").await;
        let snap6 = by_blob(&manager, &lease, &sixth, Some(&snap3)).await.unwrap();
        assert_eq!(snap6.chain_id(), Some(joined(snap3.chain_id().unwrap(), sixth.diff_id)));
        assert_eq!(snap6.snapshot_key(), snap6.chain_id().unwrap().to_string());

        let refused = by_blob(&manager, &lease, &absent, Some(&snap3)).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::NotFound);
        manager.flush().await;
        let records = usage(&manager).await;
        assert_eq!(records, (5, 0), "the refused ref left no record");
    });
}

#[test]
fn the_first_blob_of_a_ref_stays() {
    block_on(async {
        let world = World::new();
        let manager = world.open().await;
        let lease = world.lease().await;
        let snap = committed(&manager, None).await;
        let packed = world.layer(&lease, Form::Packed, "same").await;
        let plain = world.layer(&lease, Form::Plain, "same").await;
        let (one, other) = futures::join!(snap.set_blob(&lease, &packed), snap.set_blob(&lease, &plain));
        assert_eq!(one.as_ref().unwrap(), other.as_ref().unwrap(), "both callers learn of the same layer");
        assert_eq!(snap.set_blob(&lease, &plain).await.unwrap(), one.unwrap());
        let first = snap.layer().unwrap();

        // Only the blob of the ref outlives the caller's lease.
        world.memory.leases.delete(lease.id()).await.unwrap();
        world.collect().await;
        assert_eq!(world.blobs().await, [first.descriptor.digest]);
    });
}

#[test]
fn the_first_blob_stays_also_among_processes() {
    block_on(async {
        let world = World::new();
        let (one, other) = (world.open().await, world.open().await);
        let lease = world.lease().await;
        let ours = committed(&one, None).await;
        let theirs = other.get(ours.id()).await.unwrap();
        let packed = world.layer(&lease, Form::Packed, "same").await;
        let plain = world.layer(&lease, Form::Plain, "same").await;
        let (a, b) = futures::join!(ours.set_blob(&lease, &packed), theirs.set_blob(&lease, &plain));
        assert_eq!(a.unwrap(), b.unwrap());
        assert_eq!(ours.layer(), theirs.layer());
        assert_eq!(ours.blob_chain_id(), theirs.blob_chain_id());
        let child = committed(&one, Some(&ours)).await;
        let child_blob = world.layer(&lease, Form::Packed, "child").await;
        child.set_blob(&lease, &child_blob).await.unwrap();
        assert!(child.chain_id().is_some());
    });
}

#[test]
fn a_blob_over_a_parent_without_one_is_refused_and_writes_no_ids() {
    block_on(async {
        let world = World::new();
        let manager = world.open().await;
        let lease = world.lease().await;
        let parent = committed(&manager, None).await;
        let child = committed(&manager, Some(&parent)).await;
        let upper = world.layer(&lease, Form::Packed, "upper").await;
        assert_eq!(child.set_blob(&lease, &upper).await.unwrap_err().kind(), ErrorKind::Invalid);
        assert_eq!((child.layer(), child.chain_id(), child.blob_chain_id()), (None, None, None));
        let refused = by_blob(&manager, &lease, &upper, Some(&parent)).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Invalid);

        let lower = world.layer(&lease, Form::Packed, "lower").await;
        parent.set_blob(&lease, &lower).await.unwrap();
        child.set_blob(&lease, &upper).await.unwrap();
        assert_eq!(child.chain_id(), Some(joined(lower.diff_id, upper.diff_id)));
    });
}

#[test]
fn a_blob_under_another_size_is_refused() {
    block_on(async {
        let world = World::new();
        let manager = world.open().await;
        let lease = world.lease().await;
        let mut wrong = world.layer(&lease, Form::Packed, "layer").await;
        wrong.descriptor.size += 1;
        let snap = committed(&manager, None).await;
        assert_eq!(snap.set_blob(&lease, &wrong).await.unwrap_err().kind(), ErrorKind::Invalid);
        assert_eq!(by_blob(&manager, &lease, &wrong, None).await.unwrap_err().kind(), ErrorKind::Invalid);
    });
}

#[test]
fn a_dead_lease_is_refused() {
    block_on(async {
        let world = World::new();
        let manager = world.open().await;
        let (alive, dead) = (world.lease().await, world.lease().await);
        let blob = world.layer(&alive, Form::Packed, "layer").await;
        let snap = committed(&manager, None).await;
        world.memory.leases.delete(dead.id()).await.unwrap();
        assert_eq!(snap.set_blob(&dead, &blob).await.unwrap_err().kind(), ErrorKind::Invalid);
        assert_eq!(by_blob(&manager, &dead, &blob, None).await.unwrap_err().kind(), ErrorKind::Invalid);
    });
}

/// BuildKit's TestSnapshotExtract.
#[test]
fn refs_from_blobs_are_unpacked_when_needed_and_pruned_when_free() {
    block_on(async {
        let world = World::new();
        let manager = world.open().await;
        let lease = world.lease().await;
        let lower = world.layer(&lease, Form::Packed, "lower").await;
        let upper = world.layer(&lease, Form::Packed, "upper").await;
        let snap = by_blob(&manager, &lease, &lower, None).await.unwrap();
        let snap2 = by_blob(&manager, &lease, &upper, Some(&snap)).await.unwrap();
        world.memory.leases.delete(lease.id()).await.unwrap();
        assert_eq!(snap2.size().await.unwrap(), upper.descriptor.size);
        assert_eq!(world.snapshots.count(), 0);
        world.collect().await;
        assert_eq!(world.blobs().await.len(), 2);

        snap2.extract().await.unwrap();
        assert_eq!(world.snapshots.keys().len(), 2);
        assert_eq!(snap2.size().await.unwrap(), upper.descriptor.size + 5);
        assert_eq!(world.snapshots.show(&snap2.mounts().await.unwrap()), ["lower", "upper"]);
        assert_eq!(prune(&manager).await, 0);
        assert_eq!(usage(&manager).await, (2, 0));

        let id = snap.id().to_owned();
        drop(snap);
        assert_eq!(prune(&manager).await, 0);
        assert_eq!(usage(&manager).await, (2, 0));
        let snap = manager.get(&id).await.unwrap();
        drop(snap2);
        assert_eq!(usage(&manager).await, (1, 1));
        assert_eq!(prune(&manager).await, 1);
        assert_eq!(usage(&manager).await, (1, 0));
        assert_eq!((world.snapshots.keys().len(), world.blobs().await.len()), (1, 1));
        drop(snap);
        assert_eq!(prune(&manager).await, 1);
        assert_eq!((world.snapshots.count(), world.blobs().await.len()), (0, 0));
        assert_eq!(world.leases().await, 0);
    });
}

/// BuildKit's TestExtractOnMutable.
#[test]
fn a_blob_is_unpacked_over_a_ref_that_was_written() {
    block_on(async {
        let world = World::new();
        let manager = world.open().await;
        let lease = world.lease().await;
        let snap = committed(&manager, None).await;
        let lower = world.layer(&lease, Form::Packed, "lower").await;
        let upper = world.layer(&lease, Form::Packed, "upper").await;
        assert_eq!(by_blob(&manager, &lease, &upper, Some(&snap)).await.unwrap_err().kind(), ErrorKind::Invalid);
        snap.set_blob(&lease, &lower).await.unwrap();
        let snap2 = by_blob(&manager, &lease, &upper, Some(&snap)).await.unwrap();
        drop(snap);
        world.memory.leases.delete(lease.id()).await.unwrap();
        assert_eq!((world.snapshots.keys().len(), world.blobs().await.len()), (1, 2));
        snap2.extract().await.unwrap();
        assert_eq!(world.snapshots.keys().len(), 2);
        assert_eq!(snap2.size().await.unwrap(), upper.descriptor.size + 5);
        assert_eq!(prune(&manager).await, 0);
        assert_eq!(usage(&manager).await, (2, 0));
        drop(snap2);
        assert_eq!(usage(&manager).await, (0, 2));
        assert_eq!(prune(&manager).await, 2);
        assert_eq!((world.snapshots.count(), world.blobs().await.len()), (0, 0));
    });
}

#[test]
fn a_snapshot_that_vanished_is_unpacked_again_from_its_blob() {
    block_on(async {
        let world = World::new();
        let manager = world.open().await;
        let lease = world.lease().await;
        let blob = world.layer(&lease, Form::Packed, "layer").await;
        let snap = by_blob(&manager, &lease, &blob, None).await.unwrap();
        snap.extract().await.unwrap();
        world.snapshots.lose(&snap.snapshot_key());
        assert_eq!(world.snapshots.show(&snap.mounts().await.unwrap()), ["layer"]);

        let bare = committed(&manager, None).await;
        bare.finalize().await.unwrap();
        world.snapshots.lose(&bare.snapshot_key());
        assert_eq!(bare.mounts().await.unwrap_err().kind(), ErrorKind::NotFound);
    });
}

#[test]
fn many_callers_unpack_and_make_each_layer_once() {
    block_on(async {
        let world = World::new();
        let applier = Arc::new(TestApplier::new(&world));
        let mut backends = world.backends();
        backends.applier = Some(applier.clone());
        let manager = CacheManager::open(backends).await.unwrap();
        let lease = world.lease().await;
        let lower = world.layer(&lease, Form::Packed, "lower").await;
        let upper = world.layer(&lease, Form::Packed, "upper").await;
        let made = join_all((0..20).map(|_| async {
            let snap = by_blob(&manager, &lease, &lower, None).await.unwrap();
            let snap = by_blob(&manager, &lease, &upper, Some(&snap)).await.unwrap();
            snap.mounts().await.unwrap();
            snap
        }))
        .await;
        assert!(made.iter().all(|snap| snap.id() == made[0].id()));
        assert_eq!(applier.applied(), 2);
        assert_eq!(usage(&manager).await, (2, 0));
    });
}

#[test]
fn without_an_applier_a_blob_cannot_be_mounted() {
    block_on(async {
        let world = World::new();
        let mut backends = world.backends();
        backends.applier = None;
        let manager = CacheManager::open(backends).await.unwrap();
        let lease = world.lease().await;
        let blob = world.layer(&lease, Form::Packed, "layer").await;
        let snap = by_blob(&manager, &lease, &blob, None).await.unwrap();
        assert_eq!(snap.mounts().await.unwrap_err().kind(), ErrorKind::Unsupported);
    });
}

#[test]
fn a_layer_with_another_diff_id_is_corrupt_and_leaves_no_snapshot() {
    block_on(async {
        let world = World::new();
        let manager = world.open().await;
        let lease = world.lease().await;
        let mut blob = world.layer(&lease, Form::Packed, "layer").await;
        blob.diff_id = Digest::of("something else");
        let snap = by_blob(&manager, &lease, &blob, None).await.unwrap();
        assert_eq!(snap.extract().await.unwrap_err().kind(), ErrorKind::Corrupt);
        world.collect().await;
        assert_eq!(world.snapshots.count(), 0);
    });
}

#[test]
fn an_existing_ref_takes_the_image_name_and_a_first_description() {
    block_on(async {
        let world = World::new();
        let manager = world.open().await;
        let lease = world.lease().await;
        let blob = world.layer(&lease, Form::Packed, "layer").await;
        let options = |name: &str| RefOptions::default().with_image_name(name).with_description(format!("from {name}"));
        let first = manager.get_by_blob(&lease, &blob, None, options("a")).await.unwrap();
        let second = manager.get_by_blob(&lease, &blob, None, options("b")).await.unwrap();
        assert_eq!(first.id(), second.id());
        assert_eq!(second.image_names(), ["a", "b"]);
        assert_eq!(second.description(), "from a");
    });
}

#[test]
fn a_blob_is_held_by_the_ref_from_the_moment_it_has_it() {
    block_on(async {
        let world = World::new();
        let manager = world.open().await;
        let lease = world.lease().await;
        let blob = world.layer(&lease, Form::Packed, "layer").await;
        let snap = committed(&manager, None).await;
        snap.set_blob(&lease, &blob).await.unwrap();
        world.memory.leases.delete(lease.id()).await.unwrap();
        world.collect().await;
        assert!(world.memory.content.info(&blob.descriptor.digest).await.unwrap().is_some());
    });
}
