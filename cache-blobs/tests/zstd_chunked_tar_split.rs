//! zstd:chunked: the tar-split data rebuild the tar, and are left out where the table cannot say all that the tar does.
#![cfg(all(feature = "estargz", feature = "zstd-chunked"))]
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

mod pack_rig;
mod toc_rig;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use cache_blobs::codec::zstd_chunked::{TAR_SPLIT_POSITION, TocLimits, ZstdChunkedReader};
use cache_blobs::tar::{Header, Timestamp};
use cache_core::Digest;
use pack_rig::data;
use serde::Deserialize;
use toc_rig::{Chunked, Format, file, numbers, read, resealed, tar_of, tar_split};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    #[serde(rename = "type")]
    kind: u8,
    #[serde(default)]
    name: String,
    #[serde(default)]
    size: u64,
    payload: Option<String>,
    position: usize,
}

/// A bit at a time, as the standard has it.
fn crc64(bytes: &[u8]) -> [u8; 8] {
    let step = |sum: u64, _| if sum & 1 == 1 { (sum >> 1) ^ 0xd800_0000_0000_0000 } else { sum >> 1 };
    let sum = bytes.iter().fold(!0, |sum, byte| (0..8).fold(sum ^ u64::from(*byte), step));
    (!sum).to_be_bytes()
}

/// The archive, from its data and the files.
fn rebuilt(split: &[u8], reader: &ZstdChunkedReader) -> Vec<u8> {
    let mut tar = Vec::new();
    for (position, line) in std::str::from_utf8(split).unwrap().lines().enumerate() {
        let line: Line = serde_json::from_str(line).unwrap();
        assert_eq!(line.position, position);
        let payload = line.payload.map(|payload| STANDARD.decode(payload).unwrap());
        match line.kind {
            2 => tar.extend(payload.unwrap()),
            1 if line.size == 0 => assert_eq!(payload, None),
            1 => {
                let contents = read(reader, &line.name).unwrap();
                assert_eq!(contents.len() as u64, line.size);
                assert_eq!(payload.unwrap(), crc64(&contents));
                tar.extend(contents);
            }
            other => panic!("type {other}"),
        }
    }
    tar
}

#[test]
fn the_tar_is_rebuilt_from_the_data_and_the_files() {
    let many = tar_of(&[
        (Header::directory("d"), Vec::new()),
        file("d/large", data(9_000_000, 1)),
        file(&"long".repeat(60), data(511, 2)),
        file("d/even", data(1024, 3)),
        (Header::hard_link("again", "d/large"), Vec::new()),
        (Header::symlink("link", "<d/large>"), Vec::new()),
        file("caf\u{e9}", Vec::new()),
    ]);
    let one = tar_of(&[file("f", data(700, 4))]);
    let padded = [&one[..], &vec![0; 5 << 20]].concat();
    for tar in [many, one[..one.len() - 1024].to_vec(), one[..512 + 700].to_vec(), padded, one, Vec::new()] {
        let (packed, blob) = Chunked::packed(&tar);
        let split = Chunked::decode(tar_split(&blob).unwrap());
        let reader = Chunked::open_with(blob, &packed.annotations, TocLimits::default()).unwrap();
        assert!(rebuilt(&split, &reader) == tar);
    }
}

/// A tar of one file with other bytes in its header.
fn with_field(at: usize, bytes: &[u8]) -> Vec<u8> {
    resealed(tar_of(&[file("f", data(700, 5))]), at, bytes)
}

#[test]
fn tars_of_which_the_table_cannot_say_all_have_no_data() {
    let gnu_with_atime = resealed(with_field(257, b"ustar  \0"), 345, b"14000000000");
    let mut far = Header::file("f", 0);
    far.records.insert(b"atime".to_vec(), b"300000000000".to_vec());
    let cases = [
        ("a name twice", tar_of(&[file("f", data(9, 1)), file("./f", data(9, 2))])),
        ("a name that is no UTF-8", tar_of(&[(Header::file(&b"\xff"[..], 0), Vec::new())])),
        ("a link to such a name", tar_of(&[(Header::symlink("l", &b"\xff"[..]), Vec::new())])),
        (
            "an attribute of such a name",
            tar_of(&[(Header::file("f", 0).with_xattr(&b"user.\xff"[..], "v"), Vec::new())]),
        ),
        ("a time after the year 9999", tar_of(&[(far, Vec::new())])),
        ("times of old GNU archives", gnu_with_atime),
        ("something behind the end", [&tar_of(&[file("f", data(9, 1))])[..], &[0; 5000], b"x"].concat()),
        ("a contiguous file", with_field(156, b"7")),
    ];
    for (what, tar) in cases {
        let (packed, blob) = Chunked::packed(&tar);
        assert_eq!(tar_split(&blob), None, "{what}");
        assert_eq!(Chunked::toc(&blob).tar_split, None, "{what}");
        assert!(!packed.annotations.contains_key(TAR_SPLIT_POSITION), "{what}");
        assert_eq!(numbers(&blob)[4..], [0; 3], "{what}");
        assert!(Chunked::decode(&blob) == tar, "{what}");
        let reader = Chunked::open_with(blob, &packed.annotations, TocLimits::default()).unwrap();
        assert_eq!(reader.footer().tar_split, None, "{what}");
    }
    // The plain forms of the same have them.
    for tar in [with_field(257, b"ustar  \0"), with_field(156, b"0")] {
        assert!(tar_split(&Chunked::packed(&tar).1).is_some());
    }
    let dated = Header::file("f", 0).with_modified(Timestamp { seconds: -9, nanos: 5 });
    let (packed, blob) = Chunked::packed(&tar_of(&[(dated, Vec::new())]));
    assert_eq!(Chunked::toc(&blob).entries[0].modified, "1969-12-31T23:59:51.000000005Z");
    assert_eq!(Some(Digest::of(tar_split(&blob).unwrap())), Chunked::toc(&blob).tar_split);
    assert!(packed.annotations.contains_key(TAR_SPLIT_POSITION));
}
