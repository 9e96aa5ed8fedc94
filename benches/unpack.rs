//! A layer becomes files: hashed as a blob, decoded, hashed as a tar, created below a root, and on the disk or not yet.
#![allow(missing_docs, reason = "criterion's macros make public functions")]

use std::fs::{self, File};
use std::time::{Duration, Instant};

use benches::{BenchStore, BenchTree, compressions};
use cache_blobs::DecodingAhead;
use cache_blobs::apply::{ApplyOptions, Durability, unpack};
use cache_blobs::codec::Codecs;
use cache_core::{Algorithm, ThreadPool};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

fn unpacking(criterion: &mut Criterion) {
    let tree = BenchTree::find().expect("a benchmark needs a tree");
    let store = BenchStore::open().expect("a benchmark needs a store");
    let blobs = store.embedded.local.directory().join("blobs");
    let (pool, codecs) = (ThreadPool::new(), Codecs::default());
    let mut group = criterion.benchmark_group("unpack");
    group.sample_size(10).throughput(Throughput::Bytes(tree.bytes));
    for (name, compression) in compressions() {
        let packed = store.with_packed(&tree, compression, |layer| {
            let digest = layer.descriptor.digest;
            Ok(fs::read(blobs.join(digest.algorithm().name()).join(digest.hex()))?)
        });
        let blob = packed.expect("the tree packs");
        for (suffix, durability) in [("", Durability::Relaxed), ("-synced", Durability::Synced)] {
            let options = ApplyOptions::default().with_durability(durability);
            group.bench_function(format!("{name}{suffix}"), |bencher| {
                bencher.iter_custom(|rounds| {
                    let mut spent = Duration::ZERO;
                    for _ in 0..rounds {
                        let root = tempfile::tempdir().expect("a directory can be made");
                        let root_handle = File::open(root.path()).expect("the directory opens");
                        let source = Box::new(std::io::Cursor::new(blob.clone()));
                        let start = Instant::now();
                        let mut tar = DecodingAhead::start(&pool, &codecs, source, Some(Algorithm::Sha256))
                            .expect("a thread starts");
                        unpack(&mut tar, &root_handle, &options).expect("the layer unpacks");
                        tar.finish().expect("the layer decodes");
                        spent += start.elapsed();
                    }
                    spent
                });
            });
        }
    }
}

criterion_group!(benches, unpacking);
criterion_main!(benches);
