//! Blobs as they are read.

use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::channel::oneshot;
use futures::stream::{self, StreamExt};

use crate::error::{Error, ErrorKind, Result};
use crate::local::blobs::BlobFile;
use crate::ports::{BlobReader, ByteStream, Pool};

/// Bytes of a chunk. A stream holds two: the one that its caller has and the one that is being read.
const CHUNK_BYTES: u64 = 256 * 1024;

/// An open blob.
#[derive(Debug)]
pub(super) struct LocalReader {
    blob: Arc<BlobFile>,
    pool: Arc<dyn Pool>,
}

impl LocalReader {
    pub(super) fn boxed(blob: BlobFile, pool: Arc<dyn Pool>) -> Box<dyn BlobReader> {
        Box::new(Self { blob: Arc::new(blob), pool })
    }
}

#[async_trait]
impl BlobReader for LocalReader {
    fn size(&self) -> u64 {
        self.blob.size
    }

    async fn read(&self, range: Range<u64>) -> Result<ByteStream> {
        let end = range.end.min(self.blob.size);
        let ahead = Ahead { blob: Arc::clone(&self.blob), pool: Arc::clone(&self.pool), position: range.start, end };
        let first = ahead.start();
        Ok(stream::unfold(first, |reading| async move {
            let (receiver, mut ahead) = reading?;
            let chunk = receiver
                .await
                .unwrap_or_else(|_| Err(Error::new(ErrorKind::Cancelled, "read blob", ahead.blob.path.display())));
            let next = match &chunk {
                Ok(chunk) => {
                    ahead.position += chunk.len() as u64;
                    ahead.start()
                }
                Err(_) => None,
            };
            Some((chunk, next))
        })
        .boxed())
    }

    fn local_file(&self) -> Option<PathBuf> {
        Some(self.blob.path.clone())
    }
}

/// What is still to be read.
struct Ahead {
    blob: Arc<BlobFile>,
    pool: Arc<dyn Pool>,
    position: u64,
    end: u64,
}

impl Ahead {
    /// Has the next chunk read; `None` at the end.
    fn start(self) -> Option<(oneshot::Receiver<Result<Bytes>>, Self)> {
        let length = usize::try_from(self.end.checked_sub(self.position)?.min(CHUNK_BYTES)).ok()?;
        if length == 0 {
            return None;
        }
        let (sender, receiver) = oneshot::channel();
        let (blob, position) = (Arc::clone(&self.blob), self.position);
        let spawned = self.pool.spawn(Box::new(move || drop(sender.send(read(&blob, position, length)))));
        match spawned {
            Ok(()) => Some((receiver, self)),
            Err(error) => {
                let (sender, receiver) = oneshot::channel();
                drop(sender.send(Err(error)));
                Some((receiver, self))
            }
        }
    }
}

fn read(blob: &BlobFile, position: u64, length: usize) -> Result<Bytes> {
    let mut chunk = vec![0; length];
    match blob.file.read_exact_at(&mut chunk, position) {
        Ok(()) => Ok(chunk.into()),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            Err(Error::new(ErrorKind::Corrupt, "read blob", blob.path.display()).with_source("the file was cut"))
        }
        Err(error) => Err(Error::io("read blob", blob.path.display(), error)),
    }
}
