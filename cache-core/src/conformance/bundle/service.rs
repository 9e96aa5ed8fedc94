//! Threads, time, records and locks.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures::FutureExt;
use futures::channel::oneshot;

use crate::conformance::bundle::BundleSubject;
use crate::conformance::patience::{moment, patiently};
use crate::conformance::require::{require, require_equal, require_kind, require_some};
use crate::conformance::{Outcome, SuiteClock};
use crate::error::ErrorKind;
use crate::ports::{BatchOutcome, LockMode, MetadataChange, PoolExt, Precondition};

/// More jobs than a machine has processors, each of which waits for the one that was given last.
pub async fn jobs_may_wait_for_each_other(subject: BundleSubject) -> Outcome {
    const JOBS: usize = 64;
    let (started, done) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (release, waiting) = mpsc::channel::<()>();
    let waiting = Arc::new(Mutex::new(waiting));
    for _ in 0..JOBS {
        let (started, done, waiting) = (Arc::clone(&started), Arc::clone(&done), Arc::clone(&waiting));
        subject.backends.pool.spawn(Box::new(move || {
            started.fetch_add(1, Ordering::SeqCst);
            // It ends when the last job drops the sender.
            let _ = waiting.lock().unwrap_or_else(PoisonError::into_inner).recv();
            done.fetch_add(1, Ordering::SeqCst);
        }))?;
    }
    let (last, seen) = oneshot::channel();
    subject.backends.pool.spawn(Box::new(move || {
        drop(release);
        // Nobody listens any more where the check has given up.
        let _ = last.send(());
    }))?;
    let seen = patiently(seen, "the last job runs while all others wait for it").await?;
    require(seen.is_ok(), "a job runs to its end")?;
    let ended = patiently(
        async {
            while done.load(Ordering::SeqCst) < JOBS {
                moment().await;
            }
        },
        "every job ends",
    );
    ended.await?;
    require_equal(&started.load(Ordering::SeqCst), &JOBS, "every job runs once")
}

/// Work that panics is `Cancelled` for whoever waits for it; later work runs.
pub async fn a_job_that_fails_takes_no_other_with_it(subject: BundleSubject) -> Outcome {
    let pool = &*subject.backends.pool;
    for number in 0..4 {
        // A panic, without the noise of one.
        let failed = pool.run::<(), _>(|| std::panic::resume_unwind(Box::new("a job that fails")));
        let failed = patiently(failed, "work that panics ends").await?;
        require_kind(failed, ErrorKind::Cancelled, "work that panics is cancelled")?;
        let worked = patiently(pool.run(move || Ok(number + 1)), "later work ends").await??;
        require_equal(&worked, &(number + 1), "later work runs")?;
    }
    Ok(())
}

/// A sleep is not over before its time, and is after it.
pub async fn a_sleep_ends_after_its_time(subject: BundleSubject) -> Outcome {
    const LONG: Duration = Duration::from_secs(3600);
    const SHORT: Duration = Duration::from_millis(50);
    let clock = &subject.backends.clock;
    let mut long = clock.sleep(LONG);
    require((&mut long).now_or_never().is_none(), "a sleep is not over at once")?;
    let before = clock.now();
    let short = clock.sleep(SHORT);
    if let SuiteClock::Manual(manual) = &subject.clock {
        manual.advance(SHORT);
    }
    patiently(short, "a sleep ends after its time").await?;
    let slept = clock.now().duration_since(&before);
    require(slept >= SHORT, "a sleep is not over before its time")?;
    require((&mut long).now_or_never().is_none(), "a longer sleep goes on")
}

/// Under an exclusive lock a record is read and written by one after the other.
pub async fn records_and_locks_serve_each_other(subject: BundleSubject) -> Outcome {
    let (locks, metadata) = (&subject.backends.locks, &subject.backends.metadata);
    let turns = (0..8_u8).map(|turn| async move {
        let guard = locks.acquire("record", LockMode::Exclusive).await?;
        let record = metadata.get("record").await?;
        let mut value = record.map(|record| record.value.to_vec()).unwrap_or_default();
        moment().await;
        value.push(turn);
        let change = MetadataChange::Put {
            key: "record".to_owned(),
            value: value.into(),
            indexes: Vec::new(),
            precondition: Precondition::Any,
        };
        let outcome = metadata.apply(vec![change]).await?;
        drop(guard);
        require_equal(&outcome, &BatchOutcome::Applied, "a change that nothing forbids is made")
    });
    patiently(futures::future::try_join_all(turns), "every task gets its turn").await??;
    let record = require_some(metadata.get("record").await?, "the record is there")?;
    let mut value = Vec::from(record.value);
    value.sort_unstable();
    require_equal(&Bytes::from(value), &Bytes::from_iter(0..8), "under an exclusive lock no change is lost")
}
