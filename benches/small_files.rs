//! A hundred thousand files of 1 KB: packed uncompressed, and one change found among them by the double walk.
#![allow(missing_docs, reason = "criterion's macros make public functions")]

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use benches::{BenchStore, BenchTree, Result};
use cache_core::CompressionConfig;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

const DIRECTORIES: u64 = 100;
const FILES: u64 = 1000;
const FILE_BYTES: u64 = 1024;

/// Makes the tree.
fn make(root: &Path) -> Result<BenchTree> {
    for directory in 0..DIRECTORIES {
        let path = root.join(format!("d{directory:03}"));
        fs::create_dir_all(&path)?;
        for file in 0..FILES {
            fs::write(path.join(format!("file{file:04}")), format!("{directory:>512}{file:>512}"))?;
        }
    }
    Ok(BenchTree { path: root.to_owned(), bytes: DIRECTORIES * FILES * FILE_BYTES })
}

/// Makes a copy whose metadata is the same, as `cp -a` does, but for one file.
fn copy(tree: &BenchTree, root: &Path) -> Result<BenchTree> {
    let copied = make(root)?;
    for directory in fs::read_dir(&tree.path)? {
        let directory = directory?;
        for file in fs::read_dir(directory.path())? {
            let file = file?;
            let path = root.join(directory.file_name()).join(file.file_name());
            fs::File::options().write(true).open(path)?.set_modified(file.metadata()?.modified()?)?;
        }
    }
    fs::write(root.join("d050/file0500"), "changed")?;
    Ok(copied)
}

fn small_files(criterion: &mut Criterion) {
    let work = tempfile::tempdir().expect("a benchmark needs a directory");
    let tree = make(&work.path().join("tree")).expect("a benchmark needs a tree");
    let changed = copy(&tree, &work.path().join("changed")).expect("a benchmark needs a copy");
    let store = BenchStore::open().expect("a benchmark needs a store");
    let mut group = criterion.benchmark_group("small_files");
    group.sample_size(10).throughput(Throughput::Elements(DIRECTORIES * FILES));
    for (name, lower, upper) in [("pack", None, &tree), ("find_one_change", Some(&tree), &changed)] {
        group.bench_function(name, |bencher| {
            bencher.iter_custom(|rounds| {
                let mut spent = Duration::ZERO;
                for _ in 0..rounds {
                    let start = Instant::now();
                    let plain = CompressionConfig::uncompressed();
                    // What is packed is removed again off the clock.
                    let packed = store.with_difference(lower, upper, plain, |_| Ok(start.elapsed()));
                    spent += packed.expect("the trees are compared");
                }
                spent
            });
        });
    }
}

criterion_group!(benches, small_files);
criterion_main!(benches);
