//! A document that is in memory, to be copied like any other blob.

use std::ops::Range;
use std::path::PathBuf;

use async_trait::async_trait;
use bytes::Bytes;
use cache_core::ports::{BlobReader, ByteStream, Provider};
use cache_core::{Descriptor, Result};
use futures::{StreamExt, stream};

/// The document, whatever it is asked for.
#[derive(Clone, Debug)]
pub(crate) struct InMemory(pub(crate) Bytes);

#[async_trait]
impl Provider for InMemory {
    async fn open(&self, _: &Descriptor) -> Result<Option<Box<dyn BlobReader>>> {
        Ok(Some(Box::new(self.clone())))
    }
}

#[async_trait]
impl BlobReader for InMemory {
    fn size(&self) -> u64 {
        self.0.len() as u64
    }

    async fn read(&self, range: Range<u64>) -> Result<ByteStream> {
        let length = self.0.len();
        let end = usize::try_from(range.end).unwrap_or(length).min(length);
        let start = usize::try_from(range.start).unwrap_or(length).min(end);
        let rest = self.0.slice(start..end);
        Ok(stream::iter((!rest.is_empty()).then_some(Ok(rest))).boxed())
    }

    fn local_file(&self) -> Option<PathBuf> {
        None
    }
}
