//! Bytes in memory as an open blob.

use std::ops::Range;
use std::path::PathBuf;

use async_trait::async_trait;
use bytes::Bytes;
use futures::{StreamExt, stream};

use crate::error::Result;
use crate::ports::content::{BlobReader, ByteStream};

#[async_trait]
impl BlobReader for Bytes {
    fn size(&self) -> u64 {
        self.len() as u64
    }

    async fn read(&self, range: Range<u64>) -> Result<ByteStream> {
        let clamp = |position: u64| usize::try_from(position).map_or(self.len(), |at| at.min(self.len()));
        let (start, end) = (clamp(range.start), clamp(range.end));
        let bytes = self.slice(start..end.max(start));
        Ok(stream::iter((!bytes.is_empty()).then_some(Ok(bytes))).boxed())
    }

    fn local_file(&self) -> Option<PathBuf> {
        None
    }
}
