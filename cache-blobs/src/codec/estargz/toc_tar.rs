//! The table of contents as the archive entry that it is in the blob.

use cache_core::{Digest, DigestHasher, Error, ErrorKind, Result};

use super::TOC_NAME;
use crate::codec::toc::{TocEntry, TocSink};
use crate::failure::archive_kind;
use crate::tar::{Header, TAR_BLOCK_BYTES, Writer};

/// Bytes that end an archive.
const END_BYTES: usize = 2 * TAR_BLOCK_BYTES;
/// Bytes of JSON that are hashed at a time.
const HASHED_BYTES: usize = 64 * 1024;
const BEGIN: &[u8] = b"{\n\t\"version\": 1,\n\t\"entries\": ";

/// An archive with nothing but a table of contents, that grows by the entry. Only its JSON is held, and hashed meanwhile: when the
/// last entry is there, nothing else is left to do for the blob, and everybody waits.
#[derive(Debug)]
pub(super) struct TocTar {
    /// Room for the header, then JSON without its end.
    bytes: Vec<u8>,
    hasher: DigestHasher,
    /// Bytes of `bytes` that need not be hashed any more.
    hashed: usize,
    is_empty: bool,
}

/// A complete table of contents.
#[derive(Debug)]
pub(super) struct FinishedToc {
    /// The archive with it.
    pub(super) tar: Vec<u8>,
    /// The digest of its JSON.
    pub(super) digest: Digest,
}

impl TocTar {
    pub(super) fn new() -> Self {
        let mut bytes = vec![0; TAR_BLOCK_BYTES];
        bytes.extend_from_slice(BEGIN);
        Self { bytes, hasher: DigestHasher::default(), hashed: TAR_BLOCK_BYTES, is_empty: true }
    }

    /// The archive. Go writes a list without entries as `null`.
    pub(super) fn finish(mut self) -> Result<FinishedToc> {
        let failure = |error| {
            Error::new(archive_kind(&error), "write the table of contents", "an eStargz layer").with_source(error)
        };
        self.bytes.extend_from_slice(if self.is_empty { b"null" } else { b"\n\t]" });
        self.bytes.extend_from_slice(b"\n}");
        self.hash_at_least(0);
        let (mut tar, digest) = (self.bytes, self.hasher.finish());
        let json_bytes = tar.len().saturating_sub(TAR_BLOCK_BYTES);
        let header = Header::file(TOC_NAME, json_bytes as u64).with_mode(0);
        let mut head = [0; TAR_BLOCK_BYTES];
        Writer::new(&mut head[..]).begin(&header).map(drop).map_err(failure)?;
        let begin = tar.get_mut(..TAR_BLOCK_BYTES);
        begin
            .ok_or_else(|| Error::new(ErrorKind::Invalid, "write the table of contents", "without a header"))?
            .copy_from_slice(&head);
        tar.resize(tar.len().next_multiple_of(TAR_BLOCK_BYTES) + END_BYTES, 0);
        Ok(FinishedToc { tar, digest })
    }

    /// Hashes what is new, if that is so many bytes.
    fn hash_at_least(&mut self, enough: usize) {
        let new = self.bytes.get(self.hashed..).unwrap_or_default();
        if new.len() >= enough {
            self.hasher.update(new);
            self.hashed = self.bytes.len();
        }
    }
}

impl TocSink for TocTar {
    fn push(&mut self, entry: &TocEntry) -> Result<()> {
        self.bytes.extend_from_slice(if std::mem::take(&mut self.is_empty) { b"[" } else { b"," });
        // JSON strings hold no line breaks, so each one is the layout's.
        let json = cache_core::json::to_vec_tabbed(entry)?;
        for line in json.split(|byte| *byte == b'\n') {
            self.bytes.extend_from_slice(b"\n\t\t");
            self.bytes.extend_from_slice(line);
        }
        self.hash_at_least(HASHED_BYTES);
        Ok(())
    }
}
