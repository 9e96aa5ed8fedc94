//! Dropping the future of a packing, at any point.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

mod pack_rig;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use cache_blobs::pack::{Budget, PackOptions, PackTarget, PackWriter, Packed, PackedVariants, pack, pack_variants};
use cache_core::Result;
use cache_core::ports::Pool;
use futures::future::{Either, join_all, select};
use futures::pin_mut;
use pack_rig::{Fate, Pace, budget, data, pool, same_bytes, sink, until, write_all};
use pollster::block_on;

/// Drops what it runs at its `polls`-th poll, unless that has ended.
struct DropAt<F> {
    future: Option<Pin<Box<F>>>,
    polls: usize,
}

fn drop_at<F: Future>(polls: usize, future: F) -> DropAt<F> {
    DropAt { future: Some(Box::pin(future)), polls }
}

impl<F: Future> Future for DropAt<F> {
    type Output = Option<F::Output>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        if self.polls == 0 {
            self.future = None;
            return Poll::Ready(None);
        }
        self.polls -= 1;
        match self.future.as_mut().unwrap().as_mut().poll(context) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            Poll::Pending => {
                context.waker().wake_by_ref();
                Poll::Pending
            }
        }
    }
}

/// Counts the producers that run.
struct Running(Arc<AtomicUsize>);

impl Running {
    fn new(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::SeqCst);
        Self(Arc::clone(count))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

async fn pack_data(
    budget: &Budget,
    pool: &Arc<dyn Pool>,
    running: &Arc<AtomicUsize>,
    (bytes, seed, pace): (usize, u32, Pace),
) -> (Result<Packed<()>>, Fate) {
    let (ingest, seen) = sink(pace);
    let running = Running::new(running);
    let produce = move |writer: &mut PackWriter| {
        let _running = running;
        write_all(writer, &data(bytes, seed))
    };
    let outcome = pack(budget, pool, &same_bytes(1000), ingest, PackOptions::default(), produce).await;
    let fate = seen.lock().unwrap().fate.clone();
    (outcome, fate)
}

#[test]
fn a_packing_dropped_at_any_await_point_leaves_nothing() {
    let (budget, pool, running) = (budget(2, 20_000), pool(), Arc::default());
    let mut dropped = 0;
    for polls in 0.. {
        let (ingest, seen) = sink(Pace::Slow(2));
        let guard = Running::new(&running);
        let produce = move |writer: &mut PackWriter| {
            let _running = guard;
            write_all(writer, &data(30_000, 1))
        };
        let codec = same_bytes(1000);
        let packing = pack(&budget, &pool, &codec, ingest, PackOptions::default(), produce);
        let outcome = block_on(drop_at(polls, packing));
        until(|| budget.usage().used_bytes == 0 && running.load(Ordering::SeqCst) == 0);
        let fate = seen.lock().unwrap().fate.clone();
        if let Some(outcome) = outcome {
            outcome.unwrap();
            assert!(matches!(fate, Fate::Committed(_)));
            break;
        }
        dropped += 1;
        assert_eq!(fate, Fate::Dropped, "dropped at poll {polls}");
    }
    assert!(dropped > 30, "{dropped} await points");
}

#[test]
fn a_stalled_sink_holds_up_no_other_layer_and_lets_go_when_it_is_dropped() {
    let (budget, pool, running) = (budget(1, 20_000), pool(), Arc::default());
    block_on(async {
        let stalled = pack_data(&budget, &pool, &running, (1 << 20, 1, Pace::StallsAfter(5000)));
        let others = async {
            for seed in 0..20 {
                let (outcome, fate) = pack_data(&budget, &pool, &running, (100_000, seed, Pace::Fast)).await;
                outcome.unwrap();
                assert!(matches!(fate, Fate::Committed(_)));
            }
        };
        pin_mut!(stalled, others);
        match select(stalled, others).await {
            Either::Left(_) => panic!("a stalled sink never ends"),
            Either::Right(((), _stalled)) => {}
        }
    });
    until(|| budget.usage().used_bytes == 0 && running.load(Ordering::SeqCst) == 0);
}

#[test]
fn sixty_four_layers_on_two_workers_with_stalled_sinks_and_random_drops_all_end() {
    for round in 0..5_usize {
        // Room for the minimum of 32 layers: the 16 that stall keep theirs.
        let (budget, pool, running) = (budget(2, 64_000), pool(), Arc::default());
        let mut state = round.wrapping_mul(0x9e37_79b9) | 1;
        let mut random = move |below: usize| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state % below
        };
        let mut moving = Vec::new();
        let mut stalling = Vec::new();
        for layer in 0..64_u32 {
            let bytes = 1 + random(60_000);
            match layer % 4 {
                0 => stalling.push(pack_data(&budget, &pool, &running, (100_000, layer, Pace::StallsAfter(bytes)))),
                1 => {
                    let packing = pack_data(&budget, &pool, &running, (bytes, layer, Pace::Slow(3)));
                    moving.push(drop_at(random(40), packing));
                }
                2 => {
                    moving.push(drop_at(usize::MAX, pack_data(&budget, &pool, &running, (bytes, layer, Pace::Slow(5)))))
                }
                _ => moving.push(drop_at(usize::MAX, pack_data(&budget, &pool, &running, (bytes, layer, Pace::Fast)))),
            }
        }
        let outcomes = block_on(async {
            let (moving, stalling) = (join_all(moving), join_all(stalling));
            pin_mut!(moving, stalling);
            match select(moving, stalling).await {
                Either::Left((outcomes, _stalling)) => outcomes,
                Either::Right(_) => panic!("a stalled sink never ends"),
            }
        });
        assert_eq!(outcomes.len(), 48);
        for (outcome, fate) in outcomes.into_iter().flatten() {
            outcome.unwrap();
            assert!(matches!(fate, Fate::Committed(_)));
        }
        until(|| budget.usage().used_bytes == 0 && running.load(Ordering::SeqCst) == 0);
        assert!(budget.usage().peak_bytes <= 64_000);
    }
}

/// Packs the same into a sink of each of `paces`.
async fn pack_several(
    budget: &Budget,
    pool: &Arc<dyn Pool>,
    running: &Arc<AtomicUsize>,
    (bytes, seed, paces): (usize, u32, [Pace; 3]),
) -> (Result<PackedVariants<()>>, Vec<Fate>) {
    let codecs = [same_bytes(1000), same_bytes(300), same_bytes(700)];
    let (ingests, seen): (Vec<_>, Vec<_>) = paces.map(sink).into_iter().unzip();
    let target = |(codec, ingest)| PackTarget { codec, ingest, options: PackOptions::default() };
    let targets = codecs.iter().map(|codec| codec as _).zip(ingests).map(target).collect();
    let running = Running::new(running);
    let produce = move |writer: &mut PackWriter| {
        let _running = running;
        write_all(writer, &data(bytes, seed))
    };
    let outcome = pack_variants(budget, pool, targets, produce).await;
    (outcome, seen.iter().map(|seen| seen.lock().unwrap().fate.clone()).collect())
}

#[test]
fn a_packing_of_several_variants_dropped_at_any_await_point_leaves_nothing() {
    let (budget, pool, running) = (budget(2, 20_000), pool(), Arc::default());
    let mut dropped = 0;
    for polls in 0.. {
        let codecs = [same_bytes(1000), same_bytes(300)];
        let (ingests, seen): (Vec<_>, Vec<_>) = [Pace::Slow(2), Pace::Slow(3)].map(sink).into_iter().unzip();
        let target = |(codec, ingest)| PackTarget { codec, ingest, options: PackOptions::default() };
        let targets = codecs.iter().map(|codec| codec as _).zip(ingests).map(target).collect();
        let guard = Running::new(&running);
        let produce = move |writer: &mut PackWriter| {
            let _running = guard;
            write_all(writer, &data(30_000, 1))
        };
        let outcome = block_on(drop_at(polls, pack_variants(&budget, &pool, targets, produce)));
        until(|| budget.usage().used_bytes == 0 && running.load(Ordering::SeqCst) == 0);
        let fates: Vec<_> = seen.iter().map(|seen| seen.lock().unwrap().fate.clone()).collect();
        if let Some(outcome) = outcome {
            outcome.unwrap();
            assert!(fates.iter().all(|fate| matches!(fate, Fate::Committed(_))));
            break;
        }
        dropped += 1;
        assert_eq!(fates, [Fate::Dropped, Fate::Dropped], "dropped at poll {polls}");
    }
    assert!(dropped > 30, "{dropped} await points");
}

#[test]
fn thirty_two_layers_of_three_variants_on_two_workers_with_stalled_sinks_and_random_drops_all_end() {
    for round in 0..5_u32 {
        // Each owns 4000 bytes: room for 12, of which 8 stall.
        let (budget, pool, running) = (budget(2, 48_000), pool(), Arc::default());
        let mut moving = Vec::new();
        let mut stalling = Vec::new();
        for layer in 0..32_u32 {
            let seed = layer + round * 100;
            let bytes = 1 + seed.wrapping_mul(0x9e37_79b9) as usize % 60_000;
            let fast = [Pace::Fast; 3];
            match layer % 4 {
                0 => {
                    let stalls = [Pace::Slow(2), Pace::StallsAfter(bytes), Pace::Fast];
                    stalling.push(pack_several(&budget, &pool, &running, (100_000, seed, stalls)));
                }
                1 => {
                    let slow = [Pace::Slow(3), Pace::Fast, Pace::Slow(5)];
                    let packing = pack_several(&budget, &pool, &running, (bytes, seed, slow));
                    moving.push(drop_at(bytes % 40, packing));
                }
                _ => moving.push(drop_at(usize::MAX, pack_several(&budget, &pool, &running, (bytes, seed, fast)))),
            }
        }
        let outcomes = block_on(async {
            let (moving, stalling) = (join_all(moving), join_all(stalling));
            pin_mut!(moving, stalling);
            match select(moving, stalling).await {
                Either::Left((outcomes, _stalling)) => outcomes,
                Either::Right(_) => panic!("a stalled sink never ends"),
            }
        });
        assert_eq!(outcomes.len(), 24);
        for (outcome, fates) in outcomes.into_iter().flatten() {
            outcome.unwrap();
            assert!(fates.iter().all(|fate| matches!(fate, Fate::Committed(_))));
        }
        until(|| budget.usage().used_bytes == 0 && running.load(Ordering::SeqCst) == 0);
        assert!(budget.usage().peak_bytes <= 48_000);
    }
}
