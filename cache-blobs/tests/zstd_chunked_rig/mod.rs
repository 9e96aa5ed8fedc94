//! Tars, packed as zstd:chunked, and what is in such blobs, read without the reader.
#![allow(dead_code, clippy::unwrap_used, clippy::panic, missing_docs)]

use std::io::Read;
use std::ops::Range;

use cache_blobs::codec::ZstdChunked;
use cache_blobs::codec::zstd_chunked::{Toc, TocEntry, TocKind, TocLimits, ZstdChunkedReader};
use cache_blobs::pack::Packed;
use cache_core::{Annotations, Digest, Error, ErrorKind, Result, json};
use futures::TryStreamExt;
use pollster::block_on;

use crate::estargz_rig::{MemoryBlob, pack_with};
use crate::pack_rig::{Fate, Pace, pool};

pub(crate) const FOOTER_BYTES: usize = 72;

pub(crate) fn try_pack(tar: &[u8], workers: usize, pace: Pace, piece: usize) -> (Result<Packed<()>>, Vec<u8>, Fate) {
    pack_with(&ZstdChunked::new(), tar, workers, pace, piece)
}

/// `tar` as zstd:chunked.
pub(crate) fn packed(tar: &[u8]) -> (Packed<()>, Vec<u8>) {
    let (packed, blob, _) = try_pack(tar, 2, Pace::Fast, 70_001);
    (packed.unwrap(), blob)
}

/// What the `zstd` crate reads.
pub(crate) fn unzstd(blob: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    zstd::stream::read::Decoder::new(blob).unwrap().read_to_end(&mut bytes).unwrap();
    bytes
}

pub(crate) fn compress(bytes: &[u8]) -> Vec<u8> {
    zstd::stream::encode_all(bytes, 3).unwrap()
}

pub(crate) fn skippable(content: &[u8]) -> Vec<u8> {
    let length = u32::try_from(content.len()).unwrap().to_le_bytes();
    [&[0x50, 0x2a, 0x4d, 0x18], &length, content].concat()
}

/// The numbers of the footer.
pub(crate) fn numbers(blob: &[u8]) -> [u64; 7] {
    let footer = &blob[blob.len() - FOOTER_BYTES..];
    assert_eq!(footer[..8], [0x50, 0x2a, 0x4d, 0x18, 64, 0, 0, 0]);
    assert_eq!(footer[64..], *b"GNUlInUx");
    std::array::from_fn(|at| u64::from_le_bytes(footer[8 + 8 * at..16 + 8 * at].try_into().unwrap()))
}

/// The footer that containers/storage writes.
pub(crate) fn footer(numbers: [u64; 7]) -> Vec<u8> {
    skippable(&[&numbers.map(u64::to_le_bytes).concat()[..], b"GNUlInUx"].concat())
}

/// The footer that stargz-snapshotter writes.
pub(crate) fn short_footer(numbers: [u64; 4]) -> Vec<u8> {
    skippable(&[&numbers.map(u64::to_le_bytes).concat()[..], b"GnUlInUx"].concat())
}

/// The frames of the archive.
pub(crate) fn body(blob: &[u8]) -> &[u8] {
    &blob[..numbers(blob)[0] as usize - 8]
}

/// The table of contents, compressed.
pub(crate) fn manifest(blob: &[u8]) -> &[u8] {
    let [offset, compressed, ..] = numbers(blob).map(|it| it as usize);
    &blob[offset..offset + compressed]
}

pub(crate) fn toc(blob: &[u8]) -> Toc {
    Toc::parse(&unzstd(manifest(blob))).unwrap()
}

pub(crate) fn json_of(entries: &[TocEntry]) -> Vec<u8> {
    #[derive(serde::Serialize)]
    struct Document<'a> {
        version: u32,
        entries: &'a [TocEntry],
    }
    json::to_vec(&Document { version: 1, entries }).unwrap()
}

/// `body` with a table of contents.
pub(crate) fn with_toc(body: &[u8], json: &[u8]) -> Vec<u8> {
    let table = compress(json);
    let numbers = [body.len() as u64 + 8, table.len() as u64, json.len() as u64, 1, 0, 0, 0];
    [body, &skippable(&table), &footer(numbers)].concat()
}

/// Each regular file that is not empty, with the entries of its chunks.
pub(crate) fn files(toc: &Toc) -> Vec<Vec<TocEntry>> {
    let mut files: Vec<Vec<TocEntry>> = Vec::new();
    for entry in &toc.entries {
        match entry.kind {
            TocKind::Reg if entry.size > 0 => files.push(vec![entry.clone()]),
            TocKind::Chunk => files.last_mut().unwrap().push(entry.clone()),
            _ => {}
        }
    }
    files
}

pub(crate) fn open(blob: Vec<u8>) -> Result<ZstdChunkedReader> {
    open_with(blob, &Annotations::new(), TocLimits::default())
}

pub(crate) fn open_with(blob: Vec<u8>, annotations: &Annotations, limits: TocLimits) -> Result<ZstdChunkedReader> {
    block_on(ZstdChunkedReader::open(pool(), Box::new(MemoryBlob::new(blob)), annotations, limits))
}

pub(crate) fn read_range(reader: &ZstdChunkedReader, path: &str, range: Range<u64>) -> Result<Vec<u8>> {
    let pieces = reader.read(path, range)?.ok_or_else(|| Error::new(ErrorKind::NotFound, "read", path))?;
    Ok(block_on(pieces.try_collect::<Vec<_>>())?.concat())
}

pub(crate) fn read(reader: &ZstdChunkedReader, path: &str) -> Result<Vec<u8>> {
    read_range(reader, path, 0..u64::MAX)
}

/// Bytes that do not compress, never the same for two seeds.
pub(crate) fn noise(bytes: usize, seed: u32) -> Vec<u8> {
    (0..bytes.div_ceil(32)).flat_map(|at| Digest::of(format!("{seed}/{at}")).as_bytes().to_vec()).take(bytes).collect()
}

/// The tar-split data, if there is any.
pub(crate) fn tar_split(blob: &[u8]) -> Option<Vec<u8>> {
    let [.., offset, compressed, _] = numbers(blob).map(|it| it as usize);
    (offset > 0).then(|| unzstd(&blob[offset..offset + compressed]))
}
