//! The store behind the ports: work that blocks runs on the pool.

use std::sync::{Arc, Mutex, PoisonError};

use futures::channel::oneshot;

use crate::error::{Error, ErrorKind, Result};
use crate::local::calls::{Calls, Running, Waiting};
use crate::local::store::Store;
use crate::ports::{Pool, PoolExt};

/// What every backend of one opening shares.
#[derive(Debug)]
pub(super) struct Engine {
    /// `None` only while it is dropped.
    store: Option<Arc<Store>>,
    pool: Arc<dyn Pool>,
    /// By the ingest's key.
    ingest_calls: Arc<Calls>,
    /// By the lock's name.
    lock_calls: Arc<Calls>,
    abandoned: Arc<Abandoned>,
}

/// Temporary leases that nobody will delete.
#[derive(Debug, Default)]
struct Abandoned {
    leases: Mutex<Vec<String>>,
    /// Held while some are being deleted, so that whoever looks next finds them deleted.
    deleting: Mutex<()>,
}

impl Engine {
    pub(super) fn new(store: Arc<Store>, pool: Arc<dyn Pool>) -> Arc<Self> {
        Arc::new(Self {
            store: Some(store),
            pool,
            ingest_calls: Arc::default(),
            lock_calls: Arc::default(),
            abandoned: Arc::default(),
        })
    }

    pub(super) fn store(&self) -> &Arc<Store> {
        self.store.as_ref().expect("only drop takes the store")
    }

    pub(super) fn pool(&self) -> &Arc<dyn Pool> {
        &self.pool
    }

    /// Runs `work` on a thread that may block. Work that has begun runs to its end when the call is dropped.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Arc<Store>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let store = Arc::clone(self.store());
        self.pool.run(move || work(&store)).await
    }

    /// Runs `work`, which may have the ingest `key`.
    pub(super) async fn run_on_ingest<T: Send + 'static>(
        &self,
        key: &str,
        work: impl FnOnce(&Arc<Store>, &Running) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        outcome(self.spawn_on(&self.ingest_calls, key, work)?).await
    }

    /// The same, for who does not wait yet.
    pub(super) fn spawn_on_ingest<T: Send + 'static>(
        &self,
        key: &str,
        work: impl FnOnce(&Arc<Store>, &Running) -> T + Send + 'static,
    ) -> Result<(oneshot::Receiver<T>, Waiting)> {
        self.spawn_on(&self.ingest_calls, key, work)
    }

    /// Runs `work`, which may have the lock `name`.
    pub(super) async fn run_on_lock<T: Send + 'static>(
        &self,
        name: &str,
        work: impl FnOnce(&Arc<Store>, &Running) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        outcome(self.spawn_on(&self.lock_calls, name, work)?).await
    }

    fn spawn_on<T: Send + 'static>(
        &self,
        calls: &Arc<Calls>,
        key: &str,
        work: impl FnOnce(&Arc<Store>, &Running) -> T + Send + 'static,
    ) -> Result<(oneshot::Receiver<T>, Waiting)> {
        let (sender, receiver) = oneshot::channel();
        let (waiting, running) = calls.start(key);
        let store = Arc::clone(self.store());
        self.pool.spawn(Box::new(move || {
            // An outcome that nobody takes is dropped here, and what it has with it, before the call has ended.
            drop(sender.send(work(&store, &running)));
            drop(store);
            drop(running);
        }))?;
        Ok((receiver, waiting))
    }

    /// As [`run`](Self::run), after leases that were abandoned before are gone.
    pub(super) async fn run_after_abandoned<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Arc<Store>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let abandoned = Arc::clone(&self.abandoned);
        self.run(move |store| {
            abandoned.delete(store);
            work(store)
        })
        .await
    }

    /// Has the lease `id` deleted, by a thread of the pool or else by the next call that concerns leases.
    pub(super) fn abandon(&self, id: &str) {
        self.abandoned.leases().push(id.to_owned());
        let (abandoned, store) = (Arc::clone(&self.abandoned), Arc::clone(self.store()));
        if let Err(error) = self.pool.spawn(Box::new(move || abandoned.delete(&store))) {
            tracing::debug!(%error, "an abandoned lease waits for the next call");
        }
    }
}

impl Drop for Engine {
    /// Closing the database writes its log back, so that happens on the pool too.
    fn drop(&mut self) {
        let store = self.store.take();
        if let Err(error) = self.pool.spawn(Box::new(move || drop(store))) {
            tracing::debug!(%error, "the store is closed on the thread that dropped it");
        }
    }
}

impl Abandoned {
    fn leases(&self) -> std::sync::MutexGuard<'_, Vec<String>> {
        self.leases.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn delete(&self, store: &Store) {
        let _deleting = self.deleting.lock().unwrap_or_else(PoisonError::into_inner);
        let leases = std::mem::take(&mut *self.leases());
        for id in leases {
            if let Err(error) = store.delete_lease(&id) {
                tracing::warn!(%error, "an abandoned lease lasts until the process ends");
            }
        }
    }
}

async fn outcome<T>((receiver, waiting): (oneshot::Receiver<Result<T>>, Waiting)) -> Result<T> {
    let outcome = receiver.await;
    drop(waiting);
    outcome.unwrap_or_else(|_| Err(Error::new(ErrorKind::Cancelled, "run", "blocking work")))
}

/// Refuses what another manager of leases gave.
pub(super) fn foreign(operation: &'static str, id: &str) -> Error {
    Error::new(ErrorKind::Invalid, operation, id).with_source("another manager gave the lease")
}
