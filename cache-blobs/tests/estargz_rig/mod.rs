//! Tars, packed as eStargz, and blobs in memory that remember which ranges were read.
#![allow(dead_code, clippy::unwrap_used, clippy::panic, missing_docs)]

use std::fmt;
use std::io::{Read, Write};
use std::ops::Range;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use cache_blobs::codec::estargz::{EstargzReader, Toc, TocEntry, TocLimits};
use cache_blobs::codec::{Codec, Estargz, error_of_io};
use cache_blobs::pack::{PackOptions, PackWriter, Packed, pack};
use cache_blobs::tar::{Header, Reader, Writer};
use cache_core::ports::{BlobReader, ByteStream};
use cache_core::{Digest, Error, ErrorKind, Result, json};
use flate2::read::MultiGzDecoder;
use flate2::{Compression, GzBuilder};
use futures::{StreamExt, TryStreamExt, stream};
use pollster::block_on;

use crate::pack_rig::{Fate, Pace, budget, pool, sink};

/// A tar of files with contents and of other entries.
pub(crate) fn tar_of(entries: &[(Header, Vec<u8>)]) -> Vec<u8> {
    let mut writer = Writer::new(Vec::new());
    for (header, contents) in entries {
        writer.append(header, &contents[..]).unwrap();
    }
    writer.finish().unwrap()
}

pub(crate) fn file(path: &str, contents: Vec<u8>) -> (Header, Vec<u8>) {
    (Header::file(path, contents.len() as u64), contents)
}

pub(crate) fn try_pack(tar: &[u8], workers: usize, pace: Pace, piece: usize) -> (Result<Packed<()>>, Vec<u8>, Fate) {
    pack_with(&Estargz::new(), tar, workers, pace, piece)
}

pub(crate) fn pack_with(
    codec: &dyn Codec,
    tar: &[u8],
    workers: usize,
    pace: Pace,
    piece: usize,
) -> (Result<Packed<()>>, Vec<u8>, Fate) {
    let (ingest, seen) = sink(pace);
    let tar = tar.to_vec();
    let produce = move |writer: &mut PackWriter| {
        for piece in tar.chunks(piece) {
            writer.write_all(piece).map_err(|error| error_of_io("write", "a test tar", error))?;
        }
        Ok::<_, Error>(())
    };
    let budget = budget(workers, 128 << 20);
    let packed = block_on(pack(&budget, &pool(), codec, ingest, PackOptions::default(), produce));
    let seen = std::mem::take(&mut *seen.lock().unwrap());
    (packed, seen.bytes, seen.fate)
}

/// `tar` as eStargz.
pub(crate) fn packed(tar: &[u8]) -> (Packed<()>, Vec<u8>) {
    let (packed, blob, _) = try_pack(tar, 2, Pace::Fast, 70_001);
    (packed.unwrap(), blob)
}

pub(crate) fn gunzip(blob: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    MultiGzDecoder::new(blob).read_to_end(&mut bytes).unwrap();
    bytes
}

pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzBuilder::new().write(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// The footer that stargz-snapshotter writes.
pub(crate) fn footer(toc_offset: u64) -> Vec<u8> {
    let place = format!("{toc_offset:016x}STARGZ");
    let empty = [1, 0, 0, 255, 255, 0, 0, 0, 0, 0, 0, 0, 0];
    [&[0x1f, 0x8b, 8, 4, 0, 0, 0, 0, 0, 255, 26, 0, b'S', b'G', 22, 0][..], place.as_bytes(), &empty].concat()
}

/// The footer that stargz wrote.
pub(crate) fn legacy_footer(toc_offset: u64) -> Vec<u8> {
    let mut footer = footer(toc_offset);
    footer.splice(10..16, [22, 0]);
    footer
}

pub(crate) fn json_of(entries: &[TocEntry]) -> Vec<u8> {
    #[derive(serde::Serialize)]
    struct Document<'a> {
        version: u32,
        entries: &'a [TocEntry],
    }
    json::to_vec(&Document { version: 1, entries }).unwrap()
}

/// `body` with another table of contents.
pub(crate) fn with_toc(body: &[u8], json: &[u8]) -> Vec<u8> {
    let toc = tar_of(&[(Header::file("stargz.index.json", json.len() as u64), json.to_vec())]);
    [body, &gzip(&toc), &footer(body.len() as u64)].concat()
}

/// What is in front of the table of contents.
pub(crate) fn body(blob: &[u8]) -> &[u8] {
    let digits = std::str::from_utf8(&blob[blob.len() - 35..blob.len() - 19]).unwrap();
    &blob[..usize::from_str_radix(digits, 16).unwrap()]
}

/// The table of contents, read without the reader.
pub(crate) fn toc_json(blob: &[u8]) -> Vec<u8> {
    let tar = gunzip(&blob[body(blob).len()..]);
    let mut reader = Reader::new(&tar[..]);
    let mut entry = reader.next_entry().unwrap().unwrap();
    assert_eq!(entry.header().path, b"stargz.index.json");
    let mut json = Vec::new();
    entry.read_to_end(&mut json).unwrap();
    json
}

pub(crate) fn toc(blob: &[u8]) -> Toc {
    Toc::parse(&toc_json(blob)).unwrap()
}

/// A blob in memory.
pub(crate) struct MemoryBlob {
    bytes: Bytes,
    pub(crate) ranges: Arc<Mutex<Vec<Range<u64>>>>,
}

impl MemoryBlob {
    pub(crate) fn new(bytes: Vec<u8>) -> Self {
        Self { bytes: bytes.into(), ranges: Arc::default() }
    }
}

impl fmt::Debug for MemoryBlob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryBlob").field("bytes", &self.bytes.len()).finish_non_exhaustive()
    }
}

#[async_trait]
impl BlobReader for MemoryBlob {
    fn size(&self) -> u64 {
        self.bytes.len() as u64
    }

    async fn read(&self, range: Range<u64>) -> Result<ByteStream> {
        self.ranges.lock().unwrap().push(range.clone());
        let end = range.end.min(self.size());
        let bytes = self.bytes.slice(range.start.min(end) as usize..end as usize);
        let pieces: Vec<_> = bytes.chunks(777).map(|piece| Ok(Bytes::copy_from_slice(piece))).collect();
        Ok(stream::iter(pieces).boxed())
    }

    fn local_file(&self) -> Option<PathBuf> {
        None
    }
}

pub(crate) fn open(blob: Vec<u8>) -> Result<EstargzReader> {
    open_with(blob, None, TocLimits::default())
}

pub(crate) fn open_with(blob: Vec<u8>, toc: Option<Digest>, limits: TocLimits) -> Result<EstargzReader> {
    block_on(EstargzReader::open(pool(), Box::new(MemoryBlob::new(blob)), toc, limits))
}

pub(crate) fn read_range(reader: &EstargzReader, path: &str, range: Range<u64>) -> Result<Vec<u8>> {
    let pieces = reader.read(path, range)?.ok_or_else(|| Error::new(ErrorKind::NotFound, "read", path))?;
    Ok(block_on(pieces.try_collect::<Vec<_>>())?.concat())
}

pub(crate) fn read(reader: &EstargzReader, path: &str) -> Result<Vec<u8>> {
    read_range(reader, path, 0..u64::MAX)
}
