//! A layer out of nothing but entries: `layer_from_entries DIR` needs no root, no mount and no files to pack.
#![allow(clippy::print_stdout, reason = "a program prints")]

use std::error::Error;
use std::io;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;

use cache_blobs::codec::Codecs;
use cache_blobs::layer::LayerBuilder;
use cache_blobs::pack::{Budget, PackOptions, PackWriter, pack};
use cache_blobs::tar::{Header, Kind, Timestamp};
use cache_core::local::{Local, StoreOptions};
use cache_core::ports::{Begun, Expected, Ingester, LeaseManager, LeaseOptions, Pool, Start};
use cache_core::{Compression, SystemClock, ThreadPool};

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

/// The layer: owners, devices and capabilities are what the entries say, whoever runs this.
fn entries(out: &mut PackWriter) -> Result<()> {
    let tool = b"#!/bin/sh\necho hello\n";
    let mut layer = LayerBuilder::new(out).with_epoch(1_700_000_000);
    layer.add(&Header::directory("srv").with_owner(1000, 1000).with_mode(0o750), io::empty())?;
    let file = Header::file("usr/bin/tool", tool.len() as u64).with_mode(0o4755);
    layer.add(&file.with_modified(Timestamp::from_seconds(1_600_000_000)), &tool[..])?;
    layer.add(&Header::symlink("usr/bin/alias", "tool"), io::empty())?;
    layer.add(&Header::hard_link("usr/bin/other", "usr/bin/tool"), io::empty())?;
    layer.add(&Header::new(Kind::CharDevice, "dev/null").with_device(1, 3).with_mode(0o666), io::empty())?;
    // What a lower layer has there is gone.
    layer.whiteout("etc/obsolete")?;
    layer.finish()?;
    Ok(())
}

fn main() -> Result<()> {
    let directory = PathBuf::from(std::env::args_os().nth(1).ok_or("usage: layer_from_entries DIR")?);
    pollster::block_on(async {
        let pool: Arc<dyn Pool> = Arc::new(ThreadPool::new());
        let clock = Arc::new(SystemClock::new(Arc::clone(&pool)));
        let store = Local::open(directory, Arc::clone(&pool), StoreOptions::new(clock)).await?;
        let lease = store.leases.create(LeaseOptions::default()).await?;
        let Begun::Started(ingest) = store.content.begin(&lease, "layer", Expected::UNKNOWN, Start::Fresh).await?
        else {
            return Err("nothing was expected, so nothing can be there".into());
        };
        let budget = Budget::new(NonZeroUsize::MIN, Budget::DEFAULT_MEMORY_BYTES)?;
        let codec = Codecs::default().of(&Compression::Zstd)?;
        let packed = pack(&budget, &pool, &*codec, ingest, PackOptions::default(), entries).await?;
        let layer = packed.layer();
        println!("{} {}", layer.descriptor.media_type, layer.descriptor.digest);
        println!("DiffID {}, {} bytes as a tar", layer.diff_id, packed.uncompressed_bytes);
        Ok(())
    })
}
