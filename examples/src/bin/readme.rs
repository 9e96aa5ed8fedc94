//! The README's example: `readme DIR` keeps a store in DIR and prints the layer of one step.
#![allow(clippy::print_stdout, reason = "a program prints")]
use cache_blobs::chain::RemoteExt;
use cache_blobs::embedded::Embedded;
use cache_core::ports::{Access, MountedTree, TemporaryLease};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    pollster::block_on(async {
        let store = Embedded::open(std::env::args().nth(1).ok_or("usage: readme DIR")?, Default::default()).await?;
        let step = store.cache.create(None, Default::default()).await?;
        std::fs::write(step.mount(Access::ReadWrite).await?.path().join("hello"), "hello\n")?;
        let step = step.commit().await?;
        let lease = TemporaryLease::create(store.backends.leases.as_ref()).await?;
        let remote = step.ensure_remote(lease.lease(), &store.layers, &Default::default()).await?;
        remote.layers().iter().for_each(|layer| println!("{}", layer.layer.descriptor.digest));
        store.cache.flush().await;
        Ok(())
    })
}
