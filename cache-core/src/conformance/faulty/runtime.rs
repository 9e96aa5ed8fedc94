//! Faulty pools and clocks.

use std::sync::PoisonError;
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;

use crate::conformance::faulty::{Fault, Faulty};
use crate::error::Result;
use crate::ports::{Clock, Job, Pool};
use crate::timestamp::Timestamp;

#[deny(clippy::missing_trait_methods)]
impl<T: Pool + ?Sized> Pool for Faulty<T> {
    fn spawn(&self, job: Job) -> Result<()> {
        match self.fault {
            Fault::RunsJobsInTurn => {
                let turn = std::sync::Arc::clone(&self.turn);
                self.inner.spawn(Box::new(move || {
                    let _turn = turn.lock().unwrap_or_else(PoisonError::into_inner);
                    job();
                }))
            }
            Fault::DropsJobs => Ok(()),
            _ => self.inner.spawn(job),
        }
    }
}

#[deny(clippy::missing_trait_methods)]
impl<T: Clock + ?Sized> Clock for Faulty<T> {
    fn now(&self) -> Timestamp {
        if self.has(Fault::ClockStoppedLongAgo) { Timestamp::UNIX_EPOCH } else { self.inner.now() }
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        match self.fault {
            Fault::SleepsEndAtOnce => futures::future::ready(()).boxed(),
            Fault::SleepsNeverEnd => futures::future::pending().boxed(),
            _ => self.inner.sleep(duration),
        }
    }
}
