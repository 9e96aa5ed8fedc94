//! Where the blob of a layer is.

use std::sync::Arc;

use async_trait::async_trait;
use cache_core::cache::{ImmutableRef, LazyBlob};
use cache_core::ports::{BlobReader, Provider};
use cache_core::{Descriptor, Layer, Result};

/// Where the blob of a layer is.
#[derive(Clone, Debug)]
pub(super) enum Place {
    /// In the store.
    Here,
    /// Where it can be pulled from.
    Elsewhere(Arc<dyn LazyBlob>),
}

impl Place {
    /// Where the blob of `layer` is; `None` if nobody knows.
    pub(super) async fn find(of: &ImmutableRef, layer: &Layer) -> Result<Option<Self>> {
        let is_here = of.backends().content.info(&layer.descriptor.digest).await?.is_some();
        Ok(if is_here { Some(Self::Here) } else { of.source().map(Self::Elsewhere) })
    }
}

/// The store's blobs.
pub(super) fn store(of: &ImmutableRef) -> Arc<dyn Provider> {
    Arc::clone(&of.backends().content) as Arc<dyn Provider>
}

/// The blob of a lazy ref, and no other: it is pulled when it is opened.
#[derive(Debug)]
pub(super) struct Lazy {
    pub(super) of: ImmutableRef,
    pub(super) layer: Layer,
}

#[async_trait]
impl Provider for Lazy {
    async fn open(&self, descriptor: &Descriptor) -> Result<Option<Box<dyn BlobReader>>> {
        if descriptor.digest != self.layer.descriptor.digest {
            return Ok(None);
        }
        self.of.make_present().await?;
        self.of.backends().content.open(descriptor).await
    }
}
