//! The same call under two executors: `any_executor DIR` packs one tree under pollster, and under tokio.
//!
//! The crates start no runtime and need none: what may block runs on the store's own threads.
#![allow(clippy::print_stdout, reason = "a program prints")]

use std::error::Error;
use std::fs;
use std::path::PathBuf;

use cache_blobs::chain::RemoteExt;
use cache_blobs::embedded::{Embedded, EmbeddedOptions};
use cache_core::cache::RefOptions;
use cache_core::ports::{Access, DiffOptions, MountedTree, TemporaryLease};
use cache_core::{CompressionConfig, Digest};

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

/// The digest of a layer with one file.
async fn layer(directory: PathBuf) -> Result<Digest> {
    let store = Embedded::open(directory, EmbeddedOptions::default()).await?;
    let step = store.cache.create(None, RefOptions::default()).await?;
    let tree = step.mount(Access::ReadWrite).await?;
    fs::write(tree.path().join("hello"), "hello\n")?;
    fs::File::open(tree.path().join("hello"))?.set_modified(std::time::UNIX_EPOCH)?;
    drop(tree);
    let step = step.commit().await?;
    let lease = TemporaryLease::create(store.backends.leases.as_ref()).await?;
    let options = DiffOptions::new(CompressionConfig::zstd());
    let remote = step.ensure_remote(lease.lease(), &store.layers, &options).await?;
    let layer = remote.layers().first().ok_or("the step has a layer")?;
    Ok(layer.layer.descriptor.digest)
}

fn main() -> Result<()> {
    let directory = PathBuf::from(std::env::args_os().nth(1).ok_or("usage: any_executor DIR")?);
    let by_pollster = pollster::block_on(layer(directory.join("pollster")))?;
    println!("pollster {by_pollster}");
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build()?;
    // A task that moves between threads: every future of the crates is Send.
    let by_tokio = runtime.block_on(async { tokio::spawn(layer(directory.join("tokio"))).await? })?;
    println!("tokio    {by_tokio}");
    if by_pollster == by_tokio { Ok(()) } else { Err("the executor must not decide a byte".into()) }
}
