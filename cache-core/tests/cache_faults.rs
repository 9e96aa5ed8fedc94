//! Each call of a backend fails once, and each operation is dropped at each point where it waits.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

mod cache_support;

use cache_core::cache::{CacheManager, ImmutableRef, PruneOptions, RefOptions};
use cache_core::ports::Lease;
use cache_core::{Error, Layer, Result};
use cache_support::{Form, World, poll_at_most, prune, usage};
use pollster::block_on;

/// More than any of the operations makes; reaching it means that an operation never ends.
const MANY: usize = 400;

async fn write_step(manager: &CacheManager, world: &World, parent: Option<&ImmutableRef>) -> Result<ImmutableRef> {
    let mutable = manager.create(parent, RefOptions::default()).await?;
    world.snapshots.write(&mutable.mounts().await?, "written");
    mutable.commit().await.map_err(Error::from)
}

/// A build: a layer from a blob, a step on top, its blob, and a look at it.
async fn build(manager: &CacheManager, world: &World, lease: &Lease, layers: &[Layer; 2]) -> Result<Vec<String>> {
    let base = manager.get_by_blob(lease, &layers[0], None, RefOptions::default()).await?;
    let step = write_step(manager, world, Some(&base)).await?;
    step.set_blob(lease, &layers[1]).await?;
    Ok(world.snapshots.show(&step.mounts().await?))
}

async fn world_with_layers() -> (World, Lease, [Layer; 2]) {
    let world = World::new();
    let lease = world.lease().await;
    let base = world.layer(&lease, Form::Packed, "base").await;
    let step = world.layer(&lease, Form::Packed, "step").await;
    (world, lease, [base, step])
}

/// The same build works now, and everything can be pruned.
async fn works_and_leaves_nothing(world: &World, manager: &CacheManager, lease: &Lease, layers: &[Layer; 2]) {
    assert_eq!(build(manager, world, lease, layers).await.unwrap(), ["base", "written"]);
    manager.flush().await;
    prune(manager).await;
    assert_eq!(usage(manager).await, (0, 0));
    assert_eq!(world.leases().await, 1, "only the caller's lease is left");
    assert_eq!(world.snapshots.count(), 0);
}

#[test]
fn whatever_call_fails_the_error_is_told_and_the_next_try_works() {
    for same_process in [true, false] {
        let mut failed = 0;
        for number in 1..MANY {
            let done = block_on(async {
                let (world, lease, layers) = world_with_layers().await;
                let mut manager = world.open().await;
                world.steps.fail_at(number);
                let outcome = build(&manager, &world, &lease, &layers).await;
                let reached = world.steps.count() >= number;
                world.steps.never_fail();
                failed += usize::from(outcome.is_err());
                if !same_process {
                    drop(manager);
                    manager = world.open().await;
                }
                works_and_leaves_nothing(&world, &manager, &lease, &layers).await;
                !reached
            });
            if done {
                break;
            }
        }
        assert!((20..MANY - 1).contains(&failed), "{failed} calls could fail");
    }
}

#[test]
fn a_build_that_is_dropped_at_any_point_leaves_nothing_that_cannot_be_pruned() {
    for same_process in [true, false] {
        let mut dropped = 0;
        for polls in 0..MANY {
            let (world, lease, layers) = block_on(world_with_layers());
            let mut manager = block_on(world.open());
            let outcome = poll_at_most(polls, build(&manager, &world, &lease, &layers));
            block_on(async {
                if !same_process {
                    drop(manager);
                    manager = world.open().await;
                }
                works_and_leaves_nothing(&world, &manager, &lease, &layers).await;
            });
            if outcome.is_some() {
                break;
            }
            dropped = polls;
        }
        assert!((20..MANY - 1).contains(&dropped), "{dropped} points were tried");
    }
}

#[test]
fn a_creation_or_commit_that_is_dropped_at_any_point_leaves_nothing_visible() {
    for polls in 0..MANY {
        let world = World::new();
        let manager = block_on(world.open());
        let outcome = poll_at_most(polls, write_step(&manager, &world, None));
        let is_done = outcome.is_some();
        drop(outcome);
        block_on(async {
            manager.flush().await;
            world.collect().await;
            let expected = usize::from(is_done);
            assert_eq!(usage(&manager).await, (0, expected), "dropped at {polls}");
            assert_eq!((world.leases().await, world.snapshots.count()), (expected, expected), "dropped at {polls}");
        });
        if is_done {
            assert!(polls > 5);
            return;
        }
    }
    panic!("the step never ended");
}

#[test]
fn pruning_and_opening_can_fail_or_stop_anywhere_and_go_on_later() {
    for number in 1..MANY {
        let is_done = block_on(async {
            let (world, lease, layers) = world_with_layers().await;
            let manager = world.open().await;
            build(&manager, &world, &lease, &layers).await.unwrap();
            manager.flush().await;
            world.steps.fail_at(number);
            let failed = manager.prune(&PruneOptions::all()).await.is_err();
            world.steps.never_fail();
            drop(poll_at_most(number, manager.prune(&PruneOptions::all())));
            drop(manager);
            drop(poll_at_most(number, CacheManager::open(world.backends())));
            let manager = world.open().await;
            works_and_leaves_nothing(&world, &manager, &lease, &layers).await;
            !failed
        });
        if is_done {
            assert!(number > 10);
            return;
        }
    }
    panic!("pruning never ended");
}
