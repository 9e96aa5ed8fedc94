//! The image that a build starts from.

use std::sync::Arc;

use bytes::Bytes;
use cache_blobs::embedded::Embedded;
use cache_core::Digest;
use cache_core::cache::ImmutableRef;
use cache_core::ports::{Progress, TemporaryLease};

use crate::failure::Failure;
use crate::{cache, image};

/// A base image whose layers are in the store.
#[derive(Clone, Debug)]
pub(crate) struct Base {
    /// The manifest's digest.
    pub(crate) manifest: Digest,
    /// The config, as it is spelled.
    pub(crate) config: Bytes,
    /// The ref of the topmost layer; `None` for an image without layers.
    pub(crate) top: Option<ImmutableRef>,
}

impl Base {
    /// Fetches the image `source` into the store.
    pub(crate) async fn load(
        source: &str,
        store: &Embedded,
        lease: &TemporaryLease,
        progress: &Arc<dyn Progress>,
    ) -> Result<Self, Failure> {
        let found = image::open(source, &store.backends.pool).await?;
        let refs = cache::load(store, &image::remote(&found), lease, progress).await?;
        Ok(Self {
            manifest: found.manifest.descriptor.digest,
            config: found.config.bytes.clone(),
            top: refs.into_iter().last(),
        })
    }

    /// Its cache-map digest.
    pub(crate) fn cache_map(&self) -> Digest {
        Digest::of(format!("base:{}", self.manifest))
    }

    /// What the keys of steps over it start from.
    pub(crate) fn chain_key(&self) -> Digest {
        self.cache_map()
    }
}
