//! The files of a blob with a table of contents, read by their paths.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use cache_core::ports::{BlobReader, ByteStream, Pool};
use cache_core::{Error, Result};
use futures::{Stream, StreamExt, TryStreamExt, stream};

use super::chunk::{Chunk, Source};
use super::document::Toc;
use super::entry::{ChunkKind, TocEntry};
use super::form::Form;
use super::index::Index;
use super::limits::TocLimits;

/// Bytes of a run of zeros that are given at a time.
const ZEROS: &[u8] = &[0; 64 * 1024];

/// A checked table of contents, and the blob to which it points.
pub(in crate::codec) struct TocFiles {
    source: Arc<Source>,
    toc: Toc,
    index: Index,
}

impl TocFiles {
    /// The files of `blob`, whose table of contents `toc` has `toc_offset` bytes before it.
    ///
    /// # Errors
    /// `Corrupt` if the table cannot be true.
    pub(in crate::codec) fn new(
        form: Form,
        pool: Arc<dyn Pool>,
        blob: Box<dyn BlobReader>,
        limits: TocLimits,
        toc: Toc,
        toc_offset: u64,
    ) -> Result<Self> {
        let index = Index::of(&toc, toc_offset)?;
        Ok(Self { source: Arc::new(Source { form, pool, blob, limits }), toc, index })
    }

    pub(in crate::codec) fn toc(&self) -> &Toc {
        &self.toc
    }

    /// The entry that `path` names, in any spelling.
    pub(in crate::codec) fn entry(&self, path: &str) -> Option<&TocEntry> {
        self.index.entry(&self.toc, path)
    }

    /// The bytes of `range` of the regular file `path`, a chunk at a time; `None` if nothing has that name.
    pub(in crate::codec) fn read(&self, path: &str, range: Range<u64>) -> Result<Option<ByteStream>> {
        let Some((_, chunks)) = self.index.file(&self.toc, path)? else { return Ok(None) };
        let wanted: Vec<Chunk> = chunks
            .iter()
            .filter(|chunk| {
                !range.is_empty() && chunk.file_offset < range.end && range.start < chunk.file_offset + chunk.bytes
            })
            .cloned()
            .collect();
        let source = Arc::clone(&self.source);
        let pieces = stream::iter(wanted.into_iter().map(Ok::<_, Error>)).and_then(move |chunk| {
            let source = Arc::clone(&source);
            let begin = range.start.saturating_sub(chunk.file_offset).min(chunk.bytes);
            let end = range.end.saturating_sub(chunk.file_offset).min(chunk.bytes);
            async move {
                if chunk.kind == ChunkKind::Zeros {
                    return Ok(zeros(end - begin).map(Ok).left_stream());
                }
                let bytes = source.chunk(&chunk).await?;
                let within = |offset| usize::try_from(offset).map_or(bytes.len(), |it: usize| it.min(bytes.len()));
                Ok(stream::iter([Ok(bytes.slice(within(begin)..within(end)))]).right_stream())
            }
        });
        Ok(Some(ended_by_error(pieces.try_flatten().boxed())))
    }
}

impl fmt::Debug for TocFiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TocFiles")
            .field("source", &self.source)
            .field("toc_digest", &self.toc.digest)
            .field("entries", &self.toc.entries.len())
            .finish_non_exhaustive()
    }
}

/// That many zeros, in pieces.
fn zeros(bytes: u64) -> impl Stream<Item = Bytes> {
    stream::iter(std::iter::successors(Some((0, bytes)), |(_, left)| {
        let now = (*left).min(ZEROS.len() as u64);
        (now > 0).then(|| (now, left - now))
    }))
    .filter_map(|(now, _)| {
        let piece = usize::try_from(now).ok().and_then(|now| ZEROS.get(..now)).filter(|piece| !piece.is_empty());
        std::future::ready(piece.map(Bytes::from_static))
    })
}

/// `pieces` up to the first error.
fn ended_by_error(pieces: ByteStream) -> ByteStream {
    let until_error = |failed: &mut bool, piece: Result<_>| {
        let go_on = !*failed;
        *failed = piece.is_err();
        std::future::ready(go_on.then_some(piece))
    };
    pieces.scan(false, until_error).boxed()
}
