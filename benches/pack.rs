//! A tree becomes a committed layer: read, written as tar, hashed twice, compressed and synced.
#![allow(missing_docs, reason = "criterion's macros make public functions")]

use std::time::{Duration, Instant};

use benches::{BenchStore, BenchTree, compressions};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

fn pack(criterion: &mut Criterion) {
    let tree = BenchTree::find().expect("a benchmark needs a tree");
    let store = BenchStore::open().expect("a benchmark needs a store");
    let mut group = criterion.benchmark_group("pack");
    group.sample_size(10).throughput(Throughput::Bytes(tree.bytes));
    for (name, compression) in compressions() {
        group.bench_function(name, |bencher| {
            bencher.iter_custom(|rounds| {
                let mut spent = Duration::ZERO;
                for _ in 0..rounds {
                    let start = Instant::now();
                    // What is packed is removed again off the clock.
                    let packed = store.with_packed(&tree, compression.clone(), |_| Ok(start.elapsed()));
                    spent += packed.expect("the tree packs");
                }
                spent
            });
        });
    }
}

criterion_group!(benches, pack);
criterion_main!(benches);
