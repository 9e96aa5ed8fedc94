//! A blob in memory that remembers which ranges were read.

use std::fmt;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use cache_core::Result;
use cache_core::ports::{BlobReader, ByteStream};
use futures::{StreamExt, stream};

/// What was read of a blob.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ranges(Arc<Mutex<Vec<Range<u64>>>>);

impl Ranges {
    /// Where the ranges began that were read since the last time.
    pub(crate) fn take_begins(&self) -> Vec<u64> {
        std::mem::take(&mut *self.0.lock().unwrap()).into_iter().map(|range| range.start).collect()
    }
}

pub(crate) struct MemoryBlob {
    bytes: Bytes,
    pub(crate) ranges: Ranges,
}

impl MemoryBlob {
    pub(crate) fn new(bytes: Vec<u8>) -> Self {
        Self { bytes: bytes.into(), ranges: Ranges::default() }
    }
}

impl fmt::Debug for MemoryBlob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryBlob").field("bytes", &self.bytes.len()).finish_non_exhaustive()
    }
}

#[async_trait]
impl BlobReader for MemoryBlob {
    fn size(&self) -> u64 {
        self.bytes.len() as u64
    }

    async fn read(&self, range: Range<u64>) -> Result<ByteStream> {
        self.ranges.0.lock().unwrap().push(range.clone());
        let end = range.end.min(self.size());
        let bytes = self.bytes.slice(range.start.min(end) as usize..end as usize);
        let pieces: Vec<_> = bytes.chunks(777).map(|piece| Ok(Bytes::copy_from_slice(piece))).collect();
        Ok(stream::iter(pieces).boxed())
    }

    fn local_file(&self) -> Option<PathBuf> {
        None
    }
}
