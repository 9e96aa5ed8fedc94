//! A chunk of a file: where it is, and getting it.

use std::io::{self, Read};
use std::sync::Arc;

use bytes::Bytes;
use cache_core::ports::{BlobReader, Pool};
use cache_core::{Digest, Error, ErrorKind, Result};

use super::limits::EstargzLimits;
use crate::codec::failure::error_of_io;
use crate::codec::gzip::GzipDecoder;
use crate::pack::{PipeReader, read_blocking};

/// Where a chunk is in its file and in the blob, by the table of contents.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Chunk {
    /// Bytes of the file before it.
    pub(super) file_offset: u64,
    pub(super) bytes: u64,
    /// Bytes of blob before its member.
    pub(super) offset: u64,
    /// Bytes of blob up to the next chunk's member, or to the table of contents.
    pub(super) end: u64,
    /// Bytes that the member inflates to before it.
    pub(super) inner_offset: u64,
    pub(super) digest: Option<Digest>,
}

impl Chunk {
    /// Fetches, inflates and verifies the chunk; nothing of it is given before its digest was compared.
    pub(super) async fn read(&self, pool: &dyn Pool, blob: &dyn BlobReader, limits: &EstargzLimits) -> Result<Bytes> {
        let maximum = limits.chunk_bytes;
        if self.bytes > maximum || self.inner_offset > maximum {
            let target = format_args!("an eStargz chunk of more than {maximum} bytes (chunk_bytes)");
            return Err(Error::new(ErrorKind::LimitExceeded, "read", target));
        }
        let Some(digest) = self.digest else {
            return Err(self.corrupt("of which the table of contents has no digest"));
        };
        let stream = blob.read(self.offset..self.end).await?;
        let chunk = self.clone();
        read_blocking(pool, stream, move |source| chunk.inflate(source, digest)).await
    }

    fn inflate(&self, source: PipeReader, digest: Digest) -> Result<Bytes> {
        let failure = |error| error_of_io("read an eStargz chunk", format_args!("at byte {}", self.offset), error);
        let mut decoder = GzipDecoder::new(Box::new(source));
        let before = io::copy(&mut (&mut decoder).take(self.inner_offset), &mut io::sink()).map_err(failure)?;
        let mut bytes = Vec::new();
        (&mut decoder).take(self.bytes).read_to_end(&mut bytes).map_err(failure)?;
        if before != self.inner_offset || bytes.len() as u64 != self.bytes {
            return Err(self.corrupt("that is shorter than the table of contents says"));
        }
        let mut hasher = cache_core::DigestHasher::new(digest.algorithm());
        hasher.update(&bytes);
        if hasher.finish() == digest {
            Ok(bytes.into())
        } else {
            Err(self.corrupt("with another digest than the table of contents says"))
        }
    }

    fn corrupt(&self, why: &'static str) -> Error {
        let target = format_args!("an eStargz chunk at byte {}, {why}", self.offset);
        Error::new(ErrorKind::Corrupt, "read", target)
    }
}

/// A blob whose chunks can be read, shared with the streams of its files.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) pool: Arc<dyn Pool>,
    pub(super) blob: Box<dyn BlobReader>,
    pub(super) limits: EstargzLimits,
}

impl Source {
    pub(super) async fn chunk(&self, chunk: &Chunk) -> Result<Bytes> {
        chunk.read(&*self.pool, &*self.blob, &self.limits).await
    }
}
