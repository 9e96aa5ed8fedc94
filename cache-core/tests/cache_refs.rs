//! Mutable and immutable refs: making, committing, taking back, finding, describing.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

mod cache_support;

use std::time::Duration;

use cache_core::cache::{CacheManager, RecordType, RefKind, RefOptions, Retention, UsageOptions};
use cache_core::ports::{Access, Clock, LayerMode, MountedTree};
use cache_core::{Error, ErrorKind, Timestamp};
use cache_support::{Form, World, prune, usage};
use pollster::block_on;

fn retained() -> RefOptions {
    RefOptions::default().with_retention(Retention::Retain)
}

/// BuildKit's TestManager.
#[test]
fn a_ref_goes_from_mutable_to_immutable_to_finalized_and_is_busy_while_used() {
    block_on(async {
        let world = World::new();
        let manager = world.open().await;
        assert_eq!(manager.get("foobar").await.unwrap_err().kind(), ErrorKind::NotFound);
        assert_eq!(usage(&manager).await, (0, 0));

        let active = manager.create(None, retained()).await.unwrap();
        let id = active.id().to_owned();
        assert!(active.mount(Access::ReadWrite).await.unwrap().path().to_str().unwrap().contains(&id));
        assert_eq!(manager.get_mutable(&id).await.unwrap_err().kind(), ErrorKind::Busy);
        assert_eq!(manager.get(&id).await.unwrap_err().kind(), ErrorKind::Busy);
        assert_eq!(usage(&manager).await, (1, 0));

        let snap = active.commit().await.unwrap();
        assert_eq!(snap.id(), id);
        assert_eq!(usage(&manager).await, (1, 0));
        assert_eq!(manager.get_mutable(&id).await.unwrap_err().kind(), ErrorKind::Busy);
        drop(snap);
        assert_eq!(usage(&manager).await, (0, 1));

        let active = manager.get_mutable(&id).await.unwrap();
        assert_eq!(usage(&manager).await, (1, 0));
        let snap = active.commit().await.unwrap();
        snap.finalize().await.unwrap();
        assert!(snap.is_finalized());
        drop(snap);
        assert_eq!(manager.get_mutable(&id).await.unwrap_err().kind(), ErrorKind::Invalid);

        let first = manager.get(&id).await.unwrap();
        let second = manager.get(&id).await.unwrap();
        assert_eq!(usage(&manager).await, (1, 0));
        drop(first);
        assert_eq!(usage(&manager).await, (1, 0));

        let active = manager.create(Some(&second), retained()).await.unwrap();
        assert_eq!(usage(&manager).await, (2, 0));
        let third = active.commit().await.unwrap();
        drop(second);
        assert_eq!(usage(&manager).await, (2, 0), "a child keeps its parent in use");
        drop(third);
        assert_eq!(usage(&manager).await, (0, 2));

        assert_eq!(prune(&manager).await, 2);
        assert_eq!(usage(&manager).await, (0, 0));
        assert_eq!(world.snapshots.keys(), [""; 0]);
        assert_eq!(world.leases().await, 0);
    });
}

#[test]
fn a_dropped_mutable_is_discarded_unless_it_is_retained() {
    block_on(async {
        let world = World::new();
        let manager = world.open().await;
        drop(manager.create(None, RefOptions::default()).await.unwrap());
        assert_eq!(usage(&manager).await, (0, 0));
        assert_eq!(world.leases().await, 0);

        let kept = manager.create(None, retained()).await.unwrap();
        let id = kept.id().to_owned();
        drop(kept);
        assert_eq!(usage(&manager).await, (0, 1));
        assert_eq!(manager.get(&id).await.unwrap_err().kind(), ErrorKind::Invalid, "nobody writes, but it is mutable");
        let again = manager.get_mutable(&id).await.unwrap();
        again.set_retention(Retention::Discard).await.unwrap();
        drop(again);
        assert_eq!(usage(&manager).await, (0, 0));
    });
}

#[test]
fn what_was_written_before_a_commit_is_seen_after_it_and_by_children() {
    block_on(async {
        let world = World::new();
        let manager = world.open().await;
        let base = manager.create(None, RefOptions::default()).await.unwrap();
        world.snapshots.write(&base.mounts().await.unwrap(), "one");
        let base = base.commit().await.unwrap();
        assert_eq!(world.snapshots.show(&base.mounts().await.unwrap()), ["one"]);
        let child = manager.create(Some(&base), RefOptions::default()).await.unwrap();
        world.snapshots.write(&child.mounts().await.unwrap(), "two");
        assert_eq!(world.snapshots.show(&child.mounts().await.unwrap()), ["one", "two"]);
        let child = child.commit().await.unwrap();
        assert_eq!(world.snapshots.show(&child.mounts().await.unwrap()), ["one", "two"]);
        assert_eq!(world.snapshots.show(&base.mounts().await.unwrap()), ["one"]);
        assert_eq!((base.kind(), child.kind()), (RefKind::BaseLayer, RefKind::Layer));
        assert_eq!(child.parent().unwrap().id(), base.id());
        let chain: Vec<_> = child.layer_chain().iter().map(|layer| layer.id().to_owned()).collect();
        assert_eq!(chain, [base.id(), child.id()]);
    });
}

/// BuildKit's TestMountReadOnly.
#[test]
fn immutable_refs_are_mounted_read_only_and_mutable_ones_as_asked() {
    block_on(async {
        let world = World::new();
        let manager = world.open().await;
        let mut parent = None;
        for _ in 0..2 {
            let mutable = manager.create(parent.as_ref(), RefOptions::default()).await.unwrap();
            assert_eq!(mutable.mounts().await.unwrap()[0].options, ["rw"]);
            drop(mutable.mount(Access::ReadOnly).await.unwrap());
            drop(mutable.mount(Access::ReadWrite).await.unwrap());
            let immutable = mutable.commit().await.unwrap();
            assert_eq!(immutable.mounts().await.unwrap()[0].options, ["ro"]);
            drop(immutable.mount().await.unwrap());
            parent = Some(immutable);
        }
    });
}

#[test]
fn a_ref_whose_writable_tree_is_mounted_is_not_committed_and_not_lost() {
    block_on(async {
        let world = World::new();
        let manager = world.open().await;
        let mutable = manager.create(None, RefOptions::default()).await.unwrap();
        let tree = mutable.mount(Access::ReadWrite).await.unwrap();
        let failed = mutable.commit().await.unwrap_err();
        assert_eq!(failed.error().kind(), ErrorKind::Busy);
        let mutable = failed.into_mutable();
        drop(tree);
        mutable.commit().await.unwrap();
    });
}

#[test]
fn a_mounted_tree_keeps_its_ref() {
    block_on(async {
        let world = World::new();
        let manager = world.open().await;
        let mutable = manager.create(None, RefOptions::default()).await.unwrap();
        let tree = mutable.mount(Access::ReadWrite).await.unwrap();
        drop(mutable);
        assert_eq!(usage(&manager).await, (1, 0), "the discarded ref waits for its tree");
        drop(tree);
        assert_eq!(usage(&manager).await, (0, 0));

        let snap = manager.create(None, RefOptions::default()).await.unwrap().commit().await.unwrap();
        let tree = snap.mount().await.unwrap();
        drop(snap);
        assert_eq!(prune(&manager).await, 0);
        drop(tree);
        assert_eq!(prune(&manager).await, 1);
    });
}

#[test]
fn what_is_said_of_a_ref_outlives_its_process() {
    block_on(async {
        let world = World::new();
        let manager = world.open().await;
        let created = Timestamp::from_unix(1_000_000, 5).unwrap();
        let options = RefOptions::default()
            .with_description("step 1")
            .with_created_at(created)
            .with_record_type(RecordType::CacheMount)
            .with_layer_type(LayerMode::Windows)
            .with_image_name("docker.io/library/alpine:latest");
        let mutable = manager.create(None, options).await.unwrap();
        assert_eq!((mutable.description().as_str(), mutable.created_at()), ("step 1", created));
        mutable.set_description("step one").await.unwrap();
        let snap = mutable.commit().await.unwrap();
        snap.add_image_name("other").await.unwrap();
        snap.add_image_name("another").await.unwrap();
        snap.add_image_name("other").await.unwrap();
        let id = snap.id().to_owned();
        let child = manager.create(Some(&snap), RefOptions::default()).await.unwrap().commit().await.unwrap();
        assert_eq!(child.layer_mode(), LayerMode::Windows, "the shape is that of the refs below");
        drop((snap, child, manager));

        let manager = world.open().await;
        let snap = manager.get(&id).await.unwrap();
        assert_eq!((snap.description().as_str(), snap.created_at()), ("step one", created));
        assert_eq!(snap.image_names(), ["docker.io/library/alpine:latest", "other", "another"]);
        assert_eq!(snap.layer_mode(), LayerMode::Windows);
        snap.set_description("step 1 again").await.unwrap();
        assert_eq!(snap.description(), "step 1 again");
        let listed = manager.disk_usage(&UsageOptions::default()).await.unwrap();
        assert_eq!(listed[0].record_type, RecordType::CacheMount);
    });
}

#[test]
fn the_last_drop_of_a_ref_counts_as_one_use_at_that_time() {
    block_on(async {
        let world = World::new();
        let manager = world.open().await;
        let snap = manager.create(None, RefOptions::default()).await.unwrap().commit().await.unwrap();
        let id = snap.id().to_owned();
        let clone = snap.clone();
        world.clock.advance(Duration::from_secs(10));
        let used = world.clock.now();
        drop((snap, clone));
        world.clock.advance(Duration::from_secs(10));
        manager.flush().await;
        let snap = manager.get(&id).await.unwrap();
        assert_eq!((snap.usage_count(), snap.last_used_at()), (1, Some(used)));
        let child = manager.create(Some(&snap), RefOptions::default()).await.unwrap().commit().await.unwrap();
        let child_id = child.id().to_owned();
        drop((snap, child));
        drop(manager.get(&child_id).await.unwrap());
        let snap = manager.get(&id).await.unwrap();
        assert_eq!(snap.usage_count(), 2, "being held by a child alone is no use");
    });
}

#[test]
fn a_ref_of_another_manager_is_refused_as_parent() {
    block_on(async {
        let world = World::new();
        let (one, other) = (world.open().await, world.open().await);
        let snap = one.create(None, RefOptions::default()).await.unwrap().commit().await.unwrap();
        let refused = other.create(Some(&snap), RefOptions::default()).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Invalid);
        let own = other.get(snap.id()).await.unwrap();
        other.create(Some(&own), RefOptions::default()).await.unwrap();
    });
}

#[test]
fn a_very_long_chain_is_loaded_and_dropped_without_recursion() {
    const LENGTH: usize = 2_000;
    const STACK: usize = 256 * 1024;
    let work = || {
        block_on(async {
            let world = World::new();
            let manager = world.open().await;
            let lease = world.lease().await;
            let layer = world.layer(&lease, Form::Plain, "the same layer again and again").await;
            let mut top = manager.get_by_blob(&lease, &layer, None, RefOptions::default()).await.unwrap();
            for _ in 1..LENGTH {
                top = manager.get_by_blob(&lease, &layer, Some(&top), RefOptions::default()).await.unwrap();
            }
            let id = top.id().to_owned();
            drop(top);
            let top = manager.get(&id).await.unwrap();
            assert_eq!(top.layer_chain().len(), LENGTH);
        });
    };
    std::thread::Builder::new().stack_size(STACK).spawn(work).unwrap().join().unwrap();
}

#[test]
fn futures_and_refs_can_move_between_threads() {
    fn is_send<T: Send>(_: &T) {}
    fn is_shared<T: Send + Sync + std::fmt::Debug>() {}
    is_shared::<CacheManager>();
    is_shared::<cache_core::cache::ImmutableRef>();
    is_shared::<cache_core::cache::MutableRef>();
    is_shared::<cache_core::cache::MountedRef>();
    is_shared::<cache_core::cache::CommitError>();
    is_shared::<cache_core::cache::Filter>();
    is_shared::<cache_core::flight::Group<String, Result<(), Error>>>();
    let world = World::new();
    let manager = block_on(world.open());
    let lease = block_on(world.lease());
    let layer = cache_support::layer(Form::Plain, "one");
    is_send(&manager.create(None, RefOptions::default()));
    is_send(&manager.get_by_blob(&lease, &layer, None, RefOptions::default()));
    is_send(&manager.prune(&cache_core::cache::PruneOptions::all()));
    is_send(&manager.get_mutable("x"));
    let snap = block_on(async { manager.create(None, RefOptions::default()).await.unwrap().commit().await.unwrap() });
    is_send(&snap.set_blob(&lease, &layer));
    is_send(&snap.mount());
    is_send(&snap.extract());
}
