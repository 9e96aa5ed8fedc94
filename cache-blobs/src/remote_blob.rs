//! The blobs of lazy refs.

use std::sync::Arc;

use async_trait::async_trait;
use cache_core::cache::LazyBlob;
use cache_core::ports::{BlobReader, ExportTarget, Fetcher, Provider};
use cache_core::{Descriptor, Result};

use crate::copy::{BlobSource, CopyOptions, copy_blob};

/// Blobs that lazy refs pull when they are needed, from a provider or a fetcher.
#[derive(Clone, Debug)]
pub struct RemoteBlob(Source);

#[derive(Clone, Debug)]
enum Source {
    Provider(Arc<dyn Provider>),
    Fetcher(Arc<dyn Fetcher>),
}

impl RemoteBlob {
    /// Blobs that `provider` has.
    pub fn from_provider(provider: Arc<dyn Provider>) -> Arc<dyn LazyBlob> {
        Arc::new(Self(Source::Provider(provider)))
    }

    /// Blobs that `fetcher` can fetch.
    pub fn from_fetcher(fetcher: Arc<dyn Fetcher>) -> Arc<dyn LazyBlob> {
        Arc::new(Self(Source::Fetcher(fetcher)))
    }

    fn source(&self) -> BlobSource<'_> {
        match &self.0 {
            Source::Provider(provider) => BlobSource::Provider(provider.as_ref()),
            Source::Fetcher(fetcher) => BlobSource::Fetcher(fetcher.as_ref()),
        }
    }
}

#[async_trait]
impl Provider for RemoteBlob {
    async fn open(&self, descriptor: &Descriptor) -> Result<Option<Box<dyn BlobReader>>> {
        self.source().open(descriptor).await
    }
}

#[async_trait]
impl LazyBlob for RemoteBlob {
    async fn copy_to(&self, descriptor: &Descriptor, target: &dyn ExportTarget, key: &str) -> Result<()> {
        copy_blob(self.source(), target, descriptor, key, &CopyOptions::default()).await?;
        Ok(())
    }
}
