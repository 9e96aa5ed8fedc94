//! A blob that is being given to a ref when the call is dropped, fails, or dies with its process.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

mod cache_support;

use cache_core::cache::{CacheManager, ImmutableRef, PruneOptions, RefOptions, UsageOptions};
use cache_core::ports::{
    BatchOutcome, LeaseManager, MetadataChange, MetadataStore, Precondition, Resource, Snapshotter,
};
use cache_core::{Digest, ErrorKind, Labels, Layer};
use cache_support::{Form, World, poll_at_most, prune};
use futures::FutureExt;
use pollster::block_on;

/// More polls, or calls, than giving a blob takes.
const MANY: usize = 60;

async fn committed(manager: &CacheManager) -> ImmutableRef {
    manager.create(None, RefOptions::default()).await.unwrap().commit().await.unwrap()
}

/// The blobs that the lease of the ref holds.
async fn held(world: &World, id: &str) -> Vec<Digest> {
    let lease = world.memory.leases.get(id).await.unwrap().unwrap();
    let resources = world.memory.leases.resources(&lease).await.unwrap();
    let digest = |resource| if let Resource::Content(digest) = resource { Some(digest) } else { None };
    resources.into_iter().filter_map(digest).collect()
}

fn named(layer: Option<Layer>) -> Vec<Digest> {
    layer.into_iter().map(|layer| layer.descriptor.digest).collect()
}

/// What the record names, as a process that opens the store now finds it.
async fn named_by_record(world: &World, id: &str) -> Vec<Digest> {
    named(world.open().await.get(id).await.unwrap().layer())
}

#[test]
fn a_dropped_call_gives_the_blob_or_not_and_leaves_none_that_the_record_does_not_name() {
    let (mut given, mut not_given) = (0, 0);
    for polls in 0..MANY {
        let world = World::new();
        block_on(async {
            let (manager, lease) = (world.open().await, world.lease().await);
            let layer = world.layer(&lease, Form::Packed, "layer").await;
            let snap = committed(&manager).await;
            let ended = poll_at_most(polls, snap.set_blob(&lease, &layer)).is_some();
            // The handle lives on.
            manager.flush().await;
            let blobs = held(&world, snap.id()).await;
            assert_eq!(blobs, named(snap.layer()), "after {polls} polls");
            assert_eq!(blobs, named_by_record(&world, snap.id()).await, "after {polls} polls");
            assert!(!ended || !blobs.is_empty());
            given += usize::from(!ended && !blobs.is_empty());
            not_given += usize::from(blobs.is_empty());
            snap.set_blob(&lease, &layer).await.unwrap();
            assert_eq!(held(&world, snap.id()).await, [layer.descriptor.digest]);
        });
    }
    assert!(given > 0 && not_given > 0, "{given} {not_given}");
}

#[test]
fn a_failed_call_leaves_no_blob_that_the_record_does_not_name() {
    let mut failed = 0;
    for number in 1..MANY {
        block_on(async {
            let world = World::new();
            let (manager, lease) = (world.open().await, world.lease().await);
            let layer = world.layer(&lease, Form::Packed, "layer").await;
            let snap = committed(&manager).await;
            let id = snap.id().to_owned();
            world.steps.fail_at(number);
            let outcome = snap.set_blob(&lease, &layer).await;
            world.steps.never_fail();
            failed += usize::from(outcome.is_err());
            drop(snap);
            manager.flush().await;
            assert_eq!(held(&world, &id).await, named_by_record(&world, &id).await, "call {number} failed");
        });
    }
    assert!(failed > 5, "{failed}");
}

#[test]
fn whoever_else_gives_a_blob_meanwhile_the_first_one_is_named_and_held() {
    for same_blob in [true, false] {
        for polls in 0..MANY {
            block_on(async {
                let world = World::new();
                let (manager, other, lease) = (world.open().await, world.open().await, world.lease().await);
                let layer = world.layer(&lease, Form::Packed, "layer").await;
                let form = if same_blob { Form::Packed } else { Form::Plain };
                let rival = world.layer(&lease, form, "layer").await;
                let snap = committed(&manager).await;
                let same = other.get(snap.id()).await.unwrap();
                drop(poll_at_most(polls, snap.set_blob(&lease, &layer)));
                let first = same.set_blob(&lease, &rival).await.unwrap();
                // A third one finds nothing to mend while the ref is used.
                prune(&world.open().await).await;
                manager.flush().await;
                assert_eq!(held(&world, snap.id()).await, [first.descriptor.digest], "after {polls} polls");
                snap.refresh().await.unwrap();
                assert_eq!(snap.layer(), Some(first));
            });
        }
    }
}

/// Pruning in which this ref stays.
fn prune_others() -> PruneOptions {
    PruneOptions::all().with_filter("description==nobody".parse().unwrap())
}

#[test]
fn a_blob_that_a_killed_process_did_not_give_goes_with_the_next_prune_and_the_ref_stays() {
    let mut strays = 0;
    for polls in 0..MANY {
        let world = World::new();
        let (manager, lease) = block_on(async { (world.open().await, world.lease().await) });
        let layer = block_on(world.layer(&lease, Form::Packed, "layer"));
        let snap = block_on(committed(&manager));
        let id = snap.id().to_owned();
        drop(poll_at_most(polls, snap.set_blob(&lease, &layer)));
        // Nothing was flushed, as if the process had died.
        drop((snap, manager));
        block_on(async {
            let manager = world.open().await;
            let before = manager.get(&id).await.unwrap().layer();
            manager.flush().await;
            strays += usize::from(held(&world, &id).await != named(before.clone()));
            assert_eq!(manager.prune(&prune_others()).await.unwrap().refs, []);
            assert_eq!(held(&world, &id).await, named(before.clone()), "after {polls} polls");
            world.memory.leases.delete(lease.id()).await.unwrap();
            world.collect().await;
            assert_eq!(world.blobs().await, named(before), "after {polls} polls");
            assert_eq!(manager.disk_usage(&UsageOptions::default()).await.unwrap().len(), 1);
        });
    }
    assert!(strays > 0);
}

#[test]
fn a_blob_that_was_let_go_of_can_no_longer_be_named_by_a_change_that_was_under_way() {
    block_on(async {
        let world = World::new();
        let (manager, lease) = (world.open().await, world.lease().await);
        let layer = world.layer(&lease, Form::Packed, "layer").await;
        let snap = committed(&manager).await;
        snap.finalize().await.unwrap();
        let id = snap.id().to_owned();
        drop(snap);
        manager.flush().await;
        // A process that died had attached the blob and read the record; its change comes later.
        let own = world.memory.leases.get(&id).await.unwrap().unwrap();
        world.memory.leases.attach(&own, &[Resource::Content(layer.descriptor.digest)]).await.unwrap();
        let read = world.memory.metadata.get(&format!("ref/{id}")).await.unwrap().unwrap();
        manager.prune(&prune_others()).await.unwrap();
        assert_eq!(held(&world, &id).await, []);
        let late = MetadataChange::Put {
            key: read.key.clone(),
            value: read.value.clone(),
            indexes: read.indexes.clone(),
            precondition: Precondition::Revision(read.revision),
        };
        let outcome = world.memory.metadata.apply(vec![late]).await.unwrap();
        assert_eq!(outcome, BatchOutcome::Refused { key: read.key });
    });
}

#[test]
fn a_dropped_finalization_is_ended_before_the_ref_can_be_taken_back() {
    let mut taken = 0;
    for polls in 0..MANY {
        block_on(async {
            let world = World::new();
            let (manager, other) = (world.open().await, world.open().await);
            let snap = committed(&manager).await;
            let id = snap.id().to_owned();
            drop(poll_at_most(polls, snap.finalize()));
            drop(snap);
            for manager in [&other, &manager] {
                match manager.get_mutable(&id).await {
                    Ok(mutable) => {
                        mutable.mounts().await.unwrap();
                        drop(mutable.commit().await.unwrap());
                        taken += 1;
                    }
                    Err(error) => assert!(matches!(error.kind(), ErrorKind::Busy | ErrorKind::Invalid), "{error}"),
                }
            }
            drop(manager.get(&id).await.unwrap().mounts().await.unwrap());
        });
    }
    assert!(taken > 0);
}

#[test]
fn a_ref_whose_snapshot_a_dead_process_committed_is_not_taken_back() {
    block_on(async {
        let world = World::new();
        let manager = world.open().await;
        let id = committed(&manager).await.id().to_owned();
        let lease = world.memory.leases.get(&id).await.unwrap().unwrap();
        world.snapshots.commit(&lease, &id, &format!("{id}-active"), Labels::new()).await.unwrap();
        assert_eq!(manager.get_mutable(&id).await.unwrap_err().kind(), ErrorKind::Invalid);
        let snap = manager.get(&id).await.unwrap();
        assert!(snap.is_finalized());
        snap.mounts().await.unwrap();
    });
}

#[test]
fn a_manager_with_unfinished_calls_can_be_dropped() {
    let world = World::new();
    let (manager, lease) = block_on(async { (world.open().await, world.lease().await) });
    let layer = block_on(world.layer(&lease, Form::Packed, "layer"));
    let mut held = 0;
    for polls in 0..MANY {
        let snap = block_on(committed(&manager));
        let id = snap.id().to_owned();
        drop(poll_at_most(polls, snap.set_blob(&lease, &layer)));
        drop(snap);
        let other = block_on(world.open());
        held += usize::from(block_on(other.get_mutable(&id)).is_err_and(|error| error.kind() == ErrorKind::Busy));
    }
    assert!(held > 0);
    drop(manager);
    let other = block_on(world.open());
    let refs = block_on(other.disk_usage(&UsageOptions::default())).unwrap();
    assert!(refs.iter().all(|usage| !usage.in_use), "nobody holds a lock any more");
    assert!(other.flush().now_or_never().is_some());
}
