//! Layer blobs for all refs of a chain.

use std::iter;

use cache_core::cache::ImmutableRef;
use cache_core::flight::Held;
use cache_core::ports::{DiffOptions, Differ, Lease, ParentDiff, TemporaryLease};
use cache_core::variants::link_variant;
use cache_core::{BlobChain, CompressionConfig, Error, ErrorKind, Layer, Result};
use futures::FutureExt;
use futures::stream::{self, StreamExt, TryStreamExt};

use crate::chain::layer_backends::LayerBackends;

/// Whether missing blobs are made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Creation {
    /// Blobs are looked for. Nothing is finalized and nothing is made.
    LookOnly,
    /// Refs are finalized, and blobs that are missing are made.
    #[default]
    MakeMissing,
}

/// The layers of `top` and of all refs under it, bottom first; `None` if one is missing and none are to be made.
///
/// Layers are made in parallel, a bounded number at a time, each by the [`ParentDiffer`](cache_core::ports::ParentDiffer)
/// if it knows the snapshot, else by the first differ that supports `options`. Layers that exist stay as they are, whatever
/// their compression. What is made, `lease` holds; so does each ref.
///
/// The [variants](DiffOptions::variants) of `options` are those of layers that are made now: a differ that supports them reads a
/// snapshot once for all. Where none does, or the layer comes from the parent differ, they are converted from it. Of layers that
/// exist, forcing the compression makes what is missing.
///
/// # Errors
/// `Invalid` if `lease` is dead; `Unsupported` if no differ supports `options`, or variants have to be converted and the backends
/// have no converter; what mounting, reading, packing and converting give. Layers of other refs that were finished before stay.
///
/// # Cancel safety
/// A dropped call leaves whole layers only, no mount and no lease. Work that another caller shares goes on.
///
/// Mirrors: BuildKit `cache/blobs.go`, `computeBlobChain`.
pub async fn compute_blob_chain(
    top: &ImmutableRef,
    lease: &Lease,
    backends: &LayerBackends,
    options: &DiffOptions,
    creation: Creation,
) -> Result<Option<BlobChain>> {
    let refs = top.layer_chain();
    if creation == Creation::LookOnly {
        for below in &refs {
            below.refresh().await?;
        }
        let layers: Option<Vec<_>> = refs.iter().map(ImmutableRef::layer).collect();
        return Ok(layers.map(BlobChain::new));
    }
    top.finalize().await?;
    let work: Vec<_> = refs.iter().map(|below| make(below, lease, backends, options).boxed()).collect();
    let mut made = stream::iter(work).buffered(backends.concurrent_layers.get());
    // A layer is addressed over its parent, so blobs are given from the bottom up, each as soon as it can be: those below one
    // that fails stay with their refs.
    let mut layers = Vec::with_capacity(refs.len());
    for below in &refs {
        match made.try_next().await? {
            Some(Made::Before(layer)) => layers.push(layer),
            Some(Made::Now(layer)) => layers.push(give(below, lease, layer, backends, options).await?),
            None => {}
        }
    }
    Ok(Some(BlobChain::new(layers)))
}

/// Gives a ref its layer. One that came too late, as it was made in another compression at the same time, is a variant of the
/// first.
async fn give(
    to: &ImmutableRef,
    lease: &Lease,
    layer: Layer,
    backends: &LayerBackends,
    options: &DiffOptions,
) -> Result<Layer> {
    let first = to.set_blob(lease, &layer).await?;
    if first.descriptor.digest == layer.descriptor.digest {
        return Ok(first);
    }
    if first.diff_id == layer.diff_id {
        link_variant(to.backends().content.as_ref(), &first, &layer).await?;
    } else if let Ok(converter) = backends.converter(&options.compression) {
        // One of them is eStargz, whose DiffID is its own: that both are of one tar is found by making it of the first one again.
        converter.convert(lease, &first, &options.compression).await?;
    }
    Ok(first)
}

/// A layer of a chain.
enum Made {
    /// The ref had it.
    Before(Layer),
    /// The ref is to have it.
    Now(Layer),
}

/// The layer of one ref, made together with everybody who wants the same one now.
async fn make(of: &ImmutableRef, lease: &Lease, backends: &LayerBackends, options: &DiffOptions) -> Result<Made> {
    if let Some(layer) = of.layer() {
        return Ok(Made::Before(layer));
    }
    let configs = iter::once(&options.compression).chain(&options.variants);
    let key = (of.id().to_owned(), configs.map(|config| (config.compression.clone(), config.level)).collect());
    let work = || make_alone(of.clone(), backends.clone(), options.clone());
    backends.flights.run(key, work).await?.adopt_into(lease).await.map(Made::Now)
}

async fn make_alone(of: ImmutableRef, backends: LayerBackends, options: DiffOptions) -> Result<Held<Layer>> {
    of.refresh().await?;
    if let Some(layer) = of.layer() {
        return Ok(Held::found(layer));
    }
    let lease = TemporaryLease::create(of.backends().leases.as_ref()).await?;
    let layer = match known_to_parent_differ(&of, lease.lease(), &backends, &options).await? {
        Some(layer) => {
            convert_to_variants(lease.lease(), &backends, &layer, &options.variants).await?;
            layer
        }
        None => compare(&of, lease.lease(), &backends, options).await?,
    };
    Ok(Held::new(layer, lease))
}

async fn known_to_parent_differ(
    of: &ImmutableRef,
    lease: &Lease,
    backends: &LayerBackends,
    options: &DiffOptions,
) -> Result<Option<Layer>> {
    let Some(parent_differ) = &backends.parent_differ else { return Ok(None) };
    of.finalize().await?;
    let known = parent_differ.compare_with_parent(lease, &of.snapshot_key(), options).await?;
    Ok(match known {
        Some(ParentDiff { diff_id, blob: Some(blob) }) => Some(Layer::new(blob, diff_id)),
        // Without a blob there is nothing to give to the ref: the differ makes one.
        Some(ParentDiff { blob: None, .. }) | None => None,
    })
}

async fn compare(of: &ImmutableRef, lease: &Lease, backends: &LayerBackends, options: DiffOptions) -> Result<Layer> {
    let options = options.with_layer_mode(of.layer_mode());
    let supporting = |options: &DiffOptions| backends.differs.iter().find(|differ| differ.supports(options));
    if let Some(differ) = supporting(&options) {
        return diff(of, lease, differ.as_ref(), &options).await;
    }
    let unsupported = || {
        let what = format_args!("{} of {}", options.compression.compression, of.id());
        Error::new(ErrorKind::Unsupported, "find a differ", what)
    };
    let own = options.clone().with_variants([]);
    let differ = supporting(&own).filter(|_| own != options).ok_or_else(unsupported)?;
    let layer = diff(of, lease, differ.as_ref(), &own).await?;
    convert_to_variants(lease, backends, &layer, &options.variants).await?;
    Ok(layer)
}

/// Makes the variants that the maker of `layer` did not.
async fn convert_to_variants(
    lease: &Lease,
    backends: &LayerBackends,
    layer: &Layer,
    variants: &[CompressionConfig],
) -> Result<()> {
    for wanted in variants {
        backends.converter(wanted)?.convert(lease, layer, wanted).await?;
    }
    Ok(())
}

async fn diff(of: &ImmutableRef, lease: &Lease, differ: &dyn Differ, options: &DiffOptions) -> Result<Layer> {
    let parent = of.parent();
    let lower = match &parent {
        Some(parent) => parent.mounts().await?,
        None => Vec::new(),
    };
    let upper = of.mounts().await?;
    // The lease is in the key, so that other processes, and other compressions, have ingests of their own.
    let key = format!("layer-{}-{}", of.id(), lease.id());
    differ.diff(lease, &key, &lower, &upper, options).await
}
