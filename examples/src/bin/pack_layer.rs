//! One layer from a directory tree: `pack_layer DIR` makes a small tree in DIR, and packs it into a store beside it.
//!
//! Nothing here needs a cache of refs: a store, a mounter, codecs and a budget are enough for a differ.
#![allow(clippy::print_stdout, reason = "a program prints")]

use std::error::Error;
use std::fs;
use std::num::NonZeroUsize;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use cache_blobs::codec::Codecs;
use cache_blobs::differ::TreeDiffer;
use cache_blobs::pack::Budget;
use cache_core::local::{Local, StoreOptions};
use cache_core::mount::LinuxMounter;
use cache_core::ports::{DiffOptions, LeaseManager, LeaseOptions, Mount, MountKind, Pool};
use cache_core::{CompressionConfig, SystemClock, ThreadPool, Timestamp};

fn main() -> Result<(), Box<dyn Error>> {
    let directory = PathBuf::from(std::env::args_os().nth(1).ok_or("usage: pack_layer DIR")?);
    let tree = directory.join("tree");
    make_tree(&tree)?;
    pollster::block_on(pack(&directory, &tree))
}

fn make_tree(tree: &Path) -> std::io::Result<()> {
    fs::create_dir_all(tree.join("usr/share/doc"))?;
    fs::write(tree.join("usr/share/doc/README"), "Read me.\n".repeat(1000))?;
    symlink("README", tree.join("usr/share/doc/LIESMICH"))
}

async fn pack(directory: &Path, tree: &Path) -> Result<(), Box<dyn Error>> {
    let pool: Arc<dyn Pool> = Arc::new(ThreadPool::new());
    let clock = Arc::new(SystemClock::new(Arc::clone(&pool)));
    let store = Local::open(directory.join("store"), Arc::clone(&pool), StoreOptions::new(clock)).await?;
    let mounter = Arc::new(LinuxMounter::new(Arc::clone(&pool), directory));
    // However many layers are packed through one budget, they share its threads and stay within its bytes.
    let workers = std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
    let budget = Arc::new(Budget::new(workers, Budget::DEFAULT_MEMORY_BYTES)?);
    let differ = TreeDiffer::new(store.content.clone(), mounter, pool, Codecs::default(), Arc::clone(&budget));

    // What is made in a store is held by a lease, else it could be collected at once.
    let lease = store.leases.create(LeaseOptions::default()).await?;
    let whole = [Mount { kind: MountKind::Bind, source: tree.to_owned(), options: vec!["rbind".into(), "ro".into()] }];
    let epoch = Timestamp::from_unix(1_700_000_000, 0).ok_or("the epoch is a time")?;
    for compression in [CompressionConfig::uncompressed(), CompressionConfig::gzip(), CompressionConfig::zstd()] {
        let key = format!("tree-{}", compression.compression);
        let options = DiffOptions::new(compression).with_epoch(epoch);
        let difference = differ.compare(&lease, &key, &[], &whole, &options).await?;
        let layer = &difference.layer;
        println!("{} {} bytes, DiffID {}", layer.descriptor.digest, layer.descriptor.size, layer.diff_id);
        assert!(difference.report.is_complete(), "nothing of the tree was left out");
    }
    println!("at most {} bytes were in use", budget.usage().peak_bytes);
    Ok(())
}
