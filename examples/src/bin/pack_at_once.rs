//! Many layers at once: `pack_at_once DIR [COMPRESSION [BYTES]]` packs 64 trees of a file of BYTES bytes each, all of them at the same time.
//!
//! They share the workers and the bytes of one budget: each has the memory of one block and gets more when it is free, however many there are.
#![allow(clippy::print_stdout, reason = "a program prints")]

use std::error::Error;
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use cache_blobs::codec::Codecs;
use cache_blobs::embedded::{Embedded, EmbeddedOptions};
use cache_core::CompressionConfig;
use cache_core::ports::{DiffOptions, Differ, LeaseManager, LeaseOptions, Mount, MountKind};
use futures::future::try_join_all;

const LAYERS: u64 = 64;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let directory = PathBuf::from(arguments.next().ok_or("usage: pack_at_once DIR [COMPRESSION [BYTES]]")?);
    let name = arguments.next().unwrap_or_else(|| "gzip".to_owned());
    let codec = Codecs::default().named(&name)?;
    let compression = CompressionConfig::new(codec.compression());
    let bytes = arguments.next().as_deref().unwrap_or("65536").parse()?;
    let trees = (0..LAYERS).map(|number| make_tree(&directory, number, bytes)).collect::<Result<Vec<_>, _>>()?;
    pollster::block_on(pack(&directory, &trees, compression))
}

/// A directory with one file, which does not compress.
fn make_tree(directory: &Path, number: u64, bytes: u64) -> std::io::Result<PathBuf> {
    let tree = directory.join(format!("tree{number}"));
    fs::create_dir_all(&tree)?;
    let mut file = BufWriter::new(File::create(tree.join("noise"))?);
    let mut state = number + 1;
    for _ in 0..bytes / 8 {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        file.write_all(&state.wrapping_mul(0x2545_f491_4f6c_dd1d).to_le_bytes())?;
    }
    file.flush()?;
    Ok(tree)
}

async fn pack(directory: &Path, trees: &[PathBuf], compression: CompressionConfig) -> Result<(), Box<dyn Error>> {
    let store = Embedded::open(directory.join("store"), EmbeddedOptions::default()).await?;
    let lease = store.local.leases.create(LeaseOptions::default()).await?;
    let options = DiffOptions::new(compression);
    let layers = try_join_all(trees.iter().map(async |tree| {
        let (key, flags) = (tree.display().to_string(), vec!["rbind".into(), "ro".into()]);
        let whole = [Mount { kind: MountKind::Bind, source: tree.clone(), options: flags }];
        store.differ.diff(&lease, &key, &[], &whole, &options).await
    }))
    .await?;
    let usage = store.budget.usage();
    println!("{} layers, at most {} of {} bytes in use", layers.len(), usage.peak_bytes, usage.total_bytes);
    Ok(())
}
