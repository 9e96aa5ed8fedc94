//! What follows a zstd:chunked layer in order: it finds the files, keeps the table of contents, and ends the blob.

use cache_core::{Error, Result};

use super::ROLLING_CUTS_PER_BLOCK;
use super::footer::Footer;
use super::manifest::Manifest;
use super::open_file::OpenFile;
use super::skippable;
use super::tar_split::TarSplit;
use super::times::{record_of, time_of};
use crate::codec::encoder::{Block, DiffIdRule, EncodedBlock, Ending, Sequence, TarTotal};
use crate::codec::toc::{Done, Plan, Table, describe};
use crate::failure::archive_kind;
use crate::tar::{self, Kind, ReadLimits, Scanned, ScannedEntry, Scanner};

#[derive(Debug)]
pub(super) struct ManifestSequence {
    level: i32,
    scanner: Scanner,
    /// Archive that is no payload and was not told to tar-split yet.
    between: Vec<u8>,
    file: Option<OpenFile>,
    /// Made with the first block.
    written: Option<Written>,
}

/// What is written of the archive besides its blocks.
#[derive(Debug)]
struct Written {
    table: Table<Manifest>,
    tar_split: TarSplit,
}

impl Written {
    fn new(level: i32) -> Result<Self> {
        Ok(Self { table: Table::new(Manifest::new(level)?), tar_split: TarSplit::new(level)? })
    }
}

impl ManifestSequence {
    pub(super) fn new(level: i32) -> Self {
        let scanner = Scanner::new(ReadLimits::default());
        Self { level, scanner, between: Vec::new(), file: None, written: None }
    }

    fn written(&mut self) -> Result<Written> {
        self.written.take().map_or_else(|| Written::new(self.level), Ok)
    }
}

impl Written {
    /// Writes an entry, unless it is a file with contents that follow.
    fn entry(&mut self, scanned: &ScannedEntry, headers: Vec<u8>) -> Result<Option<OpenFile>> {
        let header = &scanned.header;
        self.tar_split.headers(headers)?;
        let mut entry = describe(scanned);
        let times = (time_of(header.modified), record_of(header, b"atime"), record_of(header, b"ctime"));
        let is_text =
            [&header.path, &header.link].into_iter().chain(header.xattrs.keys()).all(|it| str::from_utf8(it).is_ok());
        if !is_text || times.0.is_none() || times.1.is_none() || times.2.is_none() {
            self.tar_split.give_up();
        }
        entry.modified = times.0.unwrap_or_default();
        entry.accessed = times.1.unwrap_or_default();
        entry.changed = times.2.unwrap_or_default();
        if header.kind == Kind::File && header.size > 0 {
            return Ok(Some(OpenFile::new(entry)));
        }
        self.tar_split.entry(&entry.name, 0, None)?;
        self.table.push(entry)?;
        Ok(None)
    }
}

impl Sequence for ManifestSequence {
    fn block(&mut self, block: &mut Block) -> Result<()> {
        let mut written = self.written()?;
        let mut plan = Plan::default();
        let mut rolling_cuts = ROLLING_CUTS_PER_BLOCK;
        let mut rest = &block.bytes[..];
        loop {
            let piece = rest;
            let scanned = self.scanner.step(&mut rest).map_err(tar_failure)?;
            let (taken, _) = piece.split_at(piece.len() - rest.len());
            match scanned {
                Some(Scanned::Payload(payload)) => {
                    let Some(file) = &mut self.file else { continue };
                    let before = block.bytes.len() - rest.len() - payload.len();
                    let closed = file.take(payload, before, &mut rolling_cuts, &mut plan, &mut written.table);
                    if let Some(closed) = closed {
                        self.file = None;
                        written.tar_split.entry(&closed.name, closed.size, Some(closed.checksum))?;
                    }
                }
                Some(Scanned::Entry(entry)) => {
                    self.between.extend_from_slice(taken);
                    self.file = written.entry(&entry, std::mem::take(&mut self.between))?;
                }
                None => {
                    self.between.extend_from_slice(taken);
                    break;
                }
            }
        }
        // Headers are told as a whole, whatever follows the archive by the block.
        if self.scanner.is_ended() && !self.between.is_empty() {
            written.tar_split.rest(std::mem::take(&mut self.between))?;
        }
        block.plan = Some(Box::new(plan));
        self.written = Some(written);
        Ok(())
    }

    fn encoded(&mut self, encoded: EncodedBlock) -> Result<()> {
        let mut written = self.written()?;
        let done = encoded.notes.and_then(|notes| notes.downcast::<Done>().ok()).unwrap_or_default();
        for cut in done.cuts {
            written.table.place(encoded.blob_offset + cut.at, cut.digest)?;
        }
        written.table.settle()?;
        self.written = Some(written);
        Ok(())
    }

    fn finish(mut self: Box<Self>, total: TarTotal) -> Result<Ending> {
        self.scanner.finish().map_err(tar_failure)?;
        let mut written = self.written()?;
        if !self.between.is_empty() {
            written.tar_split.rest(self.between)?;
        }
        let tar_split = written.tar_split.finish()?;
        let digest_of_split = tar_split.as_ref().map(super::packed_json::Packed::digest);
        let manifest = written.table.finish()?.finish(digest_of_split)?;
        let mut trailer = Vec::new();
        let place = manifest.append(total.blob_bytes, &mut trailer)?;
        let split_place = tar_split.map(|it| it.append(total.blob_bytes, &mut trailer)).transpose()?;
        let footer = Footer::new(place, split_place);
        skippable::append(&footer.to_bytes(), &mut trailer)?;
        Ok(Ending { trailer, annotations: footer.to_annotations(manifest.digest()), diff_id: DiffIdRule::OfTar })
    }
}

fn tar_failure(error: tar::Error) -> Error {
    Error::new(archive_kind(&error), "pack as zstd:chunked", "a tar").with_source(error)
}
