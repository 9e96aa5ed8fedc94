//! Locks by name, behind the port.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::error::{Error, ErrorKind, Result};
use crate::local::engine::Engine;
use crate::local::named_locks::NamedLock;
use crate::memory::MemoryLocks;
use crate::ports::{LockGuard, LockMode, Locks};

/// How long another process's lock is left alone before it is tried again: at first, and at most. A thread that waits in flock(2)
/// could not be called back when its caller gives up.
const FIRST_WAIT: Duration = Duration::from_millis(1);
const LONGEST_WAIT: Duration = Duration::from_millis(20);

/// The locks of a [`Local`](crate::local::Local) store. Among the tasks of this opening, whoever waits longest is next.
#[derive(Debug)]
pub struct LocalLocks {
    engine: Arc<Engine>,
    /// Asked first, so that tasks of one process wait without threads and at most one of them tries the file.
    tasks: MemoryLocks,
}

/// A held lock. Processes are let in before the tasks of this one.
#[derive(Debug)]
struct Guard {
    _file: NamedLock,
    _task: Box<dyn LockGuard>,
}

impl LockGuard for Guard {}

impl LocalLocks {
    pub(super) fn new(engine: Arc<Engine>) -> Self {
        Self { engine, tasks: MemoryLocks::default() }
    }
}

#[async_trait]
impl Locks for LocalLocks {
    async fn acquire(&self, name: &str, mode: LockMode) -> Result<Box<dyn LockGuard>> {
        let task = self.tasks.acquire(name, mode).await?;
        let owned_name = name.to_owned();
        let file = self.engine.run_on_lock(name, move |store, call| {
            let mut wait = FIRST_WAIT;
            loop {
                // Refused by who only looks, it waits as for any holder.
                if let Some(lock) = store.try_lock_once(&owned_name, mode)? {
                    return Ok(lock);
                }
                if !call.pause(wait) {
                    return Err(Error::new(ErrorKind::Cancelled, "acquire lock", owned_name.escape_debug()));
                }
                wait = (2 * wait).min(LONGEST_WAIT);
            }
        });
        Ok(Box::new(Guard { _file: file.await?, _task: task }))
    }

    async fn try_acquire(&self, name: &str, mode: LockMode) -> Result<Option<Box<dyn LockGuard>>> {
        let Some(task) = self.tasks.try_acquire(name, mode).await? else { return Ok(None) };
        let owned_name = name.to_owned();
        let file = self.engine.run_on_lock(name, move |store, call| {
            call.wait_for_abandoned();
            store.try_lock(&owned_name, mode)
        });
        let file = file.await?;
        Ok(file.map(|file| Box::new(Guard { _file: file, _task: task }) as Box<dyn LockGuard>))
    }

    async fn holder(&self, name: &str) -> Result<Option<LockMode>> {
        let owned_name = name.to_owned();
        self.engine
            .run_on_lock(name, move |store, call| {
                call.wait_for_abandoned();
                store.lock_holder(&owned_name)
            })
            .await
    }
}
