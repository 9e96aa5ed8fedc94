//! The remote of a ref.

use std::sync::Arc;

use async_trait::async_trait;
use cache_core::annotation::CREATED_AT;
use cache_core::cache::ImmutableRef;
use cache_core::ports::{DiffOptions, Lease, Provider};
use cache_core::{Layer, Result};

use crate::chain::compute::{Creation, compute_blob_chain};
use crate::chain::layer_backends::LayerBackends;
use crate::remote::{Remote, RemoteLayer};

/// Refs as layers that can be copied elsewhere. Mirrors: BuildKit `cache/remote.go`, `GetRemotes` with `all` unset.
#[async_trait]
pub trait RemoteExt {
    /// The remote of the ref; `None` if one of its refs has no blob yet.
    ///
    /// # Errors
    /// The backends' own failures.
    async fn remote(&self, lease: &Lease, backends: &LayerBackends) -> Result<Option<Remote>>;

    /// The remote of the ref, after missing blobs were made as `options` say. `lease` holds what is made.
    ///
    /// # Errors
    /// As [`compute_blob_chain`].
    ///
    /// # Cancel safety
    /// As [`compute_blob_chain`].
    async fn ensure_remote(&self, lease: &Lease, backends: &LayerBackends, options: &DiffOptions) -> Result<Remote>;
}

#[async_trait]
impl RemoteExt for ImmutableRef {
    async fn remote(&self, lease: &Lease, backends: &LayerBackends) -> Result<Option<Remote>> {
        let options = DiffOptions::default();
        let chain = compute_blob_chain(self, lease, backends, &options, Creation::LookOnly).await?;
        Ok(chain.map(|chain| remote(self, chain.into_layers())))
    }

    async fn ensure_remote(&self, lease: &Lease, backends: &LayerBackends, options: &DiffOptions) -> Result<Remote> {
        let chain = compute_blob_chain(self, lease, backends, options, Creation::MakeMissing).await?;
        Ok(remote(self, chain.unwrap_or_default().into_layers()))
    }
}

fn remote(top: &ImmutableRef, layers: Vec<Layer>) -> Remote {
    let provider: Arc<dyn Provider> = Arc::clone(&top.backends().content) as Arc<dyn Provider>;
    let described = |(of, mut layer): (ImmutableRef, Layer)| {
        layer.descriptor.annotations.insert(CREATED_AT.to_owned(), of.created_at().to_utc().to_string());
        RemoteLayer { layer, provider: Arc::clone(&provider) }
    };
    Remote::new(top.layer_chain().into_iter().zip(layers).map(described).collect())
}
