//! A layer in two compressions: by one reading of the tree, and packed in one of them and converted into the other.
#![allow(missing_docs, reason = "criterion's macros make public functions")]

use std::time::{Duration, Instant};

use benches::{BenchStore, BenchTree};
use cache_core::CompressionConfig;
use criterion::{Bencher, Criterion, Throughput, criterion_group, criterion_main};

/// Sums up what `work` takes, without what comes after the moment that it gives.
fn time(bencher: &mut Bencher<'_>, work: impl Fn(Instant) -> Duration) {
    bencher.iter_custom(|rounds| (0..rounds).map(|_| work(Instant::now())).sum());
}

fn variants(criterion: &mut Criterion) {
    let tree = BenchTree::find().expect("a benchmark needs a tree");
    let store = BenchStore::open().expect("a benchmark needs a store");
    let (gzip, zstd) = (CompressionConfig::gzip(), CompressionConfig::zstd());
    let mut group = criterion.benchmark_group("variants");
    group.sample_size(10).throughput(Throughput::Bytes(tree.bytes));
    for (name, own, other) in
        [("gzip-zstd", &gzip, &zstd), ("zstd-uncompressed", &zstd, &CompressionConfig::uncompressed())]
    {
        group.bench_function(format!("{name}/one-reading"), |bencher| {
            time(bencher, |start| {
                let taken = store.with_variants(&tree, own.clone(), other.clone(), || start.elapsed());
                taken.expect("the tree packs")
            });
        });
        group.bench_function(format!("{name}/converted"), |bencher| {
            time(bencher, |start| {
                let taken = store.with_converted(&tree, own.clone(), other.clone(), || start.elapsed());
                taken.expect("the tree packs")
            });
        });
    }
}

criterion_group!(benches, variants);
criterion_main!(benches);
