//! Futures of a snapshotter that are dropped at any await point.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

mod snapshot_support;

use std::collections::VecDeque;
use std::fmt;
use std::fs;
use std::future::Future;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use cache_core::ports::{Job, Pool, SnapshotKind, Snapshotter};
use cache_core::snapshot::NativeOptions;
use cache_core::{Labels, Result};
use pollster::block_on;
use snapshot_support::Fixture;

/// A pool whose jobs run when the test says so, or at once.
#[derive(Default)]
struct Stepped {
    /// `None`: at once.
    waiting: Mutex<Option<VecDeque<Job>>>,
}

impl fmt::Debug for Stepped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stepped").finish_non_exhaustive()
    }
}

impl Pool for Stepped {
    fn spawn(&self, job: Job) -> Result<()> {
        if let Some(waiting) = &mut *self.waiting.lock().unwrap() {
            waiting.push_back(job);
            return Ok(());
        }
        job();
        Ok(())
    }
}

impl Stepped {
    /// Runs one job; whether there was one.
    fn step(&self) -> bool {
        let job = self.waiting.lock().unwrap().as_mut().unwrap().pop_front();
        job.map(|job| job()).is_some()
    }

    /// Polls `future`, with one job after each poll, and drops it after `polls` of them; whether it was ready before. Then runs
    /// all jobs that are left.
    fn drop_after<F: Future>(&self, polls: usize, future: F) -> Option<F::Output> {
        *self.waiting.lock().unwrap() = Some(VecDeque::new());
        let outcome = {
            let mut future = pin!(future);
            (0..polls).find_map(|poll| match future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
                Poll::Ready(outcome) => Some(outcome),
                Poll::Pending if poll + 1 < polls => {
                    assert!(self.step(), "it waits for nothing");
                    None
                }
                Poll::Pending => None,
            })
        };
        while self.step() {}
        *self.waiting.lock().unwrap() = None;
        outcome
    }
}

fn fixture() -> (Arc<Stepped>, Fixture) {
    let pool = Arc::new(Stepped::default());
    let fixture = Fixture::native_with(Arc::clone(&pool) as Arc<dyn Pool>, NativeOptions::default());
    let root = fixture.prepare("a", None)[0].source.clone();
    for number in 0..10 {
        fs::write(root.join(format!("file-{number}")), "contents").unwrap();
    }
    fixture.commit("base", "a");
    (pool, fixture)
}

#[test]
fn a_dropped_prepare_leaves_nothing_or_a_whole_snapshot() {
    let mut polls = 0;
    loop {
        polls += 1;
        let (pool, fixture) = fixture();
        let prepared =
            pool.drop_after(polls, fixture.snapshotter.prepare(&fixture.lease, "copy", Some("base"), Labels::new()));
        match block_on(fixture.snapshotter.stat("copy")).unwrap() {
            None => assert_eq!(fixture.directories(), ["1"], "dropped after {polls} polls"),
            Some(_) => {
                assert_eq!(fixture.directories(), ["1", "2"], "dropped after {polls} polls");
                assert_eq!(snapshot_support::names(&fixture.snapshot_directory(2)).len(), 10);
            }
        }
        if let Some(outcome) = prepared {
            outcome.unwrap();
            break;
        }
        let again = block_on(fixture.snapshotter.prepare(&fixture.lease, "again", Some("base"), Labels::new()));
        again.unwrap();
    }
    assert!(polls > 3, "there were only {polls} await points");
}

#[test]
fn a_dropped_commit_happens_wholly_or_not_at_all() {
    let mut polls = 0;
    loop {
        polls += 1;
        let (pool, fixture) = fixture();
        fixture.prepare("copy", Some("base"));
        let committed =
            pool.drop_after(polls, fixture.snapshotter.commit(&fixture.lease, "name", "copy", Labels::new()));
        let active = block_on(fixture.snapshotter.stat("copy")).unwrap();
        let named = block_on(fixture.snapshotter.stat("name")).unwrap();
        match (active, named) {
            (Some(info), None) => assert_eq!(info.kind, SnapshotKind::Active),
            (None, Some(info)) => assert_eq!(info.kind, SnapshotKind::Committed),
            both => panic!("{both:?}"),
        }
        if let Some(outcome) = committed {
            outcome.unwrap();
            break;
        }
    }
    assert!(polls > 1);
}
