//! Locks among the tasks of one process.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use futures::channel::oneshot;

use crate::error::{Error, ErrorKind, Result};
use crate::ports::{LockGuard, LockMode, Locks};

/// Locks in memory: they exclude the tasks of this process. Whoever waits longest is next, so that shared holders
/// cannot starve an exclusive one.
#[derive(Debug, Default)]
pub struct MemoryLocks {
    table: Arc<Table>,
}

#[derive(Debug, Default)]
struct Table(Mutex<BTreeMap<String, Lock>>);

#[derive(Debug, Default)]
struct Lock {
    holders: Holders,
    waiting: VecDeque<(LockMode, oneshot::Sender<Guard>)>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Holders {
    #[default]
    Nobody,
    Shared(usize),
    Exclusive,
}

impl Holders {
    /// The holders with one more in `mode`; `None` if they exclude it.
    fn with(self, mode: LockMode) -> Option<Self> {
        match (self, mode) {
            (Self::Nobody, LockMode::Shared) => Some(Self::Shared(1)),
            (Self::Shared(count), LockMode::Shared) => Some(Self::Shared(count + 1)),
            (Self::Nobody, LockMode::Exclusive) => Some(Self::Exclusive),
            (Self::Shared(_), LockMode::Exclusive) | (Self::Exclusive, _) => None,
        }
    }

    /// How they hold it.
    fn mode(self) -> Option<LockMode> {
        match self {
            Self::Nobody => None,
            Self::Shared(_) => Some(LockMode::Shared),
            Self::Exclusive => Some(LockMode::Exclusive),
        }
    }

    /// The holders without one of them.
    fn without(self) -> Self {
        match self {
            Self::Shared(count) if count > 1 => Self::Shared(count - 1),
            Self::Shared(_) | Self::Exclusive | Self::Nobody => Self::Nobody,
        }
    }
}

/// A held lock.
#[derive(Debug)]
struct Guard {
    table: Arc<Table>,
    name: String,
}

impl LockGuard for Guard {}

impl Drop for Guard {
    fn drop(&mut self) {
        let granted = self.table.release(&self.name);
        for (sender, guard) in granted.into_iter().map(|sender| (sender, self.again())) {
            // A waiter that gave up meanwhile gives its guard back, which lets go of the lock in turn.
            drop(sender.send(guard));
        }
    }
}

impl Guard {
    fn again(&self) -> Self {
        Self { table: Arc::clone(&self.table), name: self.name.clone() }
    }
}

impl Table {
    /// Nothing panics under the lock, so a poisoned one guards a sound state.
    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Lock>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets one holder go, and gives the waiters that hold the lock instead.
    fn release(&self, name: &str) -> Vec<oneshot::Sender<Guard>> {
        let mut table = self.lock();
        let Some(lock) = table.get_mut(name) else { return Vec::new() };
        lock.holders = lock.holders.without();
        let mut granted = Vec::new();
        while let Some((mode, sender)) = lock.waiting.pop_front() {
            if sender.is_canceled() {
                continue;
            }
            let Some(holders) = lock.holders.with(mode) else {
                lock.waiting.push_front((mode, sender));
                break;
            };
            lock.holders = holders;
            granted.push(sender);
        }
        if lock.holders == Holders::Nobody && lock.waiting.is_empty() {
            table.remove(name);
        }
        granted
    }
}

/// How an attempt ended.
enum Attempt {
    Held(Guard),
    Queued(oneshot::Receiver<Guard>),
    Refused,
}

/// What to do where the lock cannot be had now.
#[derive(Clone, Copy)]
enum Otherwise {
    Wait,
    GiveUp,
}

fn refuse_empty(name: &str) -> Result<()> {
    if name.is_empty() {
        return Err(Error::new(ErrorKind::Invalid, "acquire lock", "the empty name"));
    }
    Ok(())
}

impl MemoryLocks {
    fn attempt(&self, name: &str, mode: LockMode, otherwise: Otherwise) -> Result<Attempt> {
        refuse_empty(name)?;
        let mut table = self.table.lock();
        let lock = table.entry(name.to_owned()).or_default();
        lock.waiting.retain(|(_, sender)| !sender.is_canceled());
        match (lock.holders.with(mode).filter(|_| lock.waiting.is_empty()), otherwise) {
            (Some(holders), _) => {
                lock.holders = holders;
                Ok(Attempt::Held(Guard { table: Arc::clone(&self.table), name: name.to_owned() }))
            }
            (None, Otherwise::Wait) => {
                let (sender, receiver) = oneshot::channel();
                lock.waiting.push_back((mode, sender));
                Ok(Attempt::Queued(receiver))
            }
            (None, Otherwise::GiveUp) => Ok(Attempt::Refused),
        }
    }
}

#[async_trait]
impl Locks for MemoryLocks {
    async fn acquire(&self, name: &str, mode: LockMode) -> Result<Box<dyn LockGuard>> {
        let gone = || Error::new(ErrorKind::Unavailable, "acquire lock", name.escape_debug());
        match self.attempt(name, mode, Otherwise::Wait)? {
            Attempt::Held(guard) => Ok(Box::new(guard)),
            Attempt::Queued(receiver) => Ok(Box::new(receiver.await.map_err(|_| gone())?)),
            Attempt::Refused => Err(gone()),
        }
    }

    async fn try_acquire(&self, name: &str, mode: LockMode) -> Result<Option<Box<dyn LockGuard>>> {
        match self.attempt(name, mode, Otherwise::GiveUp)? {
            Attempt::Held(guard) => Ok(Some(Box::new(guard))),
            Attempt::Queued(_) | Attempt::Refused => Ok(None),
        }
    }

    async fn holder(&self, name: &str) -> Result<Option<LockMode>> {
        refuse_empty(name)?;
        Ok(self.table.lock().get(name).and_then(|lock| lock.holders.mode()))
    }
}
