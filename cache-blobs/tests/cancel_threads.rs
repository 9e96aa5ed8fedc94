//! Dropping the future of pack, apply, commit and `compute_blob_chain` at every await point leaves no thread. There is one
//! test in this file, because it counts the threads of its process.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

mod cancel_rig;

use std::collections::BTreeSet;
use std::fs;

use bytes::Bytes;
use cache_blobs::chain::{Creation, compute_blob_chain};
use cache_core::ports::{
    Applier, ApplyOptions, ApplySource, Begun, DiffOptions, Differ, Expected, Ingester, Prepared, Start,
};
use cache_core::{CompressionConfig, Labels};
use cancel_rig::work::{bind, every_await_point, fill, step, temporary};
use cancel_rig::{Rig, rigs, run_polls};
use pollster::block_on;

/// How often the threads are listed before one counts as left. A thread that was joined is listed for a moment more.
const LOOKS: usize = 200_000;

fn threads() -> BTreeSet<String> {
    fs::read_dir("/proc/self/task").unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

/// The threads beside those of `before`, once no job of `rig` runs.
fn left(rig: &Rig, before: &BTreeSet<String>) -> Vec<String> {
    rig.pool.wait_until_idle();
    rig.wait_for_budget();
    let mut left = Vec::new();
    for _ in 0..LOOKS {
        left = threads().difference(before).cloned().collect();
        if left.is_empty() {
            break;
        }
        std::thread::yield_now();
    }
    left
}

fn pack(rig: &Rig, polls: usize) -> bool {
    let tree = tempfile::tempdir().unwrap();
    fill(tree.path(), 1);
    let options = DiffOptions::new(CompressionConfig::gzip());
    let lease = temporary(rig);
    let (lower, upper) = (bind(&tree.path().join("a/b")), bind(tree.path()));
    run_polls(polls, rig.differ.diff(lease.lease(), "key", &lower, &upper, &options)).is_some()
}

fn apply(rig: &Rig, polls: usize) -> bool {
    let tree = tempfile::tempdir().unwrap();
    fill(tree.path(), 2);
    let lease = temporary(rig);
    let options = DiffOptions::new(CompressionConfig::gzip());
    let layer = block_on(rig.differ.diff(lease.lease(), "key", &[], &bind(tree.path()), &options)).unwrap();
    let prepared = block_on(rig.backends.snapshotter.prepare(lease.lease(), "active", None, Labels::new()));
    let Prepared::Mounts(mounts) = prepared.unwrap() else { panic!("nobody committed it") };
    let options = ApplyOptions::default();
    run_polls(polls, rig.applier.apply(&layer.descriptor, ApplySource::Committed, &mounts, &options)).is_some()
}

fn commit_blob(rig: &Rig, polls: usize) -> bool {
    let lease = temporary(rig);
    let begun = block_on(rig.local.content.begin(lease.lease(), "key", Expected::UNKNOWN, Start::Fresh));
    let Begun::Started(mut ingest) = begun.unwrap() else { panic!("nothing was expected") };
    block_on(ingest.write(Bytes::from(vec![7; 100_000]))).unwrap();
    run_polls(polls, ingest.commit(None, Labels::new())).is_some()
}

fn commit_and_finalize(rig: &Rig, polls: usize) -> bool {
    let made = block_on(rig.cache.create(None, Default::default())).unwrap();
    run_polls(polls, async { made.commit().await.unwrap().finalize().await.unwrap() }).is_some()
}

fn chain(rig: &Rig, polls: usize) -> bool {
    let bottom = step(rig, None, polls as u8);
    let top = step(rig, Some(&bottom), (polls as u8).wrapping_add(1));
    let lease = temporary(rig);
    let options = DiffOptions::new(CompressionConfig::gzip());
    let computing = compute_blob_chain(&top, lease.lease(), &rig.layers, &options, Creation::MakeMissing);
    run_polls(polls, computing).is_some()
}

#[test]
fn a_packing_application_commit_or_chain_dropped_at_any_await_point_leaves_no_thread() {
    for rig in rigs() {
        let before = threads();
        let (sender, receiver) = std::sync::mpsc::channel::<()>();
        let other = std::thread::spawn(move || receiver.recv().is_err());
        assert_eq!(threads().difference(&before).count(), 1, "a thread that lives is seen");
        drop(sender);
        assert!(other.join().unwrap());
        type Work = fn(&Rig, usize) -> bool;
        let works: [(&str, Work, usize); 5] = [
            ("pack", pack, 3),
            ("apply", apply, 3),
            ("commit of a blob", commit_blob, 2),
            ("commit of a ref", commit_and_finalize, 3),
            ("compute_blob_chain", chain, 20),
        ];
        for (name, work, points) in works {
            let dropped = every_await_point(|polls| {
                let ended = work(&rig, polls);
                assert_eq!(left(&rig, &before), Vec::<String>::new(), "{name}, dropped after {polls} polls");
                rig.settle();
                assert_eq!(left(&rig, &before), Vec::<String>::new(), "{name}, settled after {polls} polls");
                ended
            });
            assert!(dropped >= points, "{name}: {dropped} await points");
        }
    }
}
