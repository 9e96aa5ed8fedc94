//! Waiting for what ends soon, or else never.
//!
//! A broken backend may hang where a sound one answers, and a suite has to say so. Nothing here depends on how long a
//! sound backend takes, as long as it takes less than [`PATIENCE`].

use std::future::Future;
use std::time::Duration;

use crate::conformance::Unmet;
use crate::conformance::check::Violation;
use crate::conformance::executor::pause;

/// How often, and how long each time, a check waits for a backend before it calls it hung: four seconds, where a sound
/// one takes milliseconds.
pub(super) const PATIENCE: usize = 2000;
const STEP: Duration = Duration::from_millis(2);

/// Lets the threads of a backend run for a moment.
pub(super) async fn moment() {
    std::thread::sleep(STEP);
    pause().await;
}

/// What `future` gives, if it ends within patience.
pub(super) async fn patiently<T>(future: impl Future<Output = T>, promise: &str) -> Result<T, Unmet> {
    let mut future = std::pin::pin!(future);
    for _ in 0..PATIENCE {
        if let std::task::Poll::Ready(output) = futures::poll!(future.as_mut()) {
            return Ok(output);
        }
        moment().await;
    }
    Err(Violation::new(format!("{promise}: it does not end")).into())
}
