//! The system's clock.

use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::channel::oneshot;
use futures::future::BoxFuture;

use crate::ports::{Clock, Pool};
use crate::timestamp::Timestamp;

/// The wall clock, and sleeps on threads of a [`Pool`], so that it needs no runtime.
#[derive(Debug)]
pub struct SystemClock {
    pool: Arc<dyn Pool>,
}

impl SystemClock {
    /// A clock whose sleeps wait on threads of `pool`.
    pub fn new(pool: Arc<dyn Pool>) -> Self {
        Self { pool }
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        let (sender, receiver) = oneshot::channel::<()>();
        let job = Box::new(move || {
            std::thread::sleep(duration);
            // The sleeper may be gone; then nobody is to be woken.
            let _ = sender.send(());
        });
        if let Err(error) = self.pool.spawn(job) {
            tracing::warn!(%error, "a sleep ends at once: its thread could not be had");
        }
        receiver.map(drop).boxed()
    }
}
