//! A cache goes to a directory and comes back: `cache_round_trip DIR` exports one step there, and loads it elsewhere.
#![allow(clippy::print_stdout, reason = "a program prints")]

use std::error::Error;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use cache_blobs::chain::RemoteExt;
use cache_blobs::embedded::{Embedded, EmbeddedOptions};
use cache_blobs::layout::{LayoutOptions, OciLayout};
use cache_core::Digest;
use cache_core::cache::RefOptions;
use cache_core::ports::{Access, DiffOptions, MountedTree, TemporaryLease};
use cache_remote::{
    CacheChains, DEFAULT_TAG, ExportOptions, ExportOutcome, ExportResult, ImportOptions, LoadOptions, RecordLink,
    export_to_layout, import_from_layout, load, output_key,
};

fn main() -> Result<(), Box<dyn Error>> {
    let directory = PathBuf::from(std::env::args_os().nth(1).ok_or("usage: cache_round_trip DIR")?);
    pollster::block_on(async {
        let here = Embedded::open(directory.join("here"), EmbeddedOptions::default()).await?;
        let layout =
            OciLayout::create(directory.join("cache"), Arc::clone(&here.backends.pool), LayoutOptions::default())
                .await?;
        export(&here, &layout).await?;
        let elsewhere = Embedded::open(directory.join("elsewhere"), EmbeddedOptions::default()).await?;
        import(&elsewhere, &layout).await
    })
}

/// The keys of a build with one source and one step over it.
fn keys() -> (Digest, Digest) {
    (output_key(&Digest::of("the source"), 0), output_key(&Digest::of("the command of the step"), 0))
}

async fn export(store: &Embedded, layout: &OciLayout) -> Result<(), Box<dyn Error>> {
    let step = store.cache.create(None, RefOptions::default().with_description("say hello")).await?;
    fs::write(step.mount(Access::ReadWrite).await?.path().join("hello"), "hello\n")?;
    let step = step.commit().await?;
    let lease = TemporaryLease::create(store.backends.leases.as_ref()).await?;
    let remote = step.ensure_remote(lease.lease(), &store.layers, &DiffOptions::default()).await?;

    let (source, command) = keys();
    let mut chains = CacheChains::new();
    let source = chains.add(source.into(), &[], &[])?.ok_or("the key of the source is stable")?;
    let result = ExportResult { created_at: step.created_at().to_utc(), remote };
    chains.add(command.into(), &[vec![RecordLink::whole(source)]], &[result])?;
    match export_to_layout(&chains, layout, DEFAULT_TAG, &ExportOptions::default()).await? {
        ExportOutcome::Exported(exported) => println!("exported {}", exported.descriptor.digest),
        ExportOutcome::Empty => return Err("the step has a layer".into()),
    }
    Ok(())
}

async fn import(store: &Embedded, layout: &OciLayout) -> Result<(), Box<dyn Error>> {
    let cache = import_from_layout(layout, DEFAULT_TAG, &ImportOptions::default()).await?.ok_or("a cache is there")?;
    let (_, command) = keys();
    let key = cache.keys_of(&command).into_iter().next().ok_or("the step is in the cache")?;
    let result = cache.results_of(&key).into_iter().next().ok_or("the step has a result")?;
    let lease = TemporaryLease::create(store.backends.leases.as_ref()).await?;
    let refs = load(&result.remote, &store.cache, lease.lease(), &LoadOptions::default()).await?;
    let step = refs.last().ok_or("a result has a layer")?;
    let hello = fs::read_to_string(step.mount().await?.path().join("hello"))?;
    println!("imported {:?} with {hello:?}", step.id());
    Ok(())
}
