//! The regular file whose payload passes by.

use cache_core::DigestHasher;

use super::crc64::Crc64;
use super::manifest::Manifest;
use super::splitter::{Run, Splitter};
use crate::codec::toc::{ChunkKind, Cut, DigestOf, Plan, Table, TocEntry, TocKind};

/// Follows a file's payload over blocks, finds its chunks, and digests what no encoder sees as a whole.
#[derive(Debug)]
pub(super) struct OpenFile {
    /// Its entry, until its first chunk begins.
    entry: TocEntry,
    size: u64,
    seen: u64,
    splitter: Splitter,
    checksum: Crc64,
    /// Of the whole file; `None` if that is known from its only chunk.
    hasher: Option<DigestHasher>,
    /// The number of its first entry.
    first: u64,
    chunk: Option<OpenChunk>,
}

/// The chunk that passes by.
#[derive(Debug)]
struct OpenChunk {
    number: u64,
    kind: ChunkKind,
    /// Bytes of the file before it.
    offset: u64,
    /// Of the chunk, if who encodes it does not see all of it and it is not the first one, whose digest the file's hasher has in
    /// passing.
    hasher: Option<DigestHasher>,
    /// Whether who encodes it takes its digest.
    is_whole: bool,
}

/// A file of which nothing is left.
#[derive(Debug)]
pub(super) struct Closed {
    pub(super) name: String,
    pub(super) size: u64,
    pub(super) checksum: [u8; 8],
}

impl OpenFile {
    /// The file of `entry`, which is not empty.
    pub(super) fn new(entry: TocEntry) -> Self {
        Self {
            size: entry.size,
            entry,
            seen: 0,
            splitter: Splitter::new(),
            checksum: Crc64::new(),
            hasher: None,
            first: 0,
            chunk: None,
        }
    }

    /// Takes the next part of the payload, all that is in the block, which has `before` bytes before it there.
    pub(super) fn take(
        &mut self,
        payload: &[u8],
        before: usize,
        rolling_cuts: &mut usize,
        plan: &mut Plan,
        table: &mut Table<Manifest>,
    ) -> Option<Closed> {
        self.checksum.update(payload);
        let mut runs = Vec::new();
        self.splitter.split(payload, rolling_cuts, |run| runs.push(run));
        let is_last = self.seen + payload.len() as u64 == self.size;
        if let Some(last) = runs.last_mut().filter(|_| is_last) {
            last.ends = true;
        }
        let mut at = 0;
        for run in runs {
            self.run(run, payload.get(at..at + run.bytes).unwrap_or_default(), before + at, plan, table);
            at += run.bytes;
        }
        if !is_last {
            return None;
        }
        plan.cuts.push(Cut { at: before + payload.len(), whole: None });
        table.expect_end(self.first);
        if let Some(hasher) = self.hasher.take() {
            let digest = hasher.finish();
            table.fill(self.first, |entry| entry.digest = Some(digest));
        }
        Some(Closed { name: std::mem::take(&mut self.entry.name), size: self.size, checksum: self.checksum.finish() })
    }

    fn run(&mut self, run: Run, bytes: &[u8], at: usize, plan: &mut Plan, table: &mut Table<Manifest>) {
        let chunk = match self.chunk.take() {
            Some(chunk) => chunk,
            None => self.begin(run, at, plan, table),
        };
        let mut chunk = chunk;
        for hasher in self.hasher.iter_mut().chain(&mut chunk.hasher) {
            hasher.update(bytes);
        }
        self.seen += bytes.len() as u64;
        if !run.ends {
            self.chunk = Some(chunk);
        } else if !chunk.is_whole {
            self.end(chunk, table);
        }
    }

    /// Begins the chunk of `run`, which has `at` bytes of the block before it.
    fn begin(&mut self, run: Run, at: usize, plan: &mut Plan, table: &mut Table<Manifest>) -> OpenChunk {
        let (offset, is_first, is_whole) = (self.seen, self.seen == 0, run.ends);
        let is_only = is_whole && run.bytes as u64 == self.size;
        let name = self.entry.name.clone();
        let mut entry = if is_first {
            std::mem::replace(&mut self.entry, TocEntry { name, ..TocEntry::default() })
        } else {
            TocEntry { name, kind: TocKind::Chunk, chunk_offset: offset, ..TocEntry::default() }
        };
        if is_whole && !is_only {
            (entry.chunk_size, entry.chunk_kind) = (run.bytes as u64, run.kind);
        }
        // Place and digest; if it is the first one, the file's end; and the file's digest, if it is another one.
        let missing = 2 + u32::from(is_first) + u32::from(is_first && !is_only);
        let number = table.push_chunk(entry, missing, if is_only { DigestOf::File } else { DigestOf::Chunk });
        if is_first {
            self.first = number;
            self.hasher = (!is_only).then(DigestHasher::default);
        }
        plan.cuts.push(Cut { at, whole: is_whole.then_some(run.bytes) });
        let hasher = (!is_first && !is_whole).then(DigestHasher::default);
        OpenChunk { number, kind: run.kind, offset, hasher, is_whole }
    }

    /// Ends a chunk that spans blocks. A file's only chunk has no fields of its own.
    fn end(&self, chunk: OpenChunk, table: &mut Table<Manifest>) {
        let bytes = self.seen - chunk.offset;
        let digest = chunk.hasher.or_else(|| self.hasher.clone()).map(DigestHasher::finish);
        table.fill(chunk.number, |entry| {
            if bytes < self.size {
                (entry.chunk_size, entry.chunk_kind, entry.chunk_digest) = (bytes, chunk.kind, digest);
            }
        });
    }
}
