//! Backends that count what is under way, and an executor that stops where it is told.
#![allow(dead_code, clippy::unwrap_used, clippy::panic, clippy::print_stdout, missing_docs)]

pub(crate) mod work;

use std::fs;
use std::future::Future;
use std::num::NonZeroUsize;
use std::os::fd::BorrowedFd;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::JoinHandle;

use async_trait::async_trait;
use cache_blobs::LayerApplier;
use cache_blobs::chain::LayerBackends;
use cache_blobs::codec::Codecs;
use cache_blobs::differ::TreeDiffer;
use cache_blobs::pack::Budget;
use cache_core::cache::CacheManager;
use cache_core::local::{Local, StoreOptions};
use cache_core::mount::LinuxMounter;
use cache_core::ports::{
    Access, Collector, Job, LeaseManager, Manager, Mount, MountedTree, Mounter, Pool, Snapshotter,
};
use cache_core::snapshot::{
    DirectorySnapshotter, Durability, NativeOptions, OverlayfsOptions, SnapshotRows, overlayfs_works,
};
use cache_core::{Backends, Digest, Result, SystemClock, ThreadPool};
use futures::TryStreamExt;
use pollster::block_on;
use tempfile::TempDir;

/// How often something was woken.
#[derive(Debug, Default)]
struct Wakes {
    count: Mutex<usize>,
    changed: Condvar,
}

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        *self.count.lock().unwrap() += 1;
        self.changed.notify_all();
    }
}

/// Polls `future` so many times, each time after it asked to be, and drops it then unless it has ended. Every
/// [`Poll::Pending`] is one await point.
pub(crate) fn run_polls<F: Future>(polls: usize, future: F) -> Option<F::Output> {
    let wakes = Arc::<Wakes>::default();
    let waker = Waker::from(Arc::clone(&wakes));
    let mut future = Box::pin(future);
    let mut seen = 0;
    for poll in 0..polls {
        if poll > 0 {
            let mut count = wakes.count.lock().unwrap();
            while *count == seen {
                count = wakes.changed.wait(count).unwrap();
            }
            seen = *count;
        }
        if let Poll::Ready(output) = Pin::as_mut(&mut future).poll(&mut Context::from_waker(&waker)) {
            return Some(output);
        }
    }
    None
}

/// A pool with a thread for every job, so that no job is no thread.
#[derive(Debug, Default)]
pub(crate) struct JobThreads {
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl Pool for JobThreads {
    fn spawn(&self, job: Job) -> Result<()> {
        // Locked before the job runs: what it spawns comes later, and before it ends.
        let mut threads = self.threads.lock().unwrap();
        threads.push(std::thread::Builder::new().name("test-job".to_owned()).spawn(job).unwrap());
        Ok(())
    }
}

impl JobThreads {
    /// Waits until no job runs, jobs that are started by jobs included.
    pub(crate) fn wait_until_idle(&self) {
        while let Some(thread) = { self.threads.lock().unwrap().pop() } {
            thread.join().unwrap();
        }
    }
}

/// A mounter that knows how many of its trees there are.
#[derive(Debug)]
pub(crate) struct CountedMounter {
    inner: LinuxMounter,
    trees: Arc<AtomicUsize>,
}

#[derive(Debug)]
struct CountedTree {
    inner: Arc<dyn MountedTree>,
    trees: Arc<AtomicUsize>,
}

#[async_trait]
impl Mounter for CountedMounter {
    async fn mount(&self, mounts: &[Mount], access: Access) -> Result<Arc<dyn MountedTree>> {
        let inner = self.inner.mount(mounts, access).await?;
        self.trees.fetch_add(1, Ordering::SeqCst);
        Ok(Arc::new(CountedTree { inner, trees: Arc::clone(&self.trees) }))
    }
}

impl MountedTree for CountedTree {
    fn directory(&self) -> BorrowedFd<'_> {
        self.inner.directory()
    }

    fn path(&self) -> PathBuf {
        self.inner.path()
    }
}

impl Drop for CountedTree {
    fn drop(&mut self) {
        self.trees.fetch_sub(1, Ordering::SeqCst);
    }
}

/// The embedded store over counting backends.
#[derive(Debug)]
pub(crate) struct Rig {
    pub(crate) local: Local,
    pub(crate) backends: Backends,
    pub(crate) cache: CacheManager,
    pub(crate) differ: TreeDiffer,
    pub(crate) applier: LayerApplier,
    pub(crate) layers: LayerBackends,
    pub(crate) codecs: Codecs,
    pub(crate) budget: Arc<Budget>,
    pub(crate) pool: Arc<JobThreads>,
    trees: Arc<AtomicUsize>,
    directory: TempDir,
}

/// What can be seen from outside, all of it sorted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Visible {
    pub(crate) blobs: Vec<Digest>,
    pub(crate) ingests: Vec<String>,
    pub(crate) leases: Vec<String>,
    pub(crate) snapshots: Vec<String>,
    /// The kernel's lines about mounts in or of the rig's directory.
    pub(crate) mounts: Vec<String>,
    pub(crate) trees: usize,
    pub(crate) blob_files: Vec<PathBuf>,
    pub(crate) ingest_files: Vec<PathBuf>,
}

fn mounts_of(directory: &Path) -> Vec<String> {
    let directory = directory.to_str().unwrap();
    let all = fs::read_to_string("/proc/self/mountinfo").unwrap();
    all.lines().filter(|line| line.contains(directory)).map(str::to_owned).collect()
}

/// The snapshotters that work here.
pub(crate) fn rigs() -> Vec<Rig> {
    let mut rigs = vec![Rig::new("native").unwrap()];
    match Rig::new("overlayfs") {
        Ok(rig) => rigs.push(rig),
        Err(error) => println!("skipped: overlayfs ({error})"),
    }
    rigs
}

impl Rig {
    pub(crate) fn new(snapshotter: &str) -> Result<Self> {
        let directory = tempfile::tempdir().unwrap();
        let pool = Arc::<JobThreads>::default();
        let shared: Arc<dyn Pool> = pool.clone();
        // Sleeps are no jobs of the operation: they have a pool of their own.
        let clock = Arc::new(SystemClock::new(Arc::new(ThreadPool::new())));
        let store = directory.path().join("store");
        let local = block_on(Local::open(store, shared.clone(), StoreOptions::new(clock.clone())))?;
        let rows: Arc<dyn SnapshotRows> = local.snapshots(snapshotter);
        let durability = Durability::default();
        let snapshots: Arc<dyn Snapshotter> = Arc::new(match snapshotter {
            "overlayfs" => {
                block_on(overlayfs_works(&*rows, shared.clone()))?;
                let options = OverlayfsOptions::default().with_durability(durability);
                block_on(DirectorySnapshotter::overlayfs(rows, shared.clone(), options))?
            }
            _ => {
                let options = NativeOptions::default().with_durability(durability);
                DirectorySnapshotter::native(rows, shared.clone(), options)?
            }
        });
        let scratch = directory.path().join("mounts");
        fs::create_dir(&scratch).unwrap();
        let trees = Arc::<AtomicUsize>::default();
        let inner = LinuxMounter::new(shared.clone(), scratch);
        let mounter: Arc<dyn Mounter> = Arc::new(CountedMounter { inner, trees: trees.clone() });
        let codecs = Codecs::default();
        let applier = LayerApplier::new(local.content.clone(), mounter.clone(), shared.clone(), codecs.clone());
        let budget = Arc::new(Budget::new(NonZeroUsize::new(2).unwrap(), 64 << 20)?);
        let differ =
            TreeDiffer::new(local.content.clone(), mounter.clone(), shared.clone(), codecs.clone(), budget.clone());
        let backends = Backends {
            content: local.content.clone(),
            snapshotter: snapshots,
            leases: local.leases.clone(),
            metadata: local.metadata.clone(),
            locks: local.locks.clone(),
            mounter,
            applier: Some(Arc::new(applier.clone())),
            collector: Some(local.collector.clone()),
            pool: shared,
            clock,
        };
        let cache = block_on(CacheManager::open(backends.clone()))?;
        let layers = LayerBackends::new(Arc::new(differ.clone()));
        Ok(Self { local, backends, cache, differ, applier, layers, codecs, budget, pool, trees, directory })
    }

    /// Lets everything that was dropped come to its end, and collects what nothing holds.
    pub(crate) fn settle(&self) {
        self.pool.wait_until_idle();
        block_on(self.cache.flush());
        block_on(self.local.collector.collect()).unwrap();
        self.pool.wait_until_idle();
    }

    /// What there is, once no job runs.
    pub(crate) fn visible(&self) -> Visible {
        self.pool.wait_until_idle();
        let visible = block_on(async {
            let blobs: Vec<_> = self.local.content.list().map_ok(|info| info.digest).try_collect().await.unwrap();
            let ingests = self.backends.content.ingests().await.unwrap();
            let leases = self.local.leases.list().await.unwrap();
            let snapshots = self.backends.snapshotter.list().await.unwrap();
            let store = self.directory.path().join("store");
            Visible {
                blobs: sorted(blobs),
                ingests: sorted(ingests.into_iter().map(|ingest| ingest.key)),
                leases: sorted(leases.into_iter().map(|lease| lease.id)),
                snapshots: sorted(snapshots.into_iter().map(|snapshot| snapshot.key)),
                mounts: mounts_of(self.directory.path()),
                trees: self.trees.load(Ordering::SeqCst),
                blob_files: files(&store.join("blobs/sha256")),
                ingest_files: files(&store.join("ingest")),
            }
        });
        self.pool.wait_until_idle();
        visible
    }

    /// No memory of the budget is used, which its workers may give back a moment after the last job.
    pub(crate) fn wait_for_budget(&self) {
        while self.budget.usage().used_bytes > 0 {
            std::thread::yield_now();
        }
    }
}

fn sorted<T: Ord>(items: impl IntoIterator<Item = T>) -> Vec<T> {
    let mut items: Vec<_> = items.into_iter().collect();
    items.sort();
    items
}

fn files(directory: &Path) -> Vec<PathBuf> {
    sorted(fs::read_dir(directory).into_iter().flatten().map(|entry| entry.unwrap().path()))
}
