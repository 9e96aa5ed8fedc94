//! What gzip costs without a C compiler: members by zlib-rs beside those by libdeflate, on one thread.
#![allow(missing_docs, reason = "criterion's macros make public functions")]

use std::fs;
use std::path::Path;

use benches::{BenchTree, Result};
use cache_blobs::codec::{Block, Codec, DeflateLibrary, Encoder, Gzip};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};

/// Bytes of the tree that are compressed; enough for both kinds of files, programs and texts.
const SAMPLE_BYTES: usize = 32 << 20;

/// Fastest, default and best of each library.
const CASES: [(DeflateLibrary, [i32; 3]); 2] =
    [(DeflateLibrary::Libdeflate, [1, 5, 9]), (DeflateLibrary::ZlibRs, [1, 6, 9])];

fn append(directory: &Path, sample: &mut Vec<u8>) -> Result<()> {
    let mut entries = fs::read_dir(directory)?.collect::<std::io::Result<Vec<_>>>()?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let metadata = entry.metadata()?;
        match sample.len() < SAMPLE_BYTES {
            true if metadata.is_dir() => append(&entry.path(), sample)?,
            true if metadata.is_file() => sample.extend(fs::read(entry.path())?),
            _ => {}
        }
    }
    Ok(())
}

fn gzip_libraries(criterion: &mut Criterion) {
    let tree = BenchTree::find().expect("a benchmark needs a tree");
    let mut sample = Vec::new();
    append(&tree.path, &mut sample).expect("the tree is readable");
    sample.truncate(SAMPLE_BYTES);
    let mut group = criterion.benchmark_group("gzip_libraries");
    group.sample_size(10).throughput(Throughput::Bytes(sample.len() as u64));
    for (library, levels) in CASES {
        for level in levels {
            let Ok(Encoder::Blocks(encoder)) = Gzip::by(library).encoder(Some(level)) else {
                unreachable!("gzip has these levels, and is block-shaped")
            };
            let blocks: Vec<_> = sample.chunks(encoder.block_bytes()).collect();
            group.bench_function(BenchmarkId::new(library.name(), level), |bencher| {
                bencher.iter(|| {
                    let member =
                        |bytes: &&[u8]| encoder.encode(&mut Block { bytes: bytes.to_vec().into(), ..Block::default() });
                    blocks.iter().map(|bytes| member(bytes).expect("it compresses").bytes.len()).sum::<usize>()
                });
            });
        }
    }
}

criterion_group!(benches, gzip_libraries);
criterion_main!(benches);
