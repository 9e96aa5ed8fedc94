//! What the crates need of a runtime: threads that may block, and time.

use std::fmt::Debug;
use std::time::Duration;

use async_trait::async_trait;
use futures::channel::oneshot;
use futures::future::BoxFuture;

use crate::error::{Error, ErrorKind, Result};
use crate::timestamp::Timestamp;

/// A job that may block.
pub type Job = Box<dyn FnOnce() + Send + 'static>;

/// Runs jobs that may block. It is elastic: jobs may wait for each other, so every job gets a thread.
pub trait Pool: Send + Sync + Debug + 'static {
    /// Runs `job` on a thread that may block.
    ///
    /// # Errors
    /// `Unavailable` if no thread can be had; the job does not run then.
    fn spawn(&self, job: Job) -> Result<()>;
}

/// Conveniences over a [`Pool`].
#[async_trait]
pub trait PoolExt: Pool {
    /// Runs `work` on a thread that may block, and gives its outcome.
    ///
    /// # Errors
    /// What `work` gives; `Unavailable` if no thread can be had; `Cancelled` if the work panicked.
    ///
    /// # Cancel safety
    /// Work that has begun runs to its end when the call is dropped.
    async fn run<T, F>(&self, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce() -> Result<T> + Send + 'static,
    {
        let (sender, receiver) = oneshot::channel();
        self.spawn(Box::new(move || drop(sender.send(work()))))?;
        receiver.await.unwrap_or_else(|_| Err(Error::new(ErrorKind::Cancelled, "run", "blocking work")))
    }
}

impl<P: Pool + ?Sized> PoolExt for P {}

/// Tells the time and waits.
pub trait Clock: Send + Sync + Debug + 'static {
    /// The time now.
    fn now(&self) -> Timestamp;

    /// A future that is ready after `duration`.
    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()>;
}
