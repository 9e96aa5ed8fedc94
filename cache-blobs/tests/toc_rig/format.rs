//! A format with a table of contents, made and taken apart without the library's reader.

use std::fmt::Debug;
use std::ops::Range;

use cache_blobs::codec::Codec;
use cache_blobs::codec::estargz::{Toc, TocEntry, TocLimits};
use cache_blobs::pack::Packed;
use cache_core::ports::ByteStream;
use cache_core::{Annotations, Error, ErrorKind, Result, json};
use futures::TryStreamExt;
use pollster::block_on;

use super::MemoryBlob;
use crate::pack_rig::{Fate, Pace, pack_with};

pub(crate) trait Format {
    type Reader: Files + Debug;

    fn codec() -> Box<dyn Codec>;
    /// One member or frame.
    fn encode(bytes: &[u8]) -> Vec<u8>;
    /// What any reader of gzip or zstd makes of `blob`.
    fn decode(blob: &[u8]) -> Vec<u8>;
    /// What is in front of the table of contents.
    fn body(blob: &[u8]) -> &[u8];
    /// The table of contents.
    fn json(blob: &[u8]) -> Vec<u8>;
    /// `body` with another table of contents.
    fn with_toc(body: &[u8], json: &[u8]) -> Vec<u8>;
    /// The library's reader.
    fn open_blob(blob: MemoryBlob, annotations: &Annotations, limits: TocLimits) -> Result<Self::Reader>;

    fn try_pack(tar: &[u8], workers: usize, pace: Pace, piece: usize) -> (Result<Packed<()>>, Vec<u8>, Fate) {
        pack_with(&*Self::codec(), tar, workers, pace, piece)
    }

    /// `tar` as a blob.
    fn packed(tar: &[u8]) -> (Packed<()>, Vec<u8>) {
        let (packed, blob, _) = Self::try_pack(tar, 2, Pace::Fast, 70_001);
        (packed.unwrap(), blob)
    }

    fn toc(blob: &[u8]) -> Toc {
        Toc::parse(&Self::json(blob)).unwrap()
    }

    /// `blob` with other entries in its table of contents.
    fn with_entries(blob: &[u8], entries: &[TocEntry]) -> Vec<u8> {
        Self::with_toc(Self::body(blob), &json_of(entries))
    }

    /// By the footer alone.
    fn open(blob: Vec<u8>) -> Result<Self::Reader> {
        Self::open_with(blob, &Annotations::new(), TocLimits::default())
    }

    fn open_with(blob: Vec<u8>, annotations: &Annotations, limits: TocLimits) -> Result<Self::Reader> {
        Self::open_blob(MemoryBlob::new(blob), annotations, limits)
    }
}

/// A reader of single files.
pub(crate) trait Files {
    fn described(&self, path: &str) -> Option<&TocEntry>;
    fn stream(&self, path: &str, range: Range<u64>) -> Result<Option<ByteStream>>;
}

pub(crate) fn read_range(reader: &impl Files, path: &str, range: Range<u64>) -> Result<Vec<u8>> {
    let pieces = reader.stream(path, range)?.ok_or_else(|| Error::new(ErrorKind::NotFound, "read", path))?;
    Ok(block_on(pieces.try_collect::<Vec<_>>())?.concat())
}

pub(crate) fn read(reader: &impl Files, path: &str) -> Result<Vec<u8>> {
    read_range(reader, path, 0..u64::MAX)
}

pub(crate) fn json_of(entries: &[TocEntry]) -> Vec<u8> {
    #[derive(serde::Serialize)]
    struct Document<'a> {
        version: u32,
        entries: &'a [TocEntry],
    }
    json::to_vec(&Document { version: 1, entries }).unwrap()
}
