//! eStargz.

use std::io::{Read, Write};
use std::ops::Range;

use cache_blobs::codec::estargz::{EstargzReader, TOC_DIGEST, TocEntry, TocLimits, is_estargz};
use cache_blobs::codec::{Codec, Estargz};
use cache_blobs::tar::Reader;
use cache_core::ports::ByteStream;
use cache_core::{Annotations, Result};
use flate2::read::MultiGzDecoder;
use flate2::{Compression, GzBuilder};
use pollster::block_on;

use super::{Files, Format, MemoryBlob, file, tar_of};
use crate::pack_rig::pool;

#[derive(Debug)]
pub(crate) struct Stargz;

impl Stargz {
    pub(crate) const FOOTER_BYTES: usize = 51;

    /// The footer that stargz-snapshotter writes.
    pub(crate) fn footer(toc_offset: u64) -> Vec<u8> {
        let place = format!("{toc_offset:016x}STARGZ");
        let empty = [1, 0, 0, 255, 255, 0, 0, 0, 0, 0, 0, 0, 0];
        [&[0x1f, 0x8b, 8, 4, 0, 0, 0, 0, 0, 255, 26, 0, b'S', b'G', 22, 0][..], place.as_bytes(), &empty].concat()
    }

    pub(crate) fn is(blob: Vec<u8>) -> bool {
        block_on(is_estargz(&*pool(), &MemoryBlob::new(blob))).unwrap()
    }
}

/// The footer that stargz wrote.
pub(crate) fn legacy_footer(toc_offset: u64) -> Vec<u8> {
    let mut footer = Stargz::footer(toc_offset);
    footer.splice(10..16, [22, 0]);
    footer
}

impl Format for Stargz {
    type Reader = EstargzReader;

    fn codec() -> Box<dyn Codec> {
        Box::new(Estargz::new())
    }

    fn encode(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzBuilder::new().write(Vec::new(), Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn decode(blob: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        MultiGzDecoder::new(blob).read_to_end(&mut bytes).unwrap();
        bytes
    }

    fn body(blob: &[u8]) -> &[u8] {
        let digits = std::str::from_utf8(&blob[blob.len() - 35..blob.len() - 19]).unwrap();
        &blob[..usize::from_str_radix(digits, 16).unwrap()]
    }

    fn json(blob: &[u8]) -> Vec<u8> {
        let tar = Self::decode(&blob[Self::body(blob).len()..]);
        let mut reader = Reader::new(&tar[..]);
        let mut entry = reader.next_entry().unwrap().unwrap();
        assert_eq!(entry.header().path, b"stargz.index.json");
        let mut json = Vec::new();
        entry.read_to_end(&mut json).unwrap();
        json
    }

    fn with_toc(body: &[u8], json: &[u8]) -> Vec<u8> {
        let toc = tar_of(&[file("stargz.index.json", json.to_vec())]);
        [body, &Self::encode(&toc), &Self::footer(body.len() as u64)].concat()
    }

    fn open_blob(blob: MemoryBlob, annotations: &Annotations, limits: TocLimits) -> Result<EstargzReader> {
        let digest = annotations.get(TOC_DIGEST).map(|digest| digest.parse().unwrap());
        block_on(EstargzReader::open(pool(), Box::new(blob), digest, limits))
    }
}

impl Files for EstargzReader {
    fn described(&self, path: &str) -> Option<&TocEntry> {
        self.entry(path)
    }

    fn stream(&self, path: &str, range: Range<u64>) -> Result<Option<ByteStream>> {
        self.read(path, range)
    }
}
