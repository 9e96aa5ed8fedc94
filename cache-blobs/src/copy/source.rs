//! Where a blob is read.

use bytes::Bytes;
use cache_core::ports::{BlobReader, Fetcher, Provider};
use cache_core::{Descriptor, Result};

/// Where a blob is read.
#[derive(Clone, Copy, Debug)]
pub enum BlobSource<'a> {
    /// A content store.
    Provider(&'a dyn Provider),
    /// A remote.
    Fetcher(&'a dyn Fetcher),
    /// The blob itself, in memory.
    Bytes(&'a Bytes),
}

impl BlobSource<'_> {
    /// Opens the blob of `descriptor`; `None` if the source has none.
    ///
    /// # Errors
    /// What the source gives.
    pub async fn open(&self, descriptor: &Descriptor) -> Result<Option<Box<dyn BlobReader>>> {
        match *self {
            Self::Provider(provider) => provider.open(descriptor).await,
            Self::Fetcher(fetcher) => fetcher.fetch(descriptor).await,
            Self::Bytes(bytes) => Ok(Some(Box::new(bytes.clone()))),
        }
    }
}
