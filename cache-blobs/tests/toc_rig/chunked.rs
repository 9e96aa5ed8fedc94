//! zstd:chunked.

use std::io::Read;
use std::ops::Range;

use cache_blobs::codec::zstd_chunked::{TocEntry, TocLimits, ZstdChunkedReader, is_zstd_chunked};
use cache_blobs::codec::{Codec, ZstdChunked};
use cache_core::ports::ByteStream;
use cache_core::{Annotations, Result};
use pollster::block_on;

use super::{Files, Format, MemoryBlob};
use crate::pack_rig::pool;

#[derive(Debug)]
pub(crate) struct Chunked;

impl Chunked {
    pub(crate) const FOOTER_BYTES: usize = 72;

    /// The footer that containers/storage writes.
    pub(crate) fn footer(numbers: [u64; 7]) -> Vec<u8> {
        skippable(&[&numbers.map(u64::to_le_bytes).concat()[..], b"GNUlInUx"].concat())
    }

    pub(crate) fn is(blob: Vec<u8>) -> bool {
        block_on(is_zstd_chunked(&MemoryBlob::new(blob))).unwrap()
    }
}

pub(crate) fn skippable(content: &[u8]) -> Vec<u8> {
    let length = u32::try_from(content.len()).unwrap().to_le_bytes();
    [&[0x50, 0x2a, 0x4d, 0x18], &length, content].concat()
}

/// The footer that stargz-snapshotter writes.
pub(crate) fn short_footer(numbers: [u64; 4]) -> Vec<u8> {
    skippable(&[&numbers.map(u64::to_le_bytes).concat()[..], b"GnUlInUx"].concat())
}

/// The numbers of the footer.
pub(crate) fn numbers(blob: &[u8]) -> [u64; 7] {
    let footer = &blob[blob.len() - Chunked::FOOTER_BYTES..];
    assert_eq!(footer[..8], [0x50, 0x2a, 0x4d, 0x18, 64, 0, 0, 0]);
    assert_eq!(footer[64..], *b"GNUlInUx");
    std::array::from_fn(|at| u64::from_le_bytes(footer[8 + 8 * at..16 + 8 * at].try_into().unwrap()))
}

/// The table of contents, compressed.
pub(crate) fn manifest(blob: &[u8]) -> &[u8] {
    let [offset, compressed, ..] = numbers(blob).map(|it| it as usize);
    &blob[offset..offset + compressed]
}

/// The tar-split data, compressed, if there is any.
pub(crate) fn tar_split(blob: &[u8]) -> Option<&[u8]> {
    let [.., offset, compressed, _] = numbers(blob).map(|it| it as usize);
    (offset > 0).then(|| &blob[offset..offset + compressed])
}

impl Format for Chunked {
    type Reader = ZstdChunkedReader;

    fn codec() -> Box<dyn Codec> {
        Box::new(ZstdChunked::new())
    }

    fn encode(bytes: &[u8]) -> Vec<u8> {
        zstd::stream::encode_all(bytes, 3).unwrap()
    }

    fn decode(blob: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        zstd::stream::read::Decoder::new(blob).unwrap().read_to_end(&mut bytes).unwrap();
        bytes
    }

    fn body(blob: &[u8]) -> &[u8] {
        &blob[..numbers(blob)[0] as usize - 8]
    }

    fn json(blob: &[u8]) -> Vec<u8> {
        Self::decode(manifest(blob))
    }

    fn with_toc(body: &[u8], json: &[u8]) -> Vec<u8> {
        let table = Self::encode(json);
        let numbers = [body.len() as u64 + 8, table.len() as u64, json.len() as u64, 1, 0, 0, 0];
        [body, &skippable(&table), &Self::footer(numbers)].concat()
    }

    fn open_blob(blob: MemoryBlob, annotations: &Annotations, limits: TocLimits) -> Result<ZstdChunkedReader> {
        block_on(ZstdChunkedReader::open(pool(), Box::new(blob), annotations, limits))
    }
}

impl Files for ZstdChunkedReader {
    fn described(&self, path: &str) -> Option<&TocEntry> {
        self.entry(path)
    }

    fn stream(&self, path: &str, range: Range<u64>) -> Result<Option<ByteStream>> {
        self.read(path, range)
    }
}
