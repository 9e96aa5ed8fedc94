//! The regular file whose payload passes by.

use cache_core::{Digest, DigestHasher};

use super::CHUNK_BYTES;

/// Follows a file's payload over blocks, and digests what no encoder sees as a whole.
#[derive(Debug)]
pub(super) struct OpenFile {
    size: u64,
    seen: u64,
    /// Of the whole file; `None` if that is known from its only chunk.
    hasher: Option<DigestHasher>,
    /// Of the current chunk, if it is not the first one, whose digest the file's hasher has in passing.
    chunk_hasher: Option<DigestHasher>,
    chunk_left: u64,
}

/// What a run of payload means.
#[derive(Debug)]
pub(super) enum Run {
    /// A chunk begins here, of which that many bytes are left in the file; whether all of it is at hand.
    Begin {
        /// Bytes of the file before it.
        chunk_offset: u64,
        /// Its length.
        chunk_bytes: u64,
        /// Whether all of it is in the block.
        whole: bool,
    },
    /// The current chunk is over; its digest, if it was taken here.
    End { chunk_digest: Option<Digest> },
    /// The file is over; its digest, if it has several chunks or its only one was digested here.
    Closed { digest: Option<Digest> },
}

impl OpenFile {
    /// A file of `size` bytes, more than none.
    pub(super) fn new(size: u64) -> Self {
        Self { size, seen: 0, hasher: None, chunk_hasher: None, chunk_left: 0 }
    }

    /// Takes the next part of the payload, all that is in the block, and tells what begins and ends in it: each with the
    /// bytes of `payload` before it.
    pub(super) fn take(&mut self, payload: &[u8], mut tell: impl FnMut(usize, Run)) {
        let mut rest = payload;
        while !rest.is_empty() {
            let at = payload.len() - rest.len();
            if self.chunk_left == 0 {
                let chunk_bytes = CHUNK_BYTES.min(self.size - self.seen);
                let whole = chunk_bytes <= rest.len() as u64;
                self.begin_chunk(chunk_bytes, whole);
                tell(at, Run::Begin { chunk_offset: self.seen, chunk_bytes, whole });
            }
            let now = usize::try_from(self.chunk_left).map_or(rest.len(), |left| left.min(rest.len()));
            let (bytes, later) = rest.split_at(now);
            rest = later;
            for hasher in self.hasher.iter_mut().chain(&mut self.chunk_hasher) {
                hasher.update(bytes);
            }
            self.seen += now as u64;
            self.chunk_left -= now as u64;
            if self.chunk_left == 0 {
                let first = self.seen <= CHUNK_BYTES;
                let hasher = if first { self.hasher.clone() } else { self.chunk_hasher.take() };
                tell(at + now, Run::End { chunk_digest: hasher.map(DigestHasher::finish) });
            }
            if self.seen == self.size {
                tell(at + now, Run::Closed { digest: self.hasher.take().map(DigestHasher::finish) });
                return;
            }
        }
    }

    fn begin_chunk(&mut self, chunk_bytes: u64, whole: bool) {
        self.chunk_left = chunk_bytes;
        let only = chunk_bytes == self.size;
        if self.seen == 0 && !(only && whole) {
            self.hasher = Some(DigestHasher::default());
        }
        if self.seen > 0 && !whole {
            self.chunk_hasher = Some(DigestHasher::default());
        }
    }
}
