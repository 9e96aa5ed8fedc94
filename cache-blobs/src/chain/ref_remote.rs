//! The remotes of a ref.

use async_trait::async_trait;
use cache_core::cache::{ImmutableRef, MissingBlobs};
use cache_core::ports::{DiffOptions, Lease};
use cache_core::{Conversion, Result};

use crate::chain::compute::{Creation, compute_blob_chain};
use crate::chain::forced::{force, is_named};
use crate::chain::layer_backends::LayerBackends;
use crate::chain::place::Place;
use crate::chain::presented::{Found, check_family, present, with_media_type};
use crate::chain::remote_options::RemoteOptions;
use crate::chain::variant_remotes::VariantRemotes;
use crate::convert::{find_variant, variants};
use crate::remote::Remote;

/// The remotes of one ref.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Remotes {
    /// The ref's own layers, or their variants in a forced compression.
    pub main: Remote,
    /// What else stands for the ref: none where the compression is forced.
    pub variants: VariantRemotes,
}

/// Refs as layers that can be copied elsewhere. Mirrors: BuildKit `cache/remote.go`.
#[async_trait]
pub trait RemoteExt {
    /// The remote of the ref; `None` if one of its refs has no blob yet.
    ///
    /// # Errors
    /// As [`main_remote`](Self::main_remote).
    ///
    /// # Cancel safety
    /// As [`main_remote`](Self::main_remote).
    async fn remote(&self, lease: &Lease, backends: &LayerBackends) -> Result<Option<Remote>>;

    /// The remote of the ref, after missing blobs were made as `options` say; where they force a compression, in that one.
    /// `lease` holds what is made.
    ///
    /// # Errors
    /// As [`main_remote`](Self::main_remote).
    ///
    /// # Cancel safety
    /// As [`main_remote`](Self::main_remote).
    async fn ensure_remote(&self, lease: &Lease, backends: &LayerBackends, options: &DiffOptions) -> Result<Remote>;

    /// The remote of the ref without variants; `None` if blobs are missing and are not to be made; where a compression is
    /// forced, those in that one. With blobs that exist, in the
    /// compression that is forced if one is, nothing is written.
    ///
    /// # Errors
    /// As [`compute_blob_chain`]; where a compression is forced, as [`Converter::convert`](crate::convert::Converter::convert), and
    /// `Unsupported` without a converter; `Invalid` for a compression that may not be called by the wanted names; `NotFound` with
    /// [`MissingBlobs`] for blobs that are neither in the store nor can be pulled. A layer that can be is not, unless it has to be converted: it is when its
    /// provider is asked for it.
    ///
    /// # Cancel safety
    /// As [`compute_blob_chain`] and [`Converter::convert`](crate::convert::Converter::convert).
    ///
    /// Mirrors: BuildKit `cache/remote.go`, `GetRemotes` with `all` unset.
    async fn main_remote(
        &self,
        lease: &Lease,
        backends: &LayerBackends,
        options: &RemoteOptions,
    ) -> Result<Option<Remote>>;

    /// The main remote, and the variants whose topmost layer is in the compression of `options`, unless it is forced.
    ///
    /// # Errors
    /// As [`main_remote`](Self::main_remote); `Unsupported` without a converter.
    ///
    /// # Cancel safety
    /// As [`main_remote`](Self::main_remote).
    ///
    /// Mirrors: BuildKit `cache/remote.go`, `GetRemotes` with `all` set.
    async fn remotes(
        &self,
        lease: &Lease,
        backends: &LayerBackends,
        options: &RemoteOptions,
    ) -> Result<Option<Remotes>>;
}

#[async_trait]
impl RemoteExt for ImmutableRef {
    async fn remote(&self, lease: &Lease, backends: &LayerBackends) -> Result<Option<Remote>> {
        self.main_remote(lease, backends, &RemoteOptions::default().with_creation(Creation::LookOnly)).await
    }

    async fn ensure_remote(&self, lease: &Lease, backends: &LayerBackends, options: &DiffOptions) -> Result<Remote> {
        let remote = self.main_remote(lease, backends, &RemoteOptions::new(options.clone())).await?;
        Ok(remote.unwrap_or_default())
    }

    async fn main_remote(
        &self,
        lease: &Lease,
        backends: &LayerBackends,
        options: &RemoteOptions,
    ) -> Result<Option<Remote>> {
        let Some(chain) = find_chain(self, lease, backends, options).await? else { return Ok(None) };
        main_remote(&chain, lease, backends, options).await
    }

    async fn remotes(
        &self,
        lease: &Lease,
        backends: &LayerBackends,
        options: &RemoteOptions,
    ) -> Result<Option<Remotes>> {
        let Some(chain) = find_chain(self, lease, backends, options).await? else { return Ok(None) };
        let Some(main) = main_remote(&chain, lease, backends, options).await? else { return Ok(None) };
        let variants = match options.diff.compression.conversion {
            Conversion::AllLayers => VariantRemotes::default(),
            Conversion::NewLayersOnly => variant_remotes(&chain, backends, options).await?,
        };
        Ok(Some(Remotes { main, variants }))
    }
}

/// The layers of `top` with their blobs' places.
async fn find_chain(
    top: &ImmutableRef,
    lease: &Lease,
    backends: &LayerBackends,
    options: &RemoteOptions,
) -> Result<Option<Vec<Found>>> {
    let codecs = backends.converter.as_ref().map(|converter| &converter.backends().codecs);
    if let Some(codecs) = codecs {
        check_family(codecs, &options.diff.compression.compression, options.family)?;
    }
    let chain = compute_blob_chain(top, lease, backends, &options.diff, options.creation).await?;
    let Some(chain) = chain else { return Ok(None) };
    let mut found = Vec::with_capacity(chain.layers().len());
    let mut missing = Vec::new();
    for (of, layer) in top.layer_chain().into_iter().zip(chain.into_layers()) {
        match Place::find(&of, &layer).await? {
            Some(place) => found.push(with_media_type(Found { of, layer, place }, codecs).await?),
            None => missing.push(layer.descriptor.digest),
        }
    }
    if missing.is_empty() { Ok(Some(found)) } else { Err(MissingBlobs::new(missing).into_error(top.id())) }
}

async fn main_remote(
    chain: &[Found],
    lease: &Lease,
    backends: &LayerBackends,
    options: &RemoteOptions,
) -> Result<Option<Remote>> {
    let wanted = &options.diff.compression;
    let layers = match wanted.conversion {
        Conversion::NewLayersOnly => chain.iter().map(|found| found.layer.clone()).collect(),
        Conversion::AllLayers => match force(backends, lease, chain, wanted, options.creation).await? {
            Some(layers) => layers,
            None => return Ok(None),
        },
    };
    let shown = chain.iter().zip(&layers).map(|(found, layer)| present(found, layer, options));
    Ok(Some(Remote::new(shown.collect())))
}

async fn variant_remotes(chain: &[Found], backends: &LayerBackends, options: &RemoteOptions) -> Result<VariantRemotes> {
    let wanted = &options.diff.compression;
    let converter = backends.converter(wanted)?.backends();
    let content = converter.content.as_ref();
    let Some((top, below)) = chain.split_last() else { return Ok(VariantRemotes::default()) };
    let topmost = match top.place {
        Place::Here => find_variant(content, &converter.codecs, &top.layer, &wanted.compression).await?,
        Place::Elsewhere(_) => is_named(&converter.codecs, &top.layer, &wanted.compression).then(|| top.layer.clone()),
    };
    let Some(topmost) = topmost else { return Ok(VariantRemotes::default()) };
    let mut sets = Vec::with_capacity(chain.len());
    for found in below {
        let mut layers = variants(content, &found.layer).await?;
        if layers.is_empty() {
            // It is not in the store, and its own blob is the only one that is known.
            layers.push(found.layer.clone());
        }
        sets.push(layers.iter().map(|layer| present(found, layer, options)).collect());
    }
    sets.push(vec![present(top, &topmost, options)]);
    Ok(VariantRemotes::new(sets))
}
