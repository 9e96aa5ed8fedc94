//! Who excludes whom.

use crate::conformance::Outcome;
use crate::conformance::lock::{LockSubject, had, refused};
use crate::ports::LockMode;

/// An exclusive holder excludes both modes, by either way of asking.
pub async fn an_exclusive_holder_is_alone(subject: LockSubject) -> Outcome {
    let (first, second) = (&*subject.first, &*subject.second);
    let held = had(first, "name", LockMode::Exclusive).await?;
    for mode in [LockMode::Shared, LockMode::Exclusive] {
        refused(second, "name", mode).await?;
        refused(first, "name", mode).await?;
    }
    drop(held);
    let held = second.acquire("name", LockMode::Exclusive).await?;
    refused(first, "name", LockMode::Shared).await?;
    drop(held);
    Ok(())
}

/// Shared holders exclude an exclusive one, until the last of them lets go.
pub async fn shared_holders_stand_beside_each_other(subject: LockSubject) -> Outcome {
    let (first, second) = (&*subject.first, &*subject.second);
    let one = had(first, "name", LockMode::Shared).await?;
    let two = had(second, "name", LockMode::Shared).await?;
    let three = first.acquire("name", LockMode::Shared).await?;
    for guard in [one, two, three] {
        refused(first, "name", LockMode::Exclusive).await?;
        refused(second, "name", LockMode::Exclusive).await?;
        drop(guard);
    }
    had(second, "name", LockMode::Exclusive).await.map(drop)
}

/// A guard that is dropped lets go before the drop returns, again and again.
pub async fn a_dropped_guard_lets_go_at_once(subject: LockSubject) -> Outcome {
    let (first, second) = (&*subject.first, &*subject.second);
    for _ in 0..20 {
        for mode in [LockMode::Exclusive, LockMode::Shared] {
            drop(had(first, "name", LockMode::Exclusive).await?);
            drop(had(second, "name", mode).await?);
        }
    }
    Ok(())
}
