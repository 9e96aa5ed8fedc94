//! Many threads and two managers build, look and prune at once.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

mod cache_support;

use std::sync::Barrier;
use std::thread;

use cache_core::cache::{CacheManager, PruneOptions, RefOptions, UsageOptions};
use cache_core::ports::{Lease, LeaseManager};
use cache_core::{Error, ErrorKind, Layer};
use cache_support::{Form, World, prune, usage};
use pollster::block_on;

const ROUNDS: usize = 60;

async fn build(world: &World, manager: &CacheManager, lease: &Lease, layers: &[Layer], text: &str) {
    let mut top = None;
    for layer in layers {
        let made = manager.get_by_blob(lease, layer, top.as_ref(), RefOptions::default().with_image_name(text)).await;
        top = Some(made.unwrap());
    }
    let step = manager.create(top.as_ref(), RefOptions::default()).await.unwrap();
    world.snapshots.write(&step.mounts().await.unwrap(), text);
    let step = step.commit().await.map_err(Error::from).unwrap();
    let blob = world.layer(lease, Form::Packed, text).await;
    assert_eq!(step.set_blob(lease, &blob).await.unwrap(), blob);
    let shown = world.snapshots.show(&step.mounts().await.unwrap());
    assert_eq!(shown, ["one", "two", "three", text]);
    let id = step.id().to_owned();
    drop((step, top));
    // Somebody may have pruned it.
    match manager.get(&id).await {
        Ok(step) => assert_eq!(world.snapshots.show(&step.mounts().await.unwrap()), shown),
        Err(error) => assert_eq!(error.kind(), ErrorKind::NotFound),
    }
}

#[test]
fn builds_and_pruning_in_many_threads_never_disturb_each_other() {
    let world = World::new();
    let managers = block_on(async { [world.open().await, world.open().await] });
    let lease = block_on(world.lease());
    let texts = ["one", "two", "three"];
    let layers: Vec<_> = texts.iter().map(|text| block_on(world.layer(&lease, Form::Packed, text))).collect();
    let start = Barrier::new(6);
    thread::scope(|scope| {
        for number in 0..4 {
            let (world, manager, lease, layers, start) = (&world, &managers[number % 2], &lease, &layers, &start);
            scope.spawn(move || {
                start.wait();
                for round in 0..ROUNDS {
                    block_on(build(world, manager, lease, layers, &format!("{number}-{round}")));
                }
            });
        }
        for manager in &managers {
            let start = &start;
            scope.spawn(move || {
                start.wait();
                for _ in 0..ROUNDS {
                    block_on(manager.prune(&PruneOptions::all())).unwrap();
                    block_on(manager.disk_usage(&UsageOptions::default())).unwrap();
                }
            });
        }
    });
    block_on(async {
        for manager in &managers {
            manager.flush().await;
        }
        world.memory.leases.delete(lease.id()).await.unwrap();
        prune(&managers[0]).await;
        assert_eq!(usage(&managers[1]).await, (0, 0));
        assert_eq!((world.leases().await, world.snapshots.count(), world.blobs().await.len()), (0, 0, 0));
    });
}
