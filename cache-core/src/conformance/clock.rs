//! The clock by which a suite judges times.

use std::sync::Arc;
use std::time::Duration;

use crate::conformance::check::{Outcome, Violation};
use crate::memory::ManualClock;
use crate::ports::Clock;
use crate::timestamp::Timestamp;

/// A step that every clock can tell from none.
const TICK: Duration = Duration::from_millis(20);

/// The clock from which a subject takes its times.
#[derive(Clone, Debug)]
pub enum SuiteClock {
    /// The subject was given this clock; the suite moves it.
    Manual(Arc<ManualClock>),
    /// The subject has a clock of its own, with which this one agrees; the suite waits for real.
    Real(Arc<dyn Clock>),
}

impl SuiteClock {
    /// The time now.
    pub(super) fn now(&self) -> Timestamp {
        match self {
            Self::Manual(clock) => clock.now(),
            Self::Real(clock) => clock.now(),
        }
    }

    /// Lets `duration` pass.
    pub(super) async fn pass(&self, duration: Duration) {
        match self {
            Self::Manual(clock) => clock.advance(duration),
            Self::Real(clock) => clock.sleep(duration).await,
        }
    }

    /// Lets as much time pass as makes two times differ.
    pub(super) async fn tick(&self) {
        self.pass(TICK).await;
    }

    /// Opens a window in which something is to happen.
    pub(super) fn window(&self) -> Window<'_> {
        Window { clock: self, opened: self.now() }
    }
}

/// A stretch of time that began when it was opened and lasts until now.
#[derive(Debug)]
pub(super) struct Window<'a> {
    clock: &'a SuiteClock,
    opened: Timestamp,
}

impl Window<'_> {
    /// Requires that `found` lies between the opening of the window and now.
    #[track_caller]
    pub(super) fn require(&self, found: Timestamp, promise: &str) -> Outcome {
        let now = self.clock.now();
        if self.opened <= found && found <= now {
            return Ok(());
        }
        let opened = self.opened;
        Err(Violation::new(format!("{promise}: found {found}, wanted a time from {opened} to {now}")).into())
    }
}
