//! What refs take on disk, and their removal.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

mod cache_support;

use std::time::Duration;

use cache_core::ErrorKind;
use cache_core::cache::{
    CacheManager, Filter, ImmutableRef, PruneAction, PruneOptions, RecordType, RefOptions, Retention, UsageOptions,
};
use cache_support::{Form, World, prune, usage};
use pollster::block_on;

async fn written(world: &World, manager: &CacheManager, parent: Option<&ImmutableRef>, text: &str) -> ImmutableRef {
    described(world, manager, parent, text, RefOptions::default()).await
}

async fn described(
    world: &World,
    manager: &CacheManager,
    parent: Option<&ImmutableRef>,
    text: &str,
    options: RefOptions,
) -> ImmutableRef {
    let mutable = manager.create(parent, options.with_description(text)).await.unwrap();
    world.snapshots.write(&mutable.mounts().await.unwrap(), text);
    mutable.commit().await.unwrap()
}

async fn left(manager: &CacheManager) -> Vec<String> {
    let refs = manager.disk_usage(&UsageOptions::default()).await.unwrap();
    refs.into_iter().map(|usage| usage.description).collect()
}

/// BuildKit's TestPrune.
#[test]
fn prune_takes_what_neither_a_handle_nor_a_child_keeps() {
    block_on(async {
        let world = World::new();
        let manager = world.open().await;
        let snap = written(&world, &manager, None, "one").await;
        let snap2 = written(&world, &manager, Some(&snap), "two").await;
        assert_eq!(usage(&manager).await, (2, 0));
        assert_eq!(prune(&manager).await, 0);
        assert_eq!((usage(&manager).await, world.snapshots.keys().len()), ((2, 0), 2));

        drop(snap2);
        assert_eq!(usage(&manager).await, (1, 1));
        assert_eq!(prune(&manager).await, 1);
        assert_eq!((usage(&manager).await, world.snapshots.keys().len()), ((1, 0), 1));

        let snap2 = written(&world, &manager, Some(&snap), "two").await;
        drop(snap);
        assert_eq!(usage(&manager).await, (2, 0));
        assert_eq!(prune(&manager).await, 0);
        assert_eq!((usage(&manager).await, world.snapshots.keys().len()), ((2, 0), 2));

        drop(snap2);
        assert_eq!(usage(&manager).await, (0, 2));
        assert_eq!(prune(&manager).await, 2);
        assert_eq!((usage(&manager).await, world.snapshots.count()), ((0, 0), 0));
    });
}

#[test]
fn each_byte_is_counted_once_and_shared_things_are_marked() {
    block_on(async {
        let world = World::new();
        let manager = world.open().await;
        let lease = world.lease().await;
        let packed = world.layer(&lease, Form::Packed, "layer").await;
        let plain = world.layer(&lease, Form::Plain, "layer").await;
        let snap = written(&world, &manager, None, "layer").await;
        snap.set_blob(&lease, &packed).await.unwrap();
        world.clock.advance(Duration::from_secs(1));
        let twin = manager.get_by_blob(&lease, &plain, None, RefOptions::default()).await.unwrap();
        world.clock.advance(Duration::from_secs(1));
        let alone = written(&world, &manager, None, "alone").await;
        assert_eq!(twin.snapshot_key(), snap.snapshot_key());
        assert_eq!(twin.size().await.unwrap(), 5 + plain.descriptor.size, "a ref's own size counts all that it holds");

        let refs = manager.disk_usage(&UsageOptions::default()).await.unwrap();
        let ids: Vec<_> = refs.iter().map(|usage| usage.id.as_str()).collect();
        assert_eq!(ids, [snap.id(), twin.id(), alone.id()], "oldest first");
        let bytes: Vec<_> = refs.iter().map(|usage| usage.bytes).collect();
        assert_eq!(bytes, [5 + packed.descriptor.size, plain.descriptor.size, 5]);
        let shared: Vec<_> = refs.iter().map(|usage| usage.shared).collect();
        assert_eq!(shared, [true, true, false]);

        let in_image = UsageOptions::default().with_image_blobs([plain.descriptor.digest]);
        assert!(manager.disk_usage(&in_image).await.unwrap()[1].shared);
    });
}

#[test]
fn a_shared_snapshot_is_freed_with_the_last_ref_that_holds_it() {
    block_on(async {
        let world = World::new();
        let manager = world.open().await;
        let lease = world.lease().await;
        let packed = world.layer(&lease, Form::Packed, "layer").await;
        let plain = world.layer(&lease, Form::Plain, "layer").await;
        let snap = manager.get_by_blob(&lease, &packed, None, RefOptions::default()).await.unwrap();
        snap.extract().await.unwrap();
        let twin = manager.get_by_blob(&lease, &plain, None, RefOptions::default()).await.unwrap();
        drop(snap);
        let pruned = manager.prune(&PruneOptions::all()).await.unwrap();
        assert_eq!(pruned.refs.len(), 1);
        assert_eq!(pruned.refs[0].bytes, packed.descriptor.size, "the snapshot is still held");
        assert_eq!(world.snapshots.show(&twin.mounts().await.unwrap()), ["layer"]);
        drop(twin);
        assert_eq!(manager.prune(&PruneOptions::all()).await.unwrap().refs[0].bytes, 5 + plain.descriptor.size);
        assert_eq!(world.snapshots.count(), 0);
    });
}

#[test]
fn keep_bytes_removes_what_was_used_least_and_longest_ago_first() {
    block_on(async {
        let world = World::new();
        let manager = world.open().await;
        for text in ["aaaa", "bbbb", "cccc"] {
            world.clock.advance(Duration::from_secs(60));
            drop(written(&world, &manager, None, text).await);
        }
        manager.flush().await;
        let first = manager.disk_usage(&UsageOptions::default()).await.unwrap()[0].id.clone();
        for _ in 0..3 {
            world.clock.advance(Duration::from_secs(60));
            drop(manager.get(&first).await.unwrap());
        }
        let keep = |bytes| PruneOptions::all().with_keep_bytes(bytes);
        assert_eq!(manager.prune(&keep(12)).await.unwrap().refs.len(), 0);
        let pruned = manager.prune(&keep(11)).await.unwrap();
        assert_eq!(pruned.refs.iter().map(|usage| usage.description.as_str()).collect::<Vec<_>>(), ["bbbb"]);
        assert_eq!(manager.prune(&keep(1)).await.unwrap().refs.len(), 2);
    });
}

#[test]
fn keep_duration_spares_what_was_used_lately() {
    block_on(async {
        let world = World::new();
        let manager = world.open().await;
        drop(written(&world, &manager, None, "old").await);
        world.clock.advance(Duration::from_secs(100));
        drop(written(&world, &manager, None, "new").await);
        world.clock.advance(Duration::from_secs(10));
        manager.prune(&PruneOptions::all().with_keep_duration(Duration::from_secs(50))).await.unwrap();
        assert_eq!(left(&manager).await, ["new"]);
        manager.prune(&PruneOptions::all().with_keep_duration(Duration::from_secs(10))).await.unwrap();
        assert_eq!(left(&manager).await, [""; 0]);
    });
}

#[test]
fn ordinary_pruning_spares_internal_and_frontend_refs_and_what_images_hold() {
    block_on(async {
        let world = World::new();
        let manager = world.open().await;
        let lease = world.lease().await;
        for (text, record_type) in [("internal", RecordType::Internal), ("frontend", RecordType::Frontend)] {
            let options = RefOptions::default().with_record_type(record_type);
            drop(described(&world, &manager, None, text, options).await);
        }
        drop(written(&world, &manager, None, "regular").await);
        let blob = world.layer(&lease, Form::Packed, "image").await;
        let options = RefOptions::default().with_description("image");
        drop(manager.get_by_blob(&lease, &blob, None, options).await.unwrap());
        let ordinary = PruneOptions::default().with_image_blobs([blob.descriptor.digest]);
        assert_eq!(manager.prune(&ordinary).await.unwrap().refs.len(), 1);
        let mut left = left(&manager).await;
        left.sort();
        assert_eq!(left, ["frontend", "image", "internal"]);
        assert_eq!(prune(&manager).await, 3);
    });
}

#[test]
fn a_dry_run_tells_the_same_and_removes_nothing() {
    block_on(async {
        let world = World::new();
        let manager = world.open().await;
        let lower = written(&world, &manager, None, "lower").await;
        drop(written(&world, &manager, Some(&lower), "upper").await);
        drop(lower);
        let dry = manager.prune(&PruneOptions::all().with_action(PruneAction::DryRun)).await.unwrap();
        assert_eq!(dry.collected, None);
        assert_eq!(usage(&manager).await, (0, 2));
        let wet = manager.prune(&PruneOptions::all()).await.unwrap();
        assert_eq!(dry.refs, wet.refs);
        assert_eq!(wet.refs.iter().map(|usage| usage.description.as_str()).collect::<Vec<_>>(), ["upper", "lower"]);
        assert_eq!(wet.collected.unwrap().snapshots, 2);
    });
}

#[test]
fn filters_choose_by_field_and_flag() {
    block_on(async {
        let world = World::new();
        let manager = world.open().await;
        let lower = written(&world, &manager, None, "lower, quoted").await;
        let upper = written(&world, &manager, Some(&lower), "upper").await;
        let options = RefOptions::default().with_record_type(RecordType::CacheMount).with_retention(Retention::Retain);
        let mount = manager.create(None, options.with_description("npm")).await.unwrap();
        let id = upper.id().to_owned();
        drop((upper, lower));
        let chosen = async |filter: &str| {
            let options = UsageOptions::default().with_filter(filter.parse().unwrap());
            let refs = manager.disk_usage(&options).await.unwrap();
            let mut found: Vec<_> = refs.into_iter().map(|usage| usage.description).collect();
            found.sort();
            found.join("|")
        };
        assert_eq!(chosen("").await, "lower, quoted|npm|upper");
        assert_eq!(chosen(&format!("id=={id}")).await, "upper");
        assert_eq!(chosen("kind==base-layer").await, "lower, quoted|npm");
        assert_eq!(chosen("kind!=base-layer").await, "upper");
        assert_eq!(chosen("type==exec.cachemount").await, "npm");
        assert_eq!(chosen(r#"description=="lower, quoted""#).await, "lower, quoted");
        assert_eq!(chosen("parents").await, "upper");
        assert_eq!(chosen("inuse").await, "npm");
        assert_eq!(chosen("inuse==true,mutable").await, "npm");
        assert_eq!(chosen("inuse!=true,kind==base-layer").await, "lower, quoted");
        assert_eq!(chosen("immutable,private").await, "lower, quoted|upper");
        assert_eq!(chosen("shared").await, "");
        drop(mount);

        let two = ["type==exec.cachemount", "description==upper"].map(|filter| filter.parse::<Filter>().unwrap());
        let [one, other] = two;
        let pruned = manager.prune(&PruneOptions::all().with_filter(one).with_filter(other)).await.unwrap();
        assert_eq!(pruned.refs.len(), 2);
        assert_eq!(left(&manager).await, ["lower, quoted"]);
    });
}

#[test]
fn filters_that_make_no_sense_are_refused() {
    for filter in [
        "nonsense",
        "id=x",
        "id==",
        "id==a,",
        ",id",
        "id==a b",
        "description==\"open",
        r#"description=="\n""#,
        "id ",
        "description~=x",
        "id==\"a\"b",
        "ID==a",
    ] {
        assert_eq!(filter.parse::<Filter>().unwrap_err().kind(), ErrorKind::Invalid, "{filter}");
    }
    for filter in ["", "id", "id!=a", r#"description=="a\"\\b""#, "id==\"\"", "inuse,mutable,id==a"] {
        assert_eq!(filter.parse::<Filter>().unwrap().to_string(), filter);
    }
}
