//! Looking how a lock is held.

use crate::conformance::Outcome;
use crate::conformance::executor::pause;
use crate::conformance::lock::{LockSubject, had};
use crate::conformance::patience::patiently;
use crate::conformance::require::require_equal;
use crate::ports::LockMode;

/// How often a look is polled, and the lock taken in between.
const POLLS: usize = 10;

/// How many looks there are.
const LOOKS: usize = 10;

/// A look tells how the lock is held, whoever holds it, and of no holder after the last let go.
pub async fn a_look_tells_how_a_lock_is_held(subject: LockSubject) -> Outcome {
    let (first, second) = (&*subject.first, &*subject.second);
    for mode in [LockMode::Shared, LockMode::Exclusive] {
        let held = had(first, "name", mode).await?;
        for locks in [first, second] {
            require_equal(&locks.holder("name").await?, &Some(mode), "the holder")?;
            require_equal(&locks.holder("another").await?, &None, "the holder of another lock")?;
        }
        drop(held);
        for locks in [first, second] {
            require_equal(&locks.holder("name").await?, &None, "the holder after it let go")?;
        }
    }
    let held = (had(first, "name", LockMode::Shared).await?, had(second, "name", LockMode::Shared).await?);
    require_equal(&first.holder("name").await?, &Some(LockMode::Shared), "the holders")?;
    drop(held.0);
    require_equal(&first.holder("name").await?, &Some(LockMode::Shared), "the holder that is left")
}

/// While somebody looks, a lock that nobody holds can be had, in both modes, and other looks see nobody.
pub async fn a_look_is_no_holder(subject: LockSubject) -> Outcome {
    let (first, second) = (&*subject.first, &*subject.second);
    for _ in 0..LOOKS {
        for mode in [LockMode::Exclusive, LockMode::Shared] {
            let mut look = second.holder("name");
            for _ in 0..POLLS {
                if let std::task::Poll::Ready(seen) = futures::poll!(look.as_mut()) {
                    seen?;
                    look = second.holder("name");
                }
                // What the look sees depends on who was first; what it does must not be seen.
                drop(had(first, "name", mode).await?);
            }
            for _ in 0..POLLS {
                if futures::poll!(look.as_mut()).is_ready() {
                    look = second.holder("name");
                }
                require_equal(&first.holder("name").await?, &None, "the holder while somebody looks")?;
                pause().await;
            }
            patiently(look, "a look ends").await??;
        }
    }
    Ok(())
}
