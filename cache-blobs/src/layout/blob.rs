//! Reading a blob's file on the pool.

use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use cache_core::ports::{BlobReader, ByteStream, Pool, PoolExt};
use cache_core::{Error, Result};
use futures::StreamExt;

/// Bytes that one job of the pool reads. One chunk is in flight for each stream.
const CHUNK_BYTES: u64 = 256 * 1024;

/// A blob whose file is open, so that it stays readable when the file is removed.
#[derive(Debug)]
pub(super) struct LayoutBlob {
    pub(super) file: Arc<File>,
    pub(super) path: PathBuf,
    pub(super) size: u64,
    pub(super) pool: Arc<dyn Pool>,
}

#[async_trait]
impl BlobReader for LayoutBlob {
    fn size(&self) -> u64 {
        self.size
    }

    async fn read(&self, range: Range<u64>) -> Result<ByteStream> {
        let (file, pool, path) = (Arc::clone(&self.file), Arc::clone(&self.pool), self.path.clone());
        let end = range.end.min(self.size);
        let stream = futures::stream::try_unfold(range.start, move |offset| {
            let (file, pool, path) = (Arc::clone(&file), Arc::clone(&pool), path.clone());
            async move {
                if offset >= end {
                    return Ok(None);
                }
                let chunk = pool.run(move || read_chunk(&file, &path, offset, end)).await?;
                Ok((!chunk.is_empty()).then(|| (chunk.clone(), offset + chunk.len() as u64)))
            }
        });
        Ok(stream.boxed())
    }

    fn local_file(&self) -> Option<PathBuf> {
        Some(self.path.clone())
    }
}

fn read_chunk(file: &File, path: &std::path::Path, offset: u64, end: u64) -> Result<Bytes> {
    let wanted = usize::try_from((end - offset).min(CHUNK_BYTES)).expect("a chunk fits in memory");
    let mut chunk = vec![0; wanted];
    let mut filled = 0;
    while filled < wanted {
        match file.read_at(&mut chunk[filled..], offset + filled as u64) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(Error::io("read blob", path.display(), error)),
        }
    }
    chunk.truncate(filled);
    Ok(chunk.into())
}
