//! What follows an eStargz layer in order: it finds the files, keeps the table of contents, and ends the blob.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use cache_core::{Annotations, Digest, Error, ErrorKind, Result};
use libdeflater::Compressor;

use super::footer::Footer;
use super::open_file::{OpenFile, Run};
use super::time::time_of;
use super::toc_tar::TocTar;
use super::{CHUNK_BYTES, TOC_DIGEST, TOC_NAME, UNCOMPRESSED_SIZE};
use crate::codec::contexts::Contexts;
use crate::codec::encoder::{Block, DiffIdRule, EncodedBlock, Ending, Sequence, TarTotal};
use crate::codec::gzip::{compression_level, member};
use crate::codec::toc::{Cut, DigestOf, Done, Plan, Table, TocEntry, TocKind, clean, describe, text_of};
use crate::failure::archive_kind;
use crate::tar::{self, Kind, ReadLimits, Scanned, ScannedEntry, Scanner};

pub(super) struct TocSequence {
    level: i32,
    contexts: Arc<Contexts<Compressor>>,
    scanner: Scanner,
    table: Table<TocTar>,
    file: Option<Following>,
    user_names: BTreeMap<u64, Vec<u8>>,
    group_names: BTreeMap<u64, Vec<u8>>,
}

/// The file whose payload passes by.
#[derive(Debug)]
struct Following {
    file: OpenFile,
    /// Its entry, until its first chunk begins.
    entry: TocEntry,
    /// The numbers of its first and its current chunk.
    first: u64,
    chunk: u64,
}

impl TocSequence {
    pub(super) fn new(level: i32, contexts: Arc<Contexts<Compressor>>) -> Self {
        Self {
            level,
            contexts,
            scanner: Scanner::new(ReadLimits::default()),
            table: Table::new(TocTar::new()),
            file: None,
            user_names: BTreeMap::new(),
            group_names: BTreeMap::new(),
        }
    }

    fn entry(&mut self, scanned: &ScannedEntry) -> Result<()> {
        let header = &scanned.header;
        let mut entry = describe(scanned);
        if clean(&entry.name) == TOC_NAME {
            return Err(Error::new(ErrorKind::Invalid, "pack as eStargz", "a tar with a table of contents of its own"));
        }
        entry.modified = time_of(header.modified).unwrap_or_default();
        entry.user_name = if_changed(&mut self.user_names, header.uid, &header.user_name);
        entry.group_name = if_changed(&mut self.group_names, header.gid, &header.group_name);
        match header.kind {
            Kind::File if header.size > 0 => {
                self.file = Some(Following { file: OpenFile::new(header.size), entry, first: 0, chunk: 0 });
                return Ok(());
            }
            Kind::File => entry.digest = Some(Digest::of([])),
            _ => {}
        }
        self.table.push(entry)
    }

    /// Takes payload that has `before` bytes of the block before it.
    fn payload(&mut self, payload: &[u8], before: usize, plan: &mut Plan) {
        let Some(Following { file, entry, first, chunk }) = &mut self.file else { return };
        let table = &mut self.table;
        let mut closed = false;
        file.take(payload, |at, run| match run {
            Run::Begin { chunk_offset, chunk_bytes, whole } => {
                let name = entry.name.clone();
                let size = entry.size;
                let mut next = match chunk_offset {
                    0 => std::mem::replace(entry, TocEntry { name, size, ..TocEntry::default() }),
                    _ => TocEntry { name, kind: TocKind::Chunk, ..TocEntry::default() },
                };
                next.chunk_offset = chunk_offset;
                // A last chunk that is shorter says no size.
                next.chunk_size = if chunk_bytes == CHUNK_BYTES { chunk_bytes } else { 0 };
                // The place and the digest; the file's digest, if it is another one.
                let (missing, digest_of) = match chunk_offset {
                    0 if chunk_bytes == size && whole => (2, DigestOf::ChunkAndFile),
                    0 => (3, DigestOf::Chunk),
                    _ => (2, DigestOf::Chunk),
                };
                let whole = if whole { usize::try_from(chunk_bytes).ok() } else { None };
                plan.cuts.push(Cut { at: before + at, whole });
                *chunk = table.push_chunk(next, missing, digest_of);
                if chunk_offset == 0 {
                    *first = *chunk;
                }
            }
            Run::End { chunk_digest } => {
                chunk_digest.into_iter().for_each(|digest| table.set_chunk_digest(*chunk, digest));
            }
            Run::Closed { digest } => {
                digest.into_iter().for_each(|digest| table.fill(*first, |entry| entry.digest = Some(digest)));
                closed = true;
            }
        });
        if closed {
            self.file = None;
        }
    }
}

impl Sequence for TocSequence {
    fn block(&mut self, block: &mut Block) -> Result<()> {
        let mut plan = Plan::default();
        let mut rest = &block.bytes[..];
        while let Some(scanned) = self.scanner.step(&mut rest).map_err(tar_failure)? {
            match scanned {
                Scanned::Entry(entry) => self.entry(&entry)?,
                Scanned::Payload(payload) => {
                    let before = block.bytes.len() - rest.len() - payload.len();
                    self.payload(payload, before, &mut plan);
                }
            }
        }
        block.plan = Some(Box::new(plan));
        Ok(())
    }

    fn encoded(&mut self, encoded: EncodedBlock) -> Result<()> {
        let done = encoded.notes.and_then(|notes| notes.downcast::<Done>().ok()).unwrap_or_default();
        for cut in done.cuts {
            self.table.place(encoded.blob_offset + cut.at, cut.digest)?;
        }
        self.table.settle()
    }

    fn finish(self: Box<Self>, total: TarTotal) -> Result<Ending> {
        self.scanner.finish().map_err(tar_failure)?;
        let toc = self.table.finish()?.finish()?;
        let level = compression_level(self.level)?;
        let mut trailer =
            self.contexts.lend(|| Ok(Compressor::new(level)), |compressor| member::one(compressor, &toc.tar))?;
        trailer.extend(Footer::new(total.blob_bytes).to_bytes());
        let mut hasher = total.hasher;
        hasher.update(&toc.tar);
        let uncompressed_bytes = total.tar_bytes + toc.tar.len() as u64;
        let annotations = Annotations::from([
            (TOC_DIGEST.to_owned(), toc.digest.to_string()),
            (UNCOMPRESSED_SIZE.to_owned(), uncompressed_bytes.to_string()),
        ]);
        let diff_id = DiffIdRule::Own { diff_id: hasher.finish(), uncompressed_bytes };
        Ok(Ending { trailer, annotations, diff_id })
    }
}

fn tar_failure(error: tar::Error) -> Error {
    Error::new(archive_kind(&error), "pack as eStargz", "a tar").with_source(error)
}

/// The name of an owner, unless the table has it already.
fn if_changed(known: &mut BTreeMap<u64, Vec<u8>>, id: u64, name: &[u8]) -> String {
    if name.is_empty() || known.get(&id).is_some_and(|known| known == name) {
        return String::new();
    }
    known.insert(id, name.to_vec());
    text_of(name)
}

impl fmt::Debug for TocSequence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TocSequence").field("table", &self.table).finish_non_exhaustive()
    }
}
