//! The ids of a chain cost next to nothing beside its layers.
#![allow(missing_docs, reason = "criterion's macros make public functions")]

use std::hint::black_box;

use cache_core::{BlobChain, Descriptor, Digest, Layer, MediaType, chain_id};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};

/// Few layers, as many as an image may have for overlayfs, and more than any has.
const LENGTHS: [usize; 3] = [8, 128, 1024];

fn chain_ids(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("chain_ids");
    for length in LENGTHS {
        let diff_ids: Vec<_> = (0..length).map(|number| Digest::of(format!("layer {number}"))).collect();
        let layer = |diff_id: &Digest| {
            let blob = Descriptor::of(MediaType::OCI_LAYER_GZIP, diff_id.to_string().as_bytes());
            Layer::new(blob, *diff_id)
        };
        let chain = BlobChain::new(diff_ids.iter().map(layer).collect());
        group.throughput(Throughput::Elements(length as u64));
        group.bench_with_input(BenchmarkId::new("chain_id", length), &diff_ids, |bencher, diff_ids| {
            bencher.iter(|| chain_id(black_box(diff_ids)));
        });
        group.bench_with_input(BenchmarkId::new("blob_chain_id", length), &chain, |bencher, chain| {
            bencher.iter(|| black_box(chain).blob_chain_id());
        });
    }
}

criterion_group!(benches, chain_ids);
criterion_main!(benches);
