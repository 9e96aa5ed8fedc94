//! Recognising the codec of a stored blob by its content.

use std::sync::Arc;

#[cfg(feature = "estargz")]
use cache_core::Compression;
use cache_core::Result;
use cache_core::ports::BlobReader;
use futures::TryStreamExt;

#[cfg(feature = "estargz")]
use crate::codec::estargz;
use crate::codec::port::Codec;
use crate::codec::registry::Codecs;
use crate::codec::sample::{SAMPLE_HEAD_BYTES, SAMPLE_TAIL_BYTES, Sample};

impl Codecs {
    /// The codec that made the blob of `reader`, by its first and its last bytes. Where these are eStargz's, the table of contents
    /// must be where the footer points; else the blob is what its first bytes say.
    ///
    /// # Errors
    /// As [`detect`](Self::detect); what `reader` gives.
    pub async fn recognise(&self, reader: &dyn BlobReader) -> Result<Arc<dyn Codec>> {
        let size = reader.size();
        let head = bytes(reader, 0, SAMPLE_HEAD_BYTES as u64).await?;
        let tail = bytes(reader, size.saturating_sub(SAMPLE_TAIL_BYTES as u64), size).await?;
        let found = self.detect(&Sample::of_head(&head).with_tail(&tail))?;
        #[cfg(feature = "estargz")]
        if found.compression() == Compression::EStargz && estargz::tar_end(reader).await?.is_none() {
            return self.detect(&Sample::of_head(&head));
        }
        Ok(found)
    }
}

async fn bytes(reader: &dyn BlobReader, from: u64, to: u64) -> Result<Vec<u8>> {
    let chunks: Vec<_> = reader.read(from..to).await?.try_collect().await?;
    Ok(chunks.concat())
}
