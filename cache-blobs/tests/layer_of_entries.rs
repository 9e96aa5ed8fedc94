//! A layer of plain entries, with the metadata that they are given, goes through the same packer as every other.
#![cfg(feature = "gzip")]
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

mod pack_rig;

use std::io::{self, Write};

use cache_blobs::codec::Codecs;
use cache_blobs::layer::{Error, LayerBuilder};
use cache_blobs::pack::{PackOptions, PackWriter, pack};
use cache_blobs::tar::{Header, Kind, Reader, Timestamp};
use cache_core::{Compression, Digest};
use pack_rig::{Pace, budget, decode, pool, sink};
use pollster::block_on;

const CONTENT: &[u8] = b"from any reader";

/// One entry of every kind, as the caller wants it to be.
fn entries() -> Vec<Header> {
    let kinds = [
        Header::directory("directory/"),
        Header::file("file", CONTENT.len() as u64).with_xattr("security.capability", "c"),
        Header::symlink("symlink", "../anywhere"),
        Header::hard_link("hard-link", "file"),
        Header::new(Kind::CharDevice, "character-device").with_device(1, 3),
        Header::new(Kind::BlockDevice, "block-device").with_device(8, 1),
        Header::new(Kind::Fifo, "fifo"),
    ];
    let chosen = |(at, header): (usize, Header)| {
        let (number, seconds) = (at as u64 + 1, 1_000_000_000 + at as i64);
        header
            .with_mode(0o4700 + at as u32)
            .with_owner(number, number << 20)
            .with_modified(Timestamp::from_seconds(seconds))
    };
    kinds.into_iter().enumerate().map(chosen).collect()
}

fn write<W: Write>(out: W) -> Result<W, Error> {
    let mut layer = LayerBuilder::new(out);
    for header in entries() {
        let content: &mut dyn io::Read = if header.kind == Kind::File { &mut &*CONTENT } else { &mut io::empty() };
        layer.add(&header, content)?;
    }
    layer.whiteout("gone")?;
    layer.finish()
}

#[test]
fn every_kind_keeps_the_metadata_that_it_is_given() {
    let archive = write(Vec::new()).unwrap();
    let mut reader = Reader::new(&archive[..]);
    for wanted in entries() {
        let mut entry = reader.next_entry().unwrap().unwrap();
        let mut content = Vec::new();
        io::copy(&mut entry, &mut content).unwrap();
        assert_eq!(content, if wanted.kind == Kind::File { CONTENT } else { b"" });
        assert_eq!(entry.into_header(), wanted);
    }
    assert_eq!(reader.next_entry().unwrap().unwrap().header().path, b".wh.gone");
    assert!(reader.next_entry().unwrap().is_none());
}

#[test]
fn the_packer_makes_a_blob_of_it() {
    let archive = write(Vec::new()).unwrap();
    for compression in [Compression::Uncompressed, Compression::Gzip] {
        let (ingest, seen) = sink(Pace::Fast);
        let codec = Codecs::default().of(&compression).unwrap();
        let produce = |writer: &mut PackWriter| {
            write(writer)?;
            Ok::<_, Box<dyn std::error::Error + Send + Sync>>(())
        };
        let packed = block_on(pack(&budget(1, 64 << 20), &pool(), &*codec, ingest, PackOptions::default(), produce));
        let packed = packed.unwrap();
        assert_eq!(packed.diff_id, Digest::of(&archive));
        assert_eq!(packed.uncompressed_bytes, archive.len() as u64);
        let blob = std::mem::take(&mut seen.lock().unwrap().bytes);
        assert_eq!(packed.info.digest, Digest::of(&blob));
        assert!(decode(&Codecs::default(), blob).unwrap() == archive);
    }
}
