//! An export that is dropped at any point leaves blobs at most; an import leaves nothing.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs, unused_must_use)]
#![cfg(unix)]

mod support;

use std::future::Future;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::{Arc, Condvar, Mutex};
use std::task::Poll;

use cache_blobs::layout::{LayoutOptions, OciLayout};
use cache_core::ports::{Job, Pool};
use cache_core::{Digest, ThreadPool};
use cache_remote::{CacheChains, ExportOptions, ImportOptions, export_to_layout, import_from_layout};
use pollster::block_on;
use support::{key, result};

/// A pool that can be waited for. It begins a job only when the future that gave it waits, so that every job is a wait, however
/// fast the machine is.
#[derive(Default)]
struct Tracked {
    inner: ThreadPool,
    held: Mutex<Vec<Job>>,
    running: Arc<(Mutex<usize>, Condvar)>,
}

impl std::fmt::Debug for Tracked {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tracked").finish_non_exhaustive()
    }
}

impl Tracked {
    fn release(&self) {
        let held = std::mem::take(&mut *self.held.lock().unwrap());
        for job in held {
            self.inner.spawn(job).unwrap();
        }
    }

    fn wait(&self) {
        self.release();
        let (running, idle) = &*self.running;
        let _idle = idle.wait_while(running.lock().unwrap(), |running| *running > 0).unwrap();
    }
}

impl Pool for Tracked {
    fn spawn(&self, job: Job) -> cache_core::Result<()> {
        *self.running.0.lock().unwrap() += 1;
        let running = Arc::clone(&self.running);
        self.held.lock().unwrap().push(Box::new(move || {
            job();
            *running.0.lock().unwrap() -= 1;
            running.1.notify_all();
        }));
        Ok(())
    }
}

/// Polls `future`, whose jobs `pool` runs, until it was pending `times` times; `None` if it was not ready then.
fn cut<T>(pool: &Tracked, future: impl Future<Output = T>, times: usize) -> Option<T> {
    let mut future = pin!(future);
    let mut pending = 0;
    block_on(std::future::poll_fn(|context| match future.as_mut().poll(context) {
        Poll::Ready(output) => Poll::Ready(Some(output)),
        Poll::Pending if pending == times => Poll::Ready(None),
        Poll::Pending => {
            pending += 1;
            pool.release();
            Poll::Pending
        }
    }))
}

/// Polls `future`, whose jobs `pool` runs, to its end.
fn whole<T>(pool: &Tracked, future: impl Future<Output = T>) -> T {
    cut(pool, future, usize::MAX).expect("no future waits so often")
}

fn files(path: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut queue = vec![path.to_owned()];
    while let Some(directory) = queue.pop() {
        for entry in std::fs::read_dir(directory).unwrap().map(Result::unwrap) {
            if entry.file_type().unwrap().is_dir() {
                queue.push(entry.path());
            } else {
                found.push(entry.path().strip_prefix(path).unwrap().to_owned());
            }
        }
    }
    found.sort();
    found
}

fn sample() -> CacheChains {
    let mut chains = CacheChains::new();
    let large = "x".repeat(1_000_000);
    chains.add(key("step"), &[], &[result(1, &["a", "b", &large, "c"])]).unwrap();
    chains
}

#[test]
fn a_dropped_export_leaves_whole_blobs_at_most() {
    let chains = sample();
    let mut cuts = 0;
    loop {
        let dir = tempfile::tempdir().unwrap();
        let pool = Arc::new(Tracked::default());
        let layout = whole(&pool, OciLayout::create(dir.path(), pool.clone(), LayoutOptions::default())).unwrap();
        let export = cut(&pool, export_to_layout(&chains, &layout, "latest", &ExportOptions::default()), cuts);
        pool.wait();
        let files = files(dir.path());
        for file in &files {
            let content = std::fs::read(dir.path().join(file)).unwrap();
            match file.strip_prefix("blobs/sha256") {
                Ok(name) => assert_eq!(name.to_str().unwrap(), Digest::of(content).hex(), "{cuts}"),
                Err(_) => assert!(["oci-layout", "index.json"].map(Path::new).contains(&file.as_path()), "{files:?}"),
            }
        }
        if files.iter().any(|file| file == Path::new("index.json")) {
            let options = ImportOptions::default();
            assert!(whole(&pool, import_from_layout(&layout, "latest", &options)).unwrap().is_some());
        }
        if let Some(outcome) = export {
            outcome.unwrap();
            break;
        }
        cuts += 1;
    }
    assert!(cuts > 10, "{cuts}");
}

#[test]
fn a_dropped_import_can_be_repeated() {
    let dir = tempfile::tempdir().unwrap();
    let pool = Arc::new(Tracked::default());
    let layout = whole(&pool, OciLayout::create(dir.path(), pool.clone(), LayoutOptions::default())).unwrap();
    whole(&pool, export_to_layout(&sample(), &layout, "latest", &ExportOptions::default())).unwrap();
    let before = files(dir.path());
    let mut cuts = 0;
    while cut(&pool, import_from_layout(&layout, "latest", &ImportOptions::default()), cuts).is_none() {
        pool.wait();
        assert_eq!(files(dir.path()), before);
        cuts += 1;
    }
    assert!(cuts > 2, "{cuts}");
}
