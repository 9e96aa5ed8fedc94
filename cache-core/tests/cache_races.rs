//! Another process acts at each moment of a prune.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

mod cache_support;

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

use cache_core::ErrorKind;
use cache_core::cache::{CacheManager, PruneOptions, Pruned, RefOptions, Retention, UsageOptions};
use cache_support::World;
use futures::future::{MaybeDone, maybe_done};
use pollster::block_on;

/// More polls than a prune of one ref takes.
const MANY: usize = 60;

/// More polls than anything takes that does not wait for the prune.
const ALONE: usize = 300;

/// The snapshot of the ref.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Snapshot {
    Active,
    Committed,
}

struct Race<'a> {
    world: &'a World,
    other: CacheManager,
    id: String,
}

/// For each moment: a world with one free ref, a prune that gets so far and stops there while `meanwhile` runs, and then
/// both to their end.
fn at_each_moment(
    snapshot: Snapshot,
    meanwhile: impl AsyncFn(&Race<'_>),
    mut judge: impl AsyncFnMut(&Race<'_>, Pruned),
) {
    for polls in 0..MANY {
        block_on(async {
            let world = World::new();
            let (manager, other) = (world.open().await, world.open().await);
            let snap = manager.create(None, RefOptions::default()).await.unwrap().commit().await.unwrap();
            if snapshot == Snapshot::Committed {
                snap.finalize().await.unwrap();
            }
            let race = Race { world: &world, other, id: snap.id().to_owned() };
            drop(snap);
            manager.flush().await;
            let options = PruneOptions::all();
            let mut prune = pin!(maybe_done(manager.prune(&options)));
            let mut meanwhile = pin!(maybe_done(meanwhile(&race)));
            advance(prune.as_mut(), polls);
            // It stops where the prune holds a lock that it wants; then both go on side by side.
            advance(meanwhile.as_mut(), ALONE);
            futures::join!(prune.as_mut(), meanwhile.as_mut());
            let pruned = prune.take_output().unwrap().unwrap();
            judge(&race, pruned).await;
        });
    }
}

fn advance<F: Future>(mut future: Pin<&mut MaybeDone<F>>, polls: usize) {
    for _ in 0..polls {
        if let Poll::Ready(()) = future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            return;
        }
    }
}

#[test]
fn a_ref_that_is_taken_up_during_a_prune_is_whole_or_gone() {
    let (mut whole, mut gone) = (0, 0);
    let taken = RefCell::new(None);
    at_each_moment(
        Snapshot::Committed,
        async |race| {
            let found = race.other.get(&race.id).await;
            *taken.borrow_mut() = Some(found);
        },
        async |race, pruned| {
            let found = taken.borrow_mut().take().unwrap();
            match found {
                Ok(snap) => {
                    assert_eq!(pruned.refs.len(), 0);
                    snap.refresh().await.unwrap();
                    race.world.collect().await;
                    snap.mounts().await.unwrap();
                    whole += 1;
                }
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::NotFound);
                    assert_eq!(pruned.refs.len(), 1);
                    gone += 1;
                }
            }
        },
    );
    assert!(whole > 0 && gone > 0, "{whole} {gone}");
}

#[test]
fn a_ref_that_gets_a_child_during_a_prune_stays_under_it() {
    let mut stayed = 0;
    at_each_moment(
        Snapshot::Committed,
        async |race| {
            if let Ok(snap) = race.other.get(&race.id).await {
                // Not noted as a use, so that nothing but the child tells of it.
                let child = race.other.create(Some(&snap), RefOptions::default()).await.unwrap();
                drop(child.commit().await.unwrap());
            }
        },
        async |race, _| {
            let refs = race.other.disk_usage(&UsageOptions::default()).await.unwrap();
            let ids: BTreeSet<_> = refs.iter().map(|usage| usage.id.as_str()).collect();
            assert!(refs.iter().flat_map(|usage| &usage.parents).all(|parent| ids.contains(parent.as_str())));
            stayed += usize::from(ids.len() == 2);
        },
    );
    assert!(stayed > 0, "{stayed}");
}

#[test]
fn a_ref_that_was_used_since_the_survey_stays() {
    let mut stayed = 0;
    at_each_moment(
        Snapshot::Committed,
        async |race| {
            drop(race.other.get(&race.id).await);
            race.other.flush().await;
        },
        async |race, pruned| {
            let found = race.other.get(&race.id).await;
            assert_eq!(found.is_ok(), pruned.refs.is_empty());
            stayed += usize::from(found.is_ok());
        },
    );
    assert!(stayed > 0, "{stayed}");
}

#[test]
fn a_ref_that_is_taken_back_during_a_prune_is_whole_or_gone_and_never_busy() {
    let (mut whole, mut gone) = (0, 0);
    let taken = RefCell::new(None);
    at_each_moment(
        Snapshot::Active,
        async |race| {
            let found = race.other.get_mutable(&race.id).await;
            *taken.borrow_mut() = Some(found);
        },
        async |race, pruned| {
            let found = taken.borrow_mut().take().unwrap();
            match found {
                Ok(mutable) => {
                    assert_eq!(pruned.refs.len(), 0);
                    race.world.collect().await;
                    mutable.mounts().await.unwrap();
                    whole += 1;
                }
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::NotFound);
                    assert_eq!(pruned.refs.len(), 1);
                    gone += 1;
                }
            }
        },
    );
    assert!(whole > 0 && gone > 0, "{whole} {gone}");
}

#[test]
fn a_ref_that_nobody_uses_is_not_in_use_while_another_process_looks() {
    at_each_moment(
        Snapshot::Active,
        async |race| {
            let refs = race.other.disk_usage(&UsageOptions::default()).await.unwrap();
            assert!(refs.iter().all(|usage| !usage.in_use));
        },
        async |_, pruned| assert_eq!(pruned.refs.len(), 1),
    );
}

#[test]
fn whoever_asks_for_a_mutable_ref_as_an_immutable_one_keeps_nobody_from_it() {
    for polls in 0..MANY {
        block_on(async {
            let world = World::new();
            let (manager, other) = (world.open().await, world.open().await);
            let options = RefOptions::default().with_retention(Retention::Retain);
            let id = manager.create(None, options).await.unwrap().id().to_owned();
            manager.flush().await;
            let mut asked = pin!(maybe_done(other.get(&id)));
            advance(asked.as_mut(), polls);
            let taken = manager.get_mutable(&id).await;
            assert!(taken.is_ok(), "after {polls} polls: {taken:?}");
            asked.as_mut().await;
            let kind = asked.take_output().unwrap().unwrap_err().kind();
            assert!(matches!(kind, ErrorKind::Busy | ErrorKind::Invalid), "after {polls} polls: {kind}");
        });
    }
}
