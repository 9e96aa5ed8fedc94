//! Records of dead processes, of other processes, and of newer releases.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

mod cache_support;

use bytes::Bytes;
use cache_core::cache::{CacheManager, ImmutableRef, PruneOptions, RefKind, RefOptions, Retention, UsageOptions};
use cache_core::ports::{
    IndexEntry, IndexQuery, LeaseManager, MetadataChange, MetadataRecord, MetadataStore, Precondition, Snapshotter,
    Uniqueness,
};
use cache_core::{ErrorKind, Labels};
use cache_support::{Form, World, prune, usage};
use pollster::block_on;

async fn committed(manager: &CacheManager, parent: Option<&ImmutableRef>) -> ImmutableRef {
    manager.create(parent, RefOptions::default()).await.unwrap().commit().await.unwrap()
}

async fn stored(world: &World) -> Vec<MetadataRecord> {
    world.memory.metadata.find(&IndexQuery::Keys { prefix: String::new() }).await.unwrap()
}

async fn store(world: &World, key: &str, value: impl Into<Bytes>, parent: Option<&str>) {
    let parent = parent.map(|parent| IndexEntry {
        index: "ref.parent".to_owned(),
        value: parent.to_owned(),
        uniqueness: Uniqueness::Shared,
    });
    let put = MetadataChange::Put {
        key: key.to_owned(),
        value: value.into(),
        indexes: parent.into_iter().collect(),
        precondition: Precondition::Any,
    };
    world.memory.metadata.apply(vec![put]).await.unwrap();
}

/// Changes the stored JSON of the one record.
async fn edit(world: &World, id: &str, from: &str, to: &str) {
    let record = world.memory.metadata.get(&format!("ref/{id}")).await.unwrap().unwrap();
    let text = std::str::from_utf8(&record.value).unwrap().to_owned();
    assert!(text.contains(from), "{text}");
    let parent = record.indexes.iter().find(|entry| entry.index == "ref.parent").map(|entry| entry.value.clone());
    store(world, &record.key, text.replace(from, to), parent.as_deref()).await;
}

/// BuildKit's TestLoadHalfFinalizedRef.
#[test]
fn a_ref_whose_process_died_between_the_snapshot_and_the_record_is_finalized() {
    for reopened in [true, false] {
        block_on(async {
            let world = World::new();
            let manager = world.open().await;
            let snap = committed(&manager, None).await;
            let id = snap.id().to_owned();
            let lease = world.memory.leases.get(&id).await.unwrap().unwrap();
            let (name, key) = (snap.snapshot_key(), format!("{id}-active"));
            world.snapshots.commit(&lease, &name, &key, Labels::new()).await.unwrap();
            let manager = if reopened {
                drop((snap, manager));
                world.open().await
            } else {
                snap.finalize().await.unwrap();
                manager
            };
            let snap = manager.get(&id).await.unwrap();
            assert!(snap.is_finalized());
            snap.mounts().await.unwrap();
            drop(snap);
            manager.flush().await;
            assert_eq!(manager.get_mutable(&id).await.unwrap_err().kind(), ErrorKind::Invalid);
        });
    }
}

#[test]
fn a_committed_ref_can_be_taken_back_by_the_next_process() {
    block_on(async {
        let world = World::new();
        let manager = world.open().await;
        let mutable = manager.create(None, RefOptions::default()).await.unwrap();
        world.snapshots.write(&mutable.mounts().await.unwrap(), "one");
        let id = mutable.commit().await.unwrap().id().to_owned();
        drop(manager);
        let manager = world.open().await;
        let mutable = manager.get_mutable(&id).await.unwrap();
        world.snapshots.write(&mutable.mounts().await.unwrap(), "two");
        let snap = mutable.commit().await.unwrap();
        assert_eq!(world.snapshots.show(&snap.mounts().await.unwrap()), ["one", "two"]);
    });
}

#[test]
fn a_committed_ref_without_any_snapshot_is_cleared() {
    block_on(async {
        let world = World::new();
        let manager = world.open().await;
        let id = committed(&manager, None).await.id().to_owned();
        world.snapshots.lose(&format!("{id}-active"));
        drop(manager);
        let manager = world.open().await;
        assert_eq!(manager.get(&id).await.unwrap_err().kind(), ErrorKind::NotFound);
        assert_eq!((stored(&world).await.len(), world.leases().await), (0, 0));
    });
}

#[test]
fn the_mutables_of_a_dead_process_are_discarded_and_those_of_a_living_one_are_not() {
    block_on(async {
        let world = World::new();
        let dead = world.open().await;
        let retained = RefOptions::default().with_retention(Retention::Retain);
        drop(dead.create(None, RefOptions::default()).await.unwrap());
        let kept = dead.create(None, retained).await.unwrap().id().to_owned();
        drop(dead);
        let living = world.open().await;
        let used = living.create(None, RefOptions::default()).await.unwrap();
        let other = world.open().await;
        assert_eq!(usage(&other).await, (1, 1));
        assert_eq!(other.get_mutable(used.id()).await.unwrap_err().kind(), ErrorKind::Busy);
        drop(other.get_mutable(&kept).await.unwrap());
        assert_eq!(world.leases().await, 2);
    });
}

#[test]
fn a_removal_that_was_begun_is_finished() {
    block_on(async {
        let world = World::new();
        let manager = world.open().await;
        let id = committed(&manager, None).await.id().to_owned();
        drop(manager);
        edit(&world, &id, "\"usageCount\"", "\"deleted\":true,\"usageCount\"").await;
        let manager = world.open().await;
        assert_eq!(manager.get(&id).await.unwrap_err().kind(), ErrorKind::NotFound);
        assert_eq!((stored(&world).await.len(), world.leases().await), (0, 0));
    });
}

#[test]
fn a_record_that_is_being_removed_is_no_longer_found() {
    block_on(async {
        let world = World::new();
        let manager = world.open().await;
        let lease = world.lease().await;
        let blob = world.layer(&lease, Form::Packed, "layer").await;
        let first = manager.get_by_blob(&lease, &blob, None, RefOptions::default()).await.unwrap().id().to_owned();
        manager.flush().await;
        edit(&world, &first, "\"usageCount\"", "\"deleted\":true,\"usageCount\"").await;
        assert_eq!(manager.get(&first).await.unwrap_err().kind(), ErrorKind::NotFound);
        let second = manager.get_by_blob(&lease, &blob, None, RefOptions::default()).await.unwrap();
        assert_ne!(second.id(), first);
    });
}

#[test]
fn a_lease_whose_record_was_never_stored_is_removed() {
    block_on(async {
        let world = World::new();
        let manager = world.open().await;
        drop(committed(&manager, None).await);
        world
            .memory
            .metadata
            .apply(vec![MetadataChange::Delete {
                key: stored(&world).await[0].key.clone(),
                precondition: Precondition::Any,
            }])
            .await
            .unwrap();
        let foreign = world.lease().await;
        drop(manager);
        world.open().await;
        assert_eq!(world.leases().await, 1);
        assert!(world.memory.leases.get(foreign.id()).await.unwrap().is_some());
    });
}

/// BuildKit's TestLoadBrokenParents.
#[test]
fn a_ref_over_a_missing_one_is_not_found_holds_nothing_and_is_cleared() {
    block_on(async {
        let world = World::new();
        let manager = world.open().await;
        let base = committed(&manager, None).await;
        let middle = committed(&manager, Some(&base)).await;
        let top = committed(&manager, Some(&middle)).await;
        let ids = [&base, &middle, &top].map(|snap| snap.id().to_owned());
        drop((base, middle, top));
        manager.flush().await;
        let missing = MetadataChange::Delete { key: format!("ref/{}", ids[0]), precondition: Precondition::Any };
        world.memory.metadata.apply(vec![missing]).await.unwrap();
        assert_eq!(manager.get(&ids[2]).await.unwrap_err().kind(), ErrorKind::NotFound);
        assert_eq!(usage(&manager).await, (0, 2), "the failed call leaves nothing in use");
        drop(manager);
        let manager = world.open().await;
        assert_eq!(usage(&manager).await, (0, 0));
        assert_eq!(world.leases().await, 0);
    });
}

#[test]
fn records_of_a_newer_release_are_counted_and_protected_and_never_lost() {
    for (from, to) in [
        ("\"kind\":\"layer\"", "\"kind\":\"merge\",\"parents\":[\"x\",\"y\"]"),
        ("\"phase\":\"committed\"", "\"phase\":\"lazy\""),
        ("\"schema\":1", "\"schema\":2"),
    ] {
        block_on(async {
            let world = World::new();
            let manager = world.open().await;
            let lower = committed(&manager, None).await;
            let upper = committed(&manager, Some(&lower)).await;
            let ids = [&lower, &upper].map(|snap| snap.id().to_owned());
            drop((lower, upper));
            manager.flush().await;
            edit(&world, &ids[1], from, to).await;
            let before = stored(&world).await;
            let manager = world.open().await;
            assert_eq!(manager.get(&ids[1]).await.unwrap_err().kind(), ErrorKind::Unsupported, "{to}");
            assert_eq!(manager.get_mutable(&ids[1]).await.unwrap_err().kind(), ErrorKind::Unsupported);
            manager.get(&ids[0]).await.unwrap();
            assert_eq!(prune(&manager).await, 0, "the newer ref keeps itself and its parent");
            let refs = manager.disk_usage(&UsageOptions::default()).await.unwrap();
            assert!(refs.iter().any(|usage| usage.kind == RefKind::Unknown && usage.parents == [ids[0].as_str()]));
            let after = stored(&world).await;
            assert_eq!(
                before.iter().find(|r| r.key.ends_with(&ids[1])),
                after.iter().find(|r| r.key.ends_with(&ids[1]))
            );
        });
    }
}

#[test]
fn a_damaged_record_is_corrupt_and_stands_in_nobodys_way() {
    block_on(async {
        let world = World::new();
        let manager = world.open().await;
        store(&world, "ref/bad", "{not json", None).await;
        edit_free_copy(&world, &manager).await;
        let manager = world.open().await;
        assert_eq!(manager.get("bad").await.unwrap_err().kind(), ErrorKind::Corrupt);
        assert_eq!(manager.get("copy").await.unwrap_err().kind(), ErrorKind::Corrupt);
        assert_eq!(prune(&manager).await, 1);
        assert_eq!(usage(&manager).await, (0, 2));
    });
}

/// Stores a record under the name of another.
async fn edit_free_copy(world: &World, manager: &CacheManager) {
    let id = committed(manager, None).await.id().to_owned();
    let record = world.memory.metadata.get(&format!("ref/{id}")).await.unwrap().unwrap();
    store(world, "ref/copy", record.value, None).await;
}

#[test]
fn records_that_stand_on_each_other_are_corrupt() {
    block_on(async {
        let world = World::new();
        let manager = world.open().await;
        let lower = committed(&manager, None).await;
        let upper = committed(&manager, Some(&lower)).await;
        let ids = [&lower, &upper].map(|snap| snap.id().to_owned());
        drop((lower, upper));
        manager.flush().await;
        let lineage = format!("\"kind\":\"layer\",\"parent\":\"{}\"", ids[1]);
        edit(&world, &ids[0], "\"kind\":\"baseLayer\"", &lineage).await;
        let manager = world.open().await;
        assert_eq!(manager.get(&ids[1]).await.unwrap_err().kind(), ErrorKind::Corrupt);
        assert_eq!(usage(&manager).await, (0, 2));
    });
}

#[test]
fn fields_of_a_newer_release_survive_a_change() {
    block_on(async {
        let world = World::new();
        let manager = world.open().await;
        let snap = committed(&manager, None).await;
        edit(&world, snap.id(), "\"usageCount\"", "\"future\":{\"a\":[1,2]},\"usageCount\"").await;
        snap.set_description("changed").await.unwrap();
        let record = world.memory.metadata.get(&format!("ref/{}", snap.id())).await.unwrap().unwrap();
        let text = std::str::from_utf8(&record.value).unwrap();
        assert!(text.contains("\"future\":{\"a\":[1,2]}") && text.contains("changed"), "{text}");
    });
}

#[test]
fn a_ref_that_another_process_uses_is_not_pruned() {
    block_on(async {
        let world = World::new();
        let (one, other) = (world.open().await, world.open().await);
        let lower = committed(&one, None).await;
        let upper = committed(&one, Some(&lower)).await;
        drop(lower);
        assert_eq!(usage(&other).await, (2, 0));
        assert_eq!(prune(&other).await, 0);
        let theirs = other.get(upper.id()).await.unwrap();
        drop(upper);
        assert_eq!(prune(&one).await, 0);
        theirs.mounts().await.unwrap();
        drop(theirs);
        assert_eq!(prune(&one).await, 2);
        assert_eq!((world.snapshots.count(), world.leases().await), (0, 0));
    });
}

#[test]
fn two_processes_may_make_the_same_chain_and_both_are_right() {
    block_on(async {
        let world = World::new();
        let managers = [world.open().await, world.open().await];
        let lease = world.lease().await;
        let lower = world.layer(&lease, Form::Packed, "lower").await;
        let upper = world.layer(&lease, Form::Packed, "upper").await;
        let make = async |manager: &CacheManager| {
            let snap = manager.get_by_blob(&lease, &lower, None, RefOptions::default()).await.unwrap();
            let snap = manager.get_by_blob(&lease, &upper, Some(&snap), RefOptions::default()).await.unwrap();
            (snap.mounts().await.unwrap(), snap)
        };
        let ((one_mounts, one), (other_mounts, other)) = futures::join!(make(&managers[0]), make(&managers[1]));
        assert_eq!(one.snapshot_key(), other.snapshot_key());
        for mounts in [one_mounts, other_mounts] {
            assert_eq!(world.snapshots.show(&mounts), ["lower", "upper"]);
        }
        let one_id = one.id().to_owned();
        drop(one);
        manager_prunes(&managers[0]).await;
        assert_eq!(world.snapshots.show(&other.mounts().await.unwrap()), ["lower", "upper"], "without {one_id}");
        drop(other);
        manager_prunes(&managers[1]).await;
        manager_prunes(&managers[0]).await;
        world.memory.leases.delete(lease.id()).await.unwrap();
        world.collect().await;
        assert_eq!((world.snapshots.count(), world.blobs().await.len(), world.leases().await), (0, 0, 0));
    });
}

async fn manager_prunes(manager: &CacheManager) {
    manager.prune(&PruneOptions::all()).await.unwrap();
}

#[test]
fn two_processes_may_finalize_the_same_ref() {
    block_on(async {
        let world = World::new();
        let (one, other) = (world.open().await, world.open().await);
        let ours = committed(&one, None).await;
        let theirs = other.get(ours.id()).await.unwrap();
        let (a, b) = futures::join!(ours.finalize(), theirs.finalize());
        a.unwrap();
        b.unwrap();
        assert!(ours.is_finalized() && theirs.is_finalized());
    });
}

#[test]
fn what_one_process_gave_up_another_one_keeps() {
    for first_flush_comes_early in [true, false] {
        block_on(async {
            let world = World::new();
            let (one, other) = (world.open().await, world.open().await);
            let mutable = one.create(None, RefOptions::default()).await.unwrap();
            let id = mutable.id().to_owned();
            drop(mutable);
            let taken = other.get_mutable(&id).await.unwrap();
            if first_flush_comes_early {
                one.flush().await;
            }
            drop(taken.commit().await.unwrap());
            one.flush().await;
            other.get(&id).await.unwrap();
        });
    }
}

#[test]
fn nothing_is_made_over_a_ref_whose_record_was_lost() {
    block_on(async {
        let world = World::new();
        let manager = world.open().await;
        let lease = world.lease().await;
        let [lower, upper] = [world.layer(&lease, Form::Packed, "lower"), world.layer(&lease, Form::Packed, "upper")];
        let (lower, upper) = (lower.await, upper.await);
        let snap = manager.get_by_blob(&lease, &lower, None, RefOptions::default()).await.unwrap();
        let lost = MetadataChange::Delete { key: format!("ref/{}", snap.id()), precondition: Precondition::Any };
        world.memory.metadata.apply(vec![lost]).await.unwrap();
        let refused = manager.create(Some(&snap), RefOptions::default()).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::NotFound);
        let refused = manager.get_by_blob(&lease, &upper, Some(&snap), RefOptions::default()).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::NotFound);
        manager.flush().await;
        assert_eq!(stored(&world).await.len(), 0);
    });
}
