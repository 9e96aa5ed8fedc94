//! A chain of 40 layers: exported for the first time, and again when there is nothing to do.
#![allow(missing_docs, reason = "criterion's macros make public functions")]

use std::fs;
use std::time::{Duration, Instant};

use benches::{BenchStore, Result};
use cache_blobs::chain::{RemoteExt, RemoteOptions};
use cache_core::CompressionConfig;
use cache_core::cache::{ImmutableRef, RefOptions};
use cache_core::ports::{Access, DiffOptions, MountedTree, TemporaryLease};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

const LAYERS: u32 = 40;
const LAYER_BYTES: u32 = 256 * 1024;

/// Text that compresses to about a third, another one for each `seed`.
fn text(seed: u32) -> String {
    let mut state = seed.wrapping_mul(0x9e37_79b9) | 1;
    let mut text = String::new();
    while text.len() < LAYER_BYTES as usize {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        text.push_str(&format!("/usr/lib/part{:03}/file{:02x}\n", state % 1000, state >> 24));
    }
    text
}

/// A ref with [`LAYERS`] parents, each of which adds one file.
async fn chain(store: &BenchStore, seed: u32) -> Result<ImmutableRef> {
    let mut top: Option<ImmutableRef> = None;
    for number in 0..LAYERS {
        let step = store.embedded.cache.create(top.as_ref(), RefOptions::default()).await?;
        let tree = step.mount(Access::ReadWrite).await?;
        fs::write(tree.path().join(format!("file{number}")), text(seed * LAYERS + number))?;
        drop(tree);
        top = Some(step.commit().await?);
    }
    Ok(top.ok_or("a chain has layers")?)
}

/// The time of the first export of a fresh chain, and of `rounds` more.
async fn export(store: &BenchStore, seed: u32, rounds: u64) -> Result<(Duration, Duration)> {
    let embedded = &store.embedded;
    let top = chain(store, seed).await?;
    let lease = TemporaryLease::create(embedded.backends.leases.as_ref()).await?;
    let options = DiffOptions::new(CompressionConfig::gzip());
    let start = Instant::now();
    top.ensure_remote(lease.lease(), &embedded.layers, &options).await?;
    let first = start.elapsed();
    let remotes = RemoteOptions::new(options.clone());
    // The first look remembers in labels what blobs are.
    top.remotes(lease.lease(), &embedded.layers, &remotes).await?;
    let start = Instant::now();
    for _ in 0..rounds {
        top.ensure_remote(lease.lease(), &embedded.layers, &options).await?;
        top.remotes(lease.lease(), &embedded.layers, &remotes).await?;
    }
    Ok((first, start.elapsed()))
}

fn chains(criterion: &mut Criterion) {
    let store = BenchStore::open().expect("a benchmark needs a store");
    let mut group = criterion.benchmark_group("chain");
    group.sample_size(10).throughput(Throughput::Elements(u64::from(LAYERS)));
    let mut seed = 0;
    let mut export = |rounds| {
        seed += 1;
        pollster::block_on(export(&store, seed, rounds)).expect("the chain is exported")
    };
    group.bench_function("first_export", |bencher| {
        bencher.iter_custom(|rounds| (0..rounds).map(|_| export(0).0).sum());
    });
    group.bench_function("export_again", |bencher| bencher.iter_custom(|rounds| export(rounds).1));
}

criterion_group!(benches, chains);
criterion_main!(benches);
