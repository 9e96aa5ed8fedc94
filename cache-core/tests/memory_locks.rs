//! What the memory locks promise beyond their port: who waits longest is next.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

use cache_core::memory::MemoryLocks;
use cache_core::ports::{LockMode, Locks};
use futures::FutureExt;
use pollster::block_on;

#[test]
fn a_waiting_exclusive_holder_goes_before_later_shared_ones() {
    let locks = MemoryLocks::default();
    let shared = block_on(locks.acquire("a", LockMode::Shared)).unwrap();
    let mut exclusive = locks.acquire("a", LockMode::Exclusive);
    assert!((&mut exclusive).now_or_never().is_none());
    let mut late = locks.acquire("a", LockMode::Shared);
    assert!((&mut late).now_or_never().is_none());
    drop(shared);
    let exclusive = exclusive.now_or_never().unwrap().unwrap();
    assert!((&mut late).now_or_never().is_none());
    drop(exclusive);
    assert!(late.now_or_never().unwrap().is_ok());
}

#[test]
fn a_waiter_that_gives_up_does_not_stand_in_the_way() {
    let locks = MemoryLocks::default();
    let held = block_on(locks.acquire("a", LockMode::Shared)).unwrap();
    let mut exclusive = locks.acquire("a", LockMode::Exclusive);
    assert!((&mut exclusive).now_or_never().is_none());
    drop(exclusive);
    assert!(block_on(locks.try_acquire("a", LockMode::Shared)).unwrap().is_some());
    drop(held);
    assert!(block_on(locks.try_acquire("a", LockMode::Exclusive)).unwrap().is_some());
}

#[test]
fn a_waiter_that_gives_up_after_it_was_granted_lets_go() {
    let locks = MemoryLocks::default();
    let held = block_on(locks.acquire("a", LockMode::Exclusive)).unwrap();
    let mut waiter = locks.acquire("a", LockMode::Exclusive);
    assert!((&mut waiter).now_or_never().is_none());
    drop(held);
    drop(waiter);
    assert!(block_on(locks.try_acquire("a", LockMode::Exclusive)).unwrap().is_some());
}

#[test]
fn all_waiting_shared_holders_are_let_in_together() {
    let locks = MemoryLocks::default();
    let held = block_on(locks.acquire("a", LockMode::Exclusive)).unwrap();
    let mut waiters: Vec<_> = (0..3).map(|_| locks.acquire("a", LockMode::Shared)).collect();
    assert!(waiters.iter_mut().all(|waiter| waiter.now_or_never().is_none()));
    drop(held);
    let guards: Vec<_> = waiters.into_iter().map(|waiter| waiter.now_or_never().unwrap().unwrap()).collect();
    assert!(block_on(locks.try_acquire("a", LockMode::Exclusive)).unwrap().is_none());
    drop(guards);
    assert!(block_on(locks.try_acquire("a", LockMode::Exclusive)).unwrap().is_some());
}
