//! A cache over memory backends whose every call is a step that can be counted, failed or left.
#![allow(dead_code, unreachable_pub, unused_imports, clippy::unwrap_used, reason = "shared by several test files")]

mod ports;
mod snapshots;

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

use cache_core::cache::{CacheManager, PruneOptions, UsageOptions};
use cache_core::memory::{ManualClock, Memory};
use cache_core::ports::{Begun, Collector, Expected, Ingester, Lease, LeaseManager, LeaseOptions, Manager, Start};
use cache_core::{Backends, Descriptor, Digest, Error, ErrorKind, Labels, Layer, MediaType, Result, ThreadPool};
use futures::{FutureExt, StreamExt};
pub use ports::{TestApplier, TestCollector};
pub use snapshots::TestSnapshots;

/// Counts the calls of backends; each call yields once, and one of them can be made to fail.
#[derive(Debug, Default)]
pub struct Steps {
    count: AtomicUsize,
    fail_at: AtomicUsize,
    /// Held during each change of a lease or snapshot, so that a collection sees one state.
    gate: Mutex<()>,
}

impl Steps {
    pub fn count(&self) -> usize {
        self.count.load(Ordering::SeqCst)
    }

    /// Starts to count at zero; the call `number` fails, counted from one.
    pub fn fail_at(&self, number: usize) {
        self.count.store(0, Ordering::SeqCst);
        self.fail_at.store(number, Ordering::SeqCst);
    }

    /// Finishes `call`, which never waits, while no other call of a lease or snapshot runs.
    pub fn at_once<T>(&self, call: impl Future<Output = T>) -> T {
        let _gate = self.gate.lock().unwrap_or_else(PoisonError::into_inner);
        call.now_or_never().expect("memory never waits")
    }

    pub fn never_fail(&self) {
        self.fail_at(0);
    }

    pub async fn step(&self, operation: &'static str) -> Result<()> {
        yield_once().await;
        let number = self.count.fetch_add(1, Ordering::SeqCst) + 1;
        if number == self.fail_at.load(Ordering::SeqCst) {
            return Err(Error::new(ErrorKind::Unavailable, operation, "a test that wants it"));
        }
        Ok(())
    }
}

/// Gives the executor a turn.
async fn yield_once() {
    let mut yielded = false;
    poll_fn(|context| {
        if yielded {
            return Poll::Ready(());
        }
        yielded = true;
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// Backends that any number of managers share, as processes do.
#[derive(Clone, Debug)]
pub struct World {
    pub memory: Memory,
    pub clock: Arc<ManualClock>,
    pub snapshots: Arc<TestSnapshots>,
    pub steps: Arc<Steps>,
}

impl World {
    pub fn new() -> Self {
        let clock = Arc::new(ManualClock::default());
        let memory = Memory::new(clock.clone());
        let steps = Arc::new(Steps::default());
        let snapshots = Arc::new(TestSnapshots::new(memory.leases.clone(), steps.clone()));
        Self { memory, clock, snapshots, steps }
    }

    pub fn backends(&self) -> Backends {
        Backends {
            content: Arc::new(ports::TestContent::new(self)),
            snapshotter: self.snapshots.clone(),
            leases: Arc::new(ports::TestLeases::new(self)),
            metadata: Arc::new(ports::TestMetadata::new(self)),
            locks: Arc::new(ports::TestLocks::new(self)),
            mounter: Arc::new(ports::TestMounter::default()),
            applier: Some(Arc::new(TestApplier::new(self))),
            collector: Some(Arc::new(TestCollector::new(self))),
            pool: Arc::new(ThreadPool::default()),
            clock: self.clock.clone(),
        }
    }

    /// Another process over the same backends.
    pub async fn open(&self) -> CacheManager {
        CacheManager::open(self.backends()).await.unwrap()
    }

    /// A lease for a caller.
    pub async fn lease(&self) -> Lease {
        self.memory.leases.create(LeaseOptions::default()).await.unwrap()
    }

    /// A layer whose tar is `content`, in a blob of its own form, held by `lease`.
    pub async fn layer(&self, lease: &Lease, form: Form, content: &str) -> Layer {
        let layer = layer(form, content);
        let expected = Expected::of(&layer.descriptor);
        let key = layer.descriptor.digest.to_string();
        match self.memory.content.begin(lease, &key, expected, Start::Fresh).await.unwrap() {
            Begun::AlreadyThere(_) => {}
            Begun::Started(mut ingest) => {
                ingest.write(form.pack(content).into()).await.unwrap();
                ingest.commit(None, Labels::new()).await.unwrap();
            }
        }
        layer
    }

    pub async fn blobs(&self) -> Vec<Digest> {
        let mut infos = self.memory.content.list();
        let mut digests = Vec::new();
        while let Some(info) = infos.next().await {
            digests.push(info.unwrap().digest);
        }
        digests
    }

    pub async fn leases(&self) -> usize {
        self.memory.leases.list().await.unwrap().len()
    }

    pub async fn collect(&self) {
        TestCollector::new(self).collect().await.unwrap();
    }
}

/// How a test's blob holds its tar.
#[derive(Clone, Copy, Debug)]
pub enum Form {
    Plain,
    Packed,
}

impl Form {
    pub fn pack(self, content: &str) -> String {
        match self {
            Self::Plain => content.to_owned(),
            Self::Packed => format!("packed:{content}"),
        }
    }
}

/// A layer that no store has.
pub fn layer(form: Form, content: &str) -> Layer {
    let bytes = form.pack(content);
    let media_type = match form {
        Form::Plain => MediaType::OCI_LAYER,
        Form::Packed => MediaType::OCI_LAYER_GZIP,
    };
    Layer::new(Descriptor::of(media_type, bytes.as_bytes()), Digest::of(content))
}

/// Refs in use and not, as BuildKit's tests count them.
pub async fn usage(manager: &CacheManager) -> (usize, usize) {
    let refs = manager.disk_usage(&UsageOptions::default()).await.unwrap();
    let in_use = refs.iter().filter(|usage| usage.in_use).count();
    (in_use, refs.len() - in_use)
}

/// How many refs went.
pub async fn prune(manager: &CacheManager) -> usize {
    manager.prune(&PruneOptions::all()).await.unwrap().refs.len()
}

/// The future after at most `polls` polls; `None` if it was dropped before its end.
pub fn poll_at_most<F: Future>(polls: usize, future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    for _ in 0..polls {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            return Some(output);
        }
    }
    None
}
