//! A chunk of a file: where it is, and getting it.

use std::io::{self, Read};
use std::sync::Arc;

use bytes::Bytes;
use cache_core::ports::{BlobReader, Pool};
use cache_core::{Digest, Error, ErrorKind, Result};

use super::entry::ChunkKind;
use super::form::Form;
use super::limits::TocLimits;
use crate::codec::failure::error_of_io;
use crate::pack::{PipeReader, read_blocking};

/// Where a chunk is in its file and in the blob, by the table of contents.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::codec) struct Chunk {
    /// Bytes of the file before it.
    pub(in crate::codec) file_offset: u64,
    pub(in crate::codec) bytes: u64,
    pub(in crate::codec) kind: ChunkKind,
    /// Bytes of blob before its member or frame.
    pub(in crate::codec) offset: u64,
    /// Bytes of blob up to its end, or to the next chunk, or to the table of contents.
    pub(in crate::codec) end: u64,
    /// Bytes that the member inflates to before it.
    pub(in crate::codec) inner_offset: u64,
    pub(in crate::codec) digest: Option<Digest>,
}

impl Chunk {
    fn decode(&self, form: Form, source: PipeReader, digest: Digest) -> Result<Bytes> {
        let failure =
            |error| error_of_io("read a chunk", format_args!("of {} at byte {}", form.name, self.offset), error);
        let mut decoder = (form.decode)(Box::new(source))?;
        let before = io::copy(&mut (&mut decoder).take(self.inner_offset), &mut io::sink()).map_err(failure)?;
        let mut bytes = Vec::new();
        (&mut decoder).take(self.bytes).read_to_end(&mut bytes).map_err(failure)?;
        if before != self.inner_offset || bytes.len() as u64 != self.bytes {
            return Err(self.corrupt(form, "that is shorter than the table of contents says"));
        }
        let mut hasher = cache_core::DigestHasher::new(digest.algorithm());
        hasher.update(&bytes);
        if hasher.finish() == digest {
            Ok(bytes.into())
        } else {
            Err(self.corrupt(form, "with another digest than the table of contents says"))
        }
    }

    fn corrupt(&self, form: Form, why: &'static str) -> Error {
        let target = format_args!("a chunk of {} at byte {}, {why}", form.name, self.offset);
        Error::new(ErrorKind::Corrupt, "read", target)
    }
}

/// A blob whose chunks can be read, shared with the streams of its files.
#[derive(Debug)]
pub(in crate::codec) struct Source {
    pub(in crate::codec) form: Form,
    pub(in crate::codec) pool: Arc<dyn Pool>,
    pub(in crate::codec) blob: Box<dyn BlobReader>,
    pub(in crate::codec) limits: TocLimits,
}

impl Source {
    /// Fetches, decodes and verifies `chunk`; nothing of it is given before its digest was compared.
    pub(in crate::codec) async fn chunk(&self, chunk: &Chunk) -> Result<Bytes> {
        let (form, maximum) = (self.form, self.limits.chunk_bytes);
        if chunk.bytes > maximum || chunk.inner_offset > maximum {
            let target = format_args!("a chunk of {} of more than {maximum} bytes (chunk_bytes)", form.name);
            return Err(Error::new(ErrorKind::LimitExceeded, "read", target));
        }
        let Some(digest) = chunk.digest else {
            return Err(chunk.corrupt(form, "of which the table of contents has no digest"));
        };
        let stream = self.blob.read(chunk.offset..chunk.end).await?;
        let chunk = chunk.clone();
        read_blocking(&*self.pool, stream, move |source| chunk.decode(form, source, digest)).await
    }
}
