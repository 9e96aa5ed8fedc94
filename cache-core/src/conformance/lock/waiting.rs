//! Waiting for a lock.

use std::sync::atomic::{AtomicUsize, Ordering};

use futures::future::try_join_all;

use crate::conformance::executor::pause;
use crate::conformance::lock::{LockSubject, had, refused};
use crate::conformance::patience::patiently;
use crate::conformance::require::require;
use crate::conformance::{Outcome, Unmet};
use crate::ports::LockMode;

/// How often a wait is polled before it counts as one.
const POLLS: usize = 50;

/// A wait goes on while the lock is held and ends after it was let go.
pub async fn acquire_waits_for_its_turn(subject: LockSubject) -> Outcome {
    for (held, wanted) in [
        (LockMode::Exclusive, LockMode::Exclusive),
        (LockMode::Exclusive, LockMode::Shared),
        (LockMode::Shared, LockMode::Exclusive),
    ] {
        let guard = had(&*subject.first, "name", held).await?;
        let mut wait = subject.second.acquire("name", wanted);
        for _ in 0..POLLS {
            require(futures::poll!(wait.as_mut()).is_pending(), "acquire waits while the lock is held")?;
            pause().await;
        }
        drop(guard);
        let guard = patiently(wait, "acquire ends after the lock was let go").await??;
        refused(&*subject.first, "name", LockMode::Exclusive).await?;
        drop(guard);
    }
    Ok(())
}

/// A lock that can be had is had, in both modes and beside shared holders.
pub async fn acquire_does_not_wait_without_need(subject: LockSubject) -> Outcome {
    const PROMISE: &str = "acquire ends where nobody excludes it";
    drop(patiently(subject.first.acquire("name", LockMode::Exclusive), PROMISE).await??);
    let first = patiently(subject.first.acquire("name", LockMode::Shared), PROMISE).await??;
    let second = patiently(subject.second.acquire("name", LockMode::Shared), PROMISE).await??;
    refused(&*subject.first, "name", LockMode::Exclusive).await?;
    drop((first, second));
    Ok(())
}

/// A wait that is dropped does not get the lock later, nor stand in the way of others.
pub async fn a_dropped_wait_holds_nothing(subject: LockSubject) -> Outcome {
    for mode in [LockMode::Exclusive, LockMode::Shared] {
        let guard = had(&*subject.first, "name", LockMode::Exclusive).await?;
        let mut wait = subject.second.acquire("name", mode);
        require(futures::poll!(wait.as_mut()).is_pending(), "acquire waits while the lock is held")?;
        drop(wait);
        refused(&*subject.second, "name", LockMode::Shared).await?;
        drop(guard);
        // A backend whose dropped wait is still on a thread of its own may hold the lock for a moment.
        for locks in [&subject.second, &subject.first] {
            let wait = locks.acquire("name", LockMode::Exclusive);
            drop(patiently(wait, "a dropped wait does not stand in the way").await??);
        }
    }
    let guard = had(&*subject.first, "unwaited", LockMode::Exclusive).await?;
    drop(subject.second.acquire("unwaited", LockMode::Exclusive));
    drop(guard);
    had(&*subject.first, "unwaited", LockMode::Exclusive).await.map(drop)
}

/// Tasks that take the lock by turns are never inside together.
pub async fn of_many_tasks_one_is_inside(subject: LockSubject) -> Outcome {
    let inside = AtomicUsize::new(0);
    let (inside, subject) = (&inside, &subject);
    let tasks = (0..8).map(|number| async move {
        let locks = if number % 2 == 0 { &subject.first } else { &subject.second };
        for _ in 0..5 {
            let guard = locks.acquire("name", LockMode::Exclusive).await?;
            require(inside.fetch_add(1, Ordering::SeqCst) == 0, "an exclusive holder is alone")?;
            pause().await;
            inside.fetch_sub(1, Ordering::SeqCst);
            drop(guard);
        }
        Ok::<(), Unmet>(())
    });
    patiently(try_join_all(tasks), "every task gets its turn").await?.map(drop)
}
