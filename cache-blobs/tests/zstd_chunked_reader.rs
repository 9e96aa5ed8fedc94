//! zstd:chunked: single files are read, and nothing that a blob says of itself is believed.
#![cfg(all(feature = "estargz", feature = "zstd-chunked"))]
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

mod estargz_rig;
mod pack_rig;
mod zstd_chunked_rig;

use std::sync::Arc;

use cache_blobs::codec::zstd_chunked::{
    ChunkKind, MANIFEST_CHECKSUM, MANIFEST_POSITION, TAR_SPLIT_POSITION, TocEntry, TocKind, TocLimits,
    ZstdChunkedReader,
};
use cache_blobs::tar::Header;
use cache_core::{Annotations, Digest, ErrorKind};
use estargz_rig::{MemoryBlob, file, tar_of};
use pack_rig::pool;
use pollster::block_on;
use zstd_chunked_rig::{
    body, compress, footer, json_of, manifest, noise, numbers, open, open_with, packed, read, read_range, skippable,
    toc, unzstd, with_toc,
};

/// Noise, zeros, and noise: chunks of every kind.
fn large() -> Vec<u8> {
    [noise(300_000, 1), vec![0; 200_000], noise(50, 2)].concat()
}

fn blob() -> (Annotations, Vec<u8>) {
    let tar = tar_of(&[
        (Header::directory("d"), Vec::new()),
        file("d/small", b"small".to_vec()),
        file("d/large", large()),
        (Header::hard_link("again", "d/large"), Vec::new()),
        (Header::symlink("link", "d/large"), Vec::new()),
        file("empty", Vec::new()),
    ]);
    let (packed, blob) = packed(&tar);
    (packed.annotations, blob)
}

#[test]
fn files_are_read_by_any_spelling_of_any_of_their_names() {
    let (annotations, blob) = blob();
    for annotations in [annotations, Annotations::new()] {
        let reader = open_with(blob.clone(), &annotations, TocLimits::default()).unwrap();
        for path in ["d/large", "/d/large", "./d//large", "d/../d/large", "again"] {
            assert!(read(&reader, path).unwrap() == large(), "{path}");
        }
        assert_eq!(read(&reader, "d/small").unwrap(), b"small");
        assert_eq!(read(&reader, "empty").unwrap(), b"");
        assert!(reader.read("d/none", 0..1).unwrap().is_none());
        for path in ["d", "link"] {
            assert_eq!(reader.read(path, 0..1).err().unwrap().kind(), ErrorKind::Invalid);
        }
        assert_eq!(reader.entry("/link").unwrap().link_name, "d/large");
    }
}

#[test]
fn a_range_of_a_file_reads_the_chunks_that_it_touches_but_no_zeros() {
    let (annotations, blob) = blob();
    let chunks: Vec<_> = toc(&blob).entries.into_iter().filter(|entry| entry.name == "d/large").collect();
    let memory = MemoryBlob::new(blob);
    let ranges = Arc::clone(&memory.ranges);
    let open = ZstdChunkedReader::open(pool(), Box::new(memory), &annotations, TocLimits::default());
    let reader = block_on(open).unwrap();
    for range in [0..1, 0..300_000, 299_990..300_010, 300_000..500_000, 350_000..350_001, 499_999..500_001, 7..7] {
        ranges.lock().unwrap().clear();
        let bytes = read_range(&reader, "d/large", range.start as u64..range.end as u64).unwrap();
        assert!(bytes == large()[range.clone()], "{range:?}");
        let fetched: Vec<_> = ranges.lock().unwrap().iter().map(|range| range.start).collect();
        let (begin, end) = (range.start as u64, range.end as u64);
        let touched = chunks.iter().filter(|it| {
            it.chunk_kind == ChunkKind::Data
                && it.chunk_offset < end
                && begin < it.chunk_offset + it.chunk_size
                && begin < end
        });
        assert_eq!(fetched, touched.map(|it| it.offset).collect::<Vec<_>>(), "{range:?}");
    }
    assert!(read_range(&reader, "d/large", 500_040..9_000_000).unwrap() == large()[500_040..]);
}

#[test]
fn only_the_right_annotations_open_a_blob() {
    let (right, blob) = blob();
    let with = |key: &str, value: &str| {
        let mut annotations = right.clone();
        annotations.insert(key.to_owned(), value.to_owned());
        open_with(blob.clone(), &annotations, TocLimits::default()).map(drop).map_err(|error| error.kind())
    };
    let [offset, compressed, bytes, ..] = numbers(&blob);
    assert_eq!(with(MANIFEST_POSITION, &format!("{offset}:{compressed}:{bytes}:1")), Ok(()));
    for position in [
        format!("{offset}:{compressed}:{bytes}"),
        format!("{offset}:{compressed}:{bytes}:2"),
        format!("{offset}:{compressed}:{bytes}:1:1"),
        format!("{offset}:{compressed}:+{bytes}:1"),
        format!("{offset}:{compressed}::1"),
        String::new(),
        format!("{offset}:{compressed}:{}:1", bytes - 1),
        format!("{offset}:{compressed}:{}:1", bytes + 1),
        format!("{offset}:{}:{bytes}:1", compressed - 1),
        format!("{}:{compressed}:{bytes}:1", offset + 1),
        format!("7:{compressed}:{bytes}:1"),
        format!("{}:{compressed}:{bytes}:1", blob.len()),
        format!("{}:{compressed}:{bytes}:1", u64::MAX),
    ] {
        assert_eq!(with(MANIFEST_POSITION, &position), Err(ErrorKind::Corrupt), "{position}");
    }
    for checksum in [Digest::of("another").to_string(), "sha256:12".to_owned(), String::new()] {
        assert_eq!(with(MANIFEST_CHECKSUM, &checksum), Err(ErrorKind::Corrupt), "{checksum}");
    }
    assert_eq!(with(TAR_SPLIT_POSITION, "1:2"), Err(ErrorKind::Corrupt));
    for key in [MANIFEST_CHECKSUM, MANIFEST_POSITION] {
        let mut annotations = right.clone();
        annotations.remove(key);
        let error = open_with(blob.clone(), &annotations, TocLimits::default()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{key}");
    }
}

#[test]
fn a_table_of_another_digest_is_corrupt() {
    let (annotations, blob) = blob();
    let mut entries = toc(&blob).entries;
    entries[1].mode = 0o4755;
    let lying = with_toc(body(&blob), &json_of(&entries));
    assert!(open(lying.clone()).is_ok());
    let mut annotations = annotations;
    let [offset, compressed, bytes, ..] = numbers(&lying);
    annotations.insert(MANIFEST_POSITION.to_owned(), format!("{offset}:{compressed}:{bytes}:1"));
    let error = open_with(lying, &annotations, TocLimits::default()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
}

#[test]
fn a_damaged_chunk_is_corrupt_and_the_others_are_read() {
    let (_, mut blob) = blob();
    let second = toc(&blob).entries.iter().find(|entry| entry.chunk_offset > 0).unwrap().clone();
    blob[second.offset as usize + 20] ^= 4;
    let reader = open(blob).unwrap();
    let begin = second.chunk_offset;
    assert!(read_range(&reader, "d/large", 0..begin).unwrap() == large()[..begin as usize]);
    assert_eq!(read(&reader, "d/large").unwrap_err().kind(), ErrorKind::Corrupt);
    let after = begin + second.chunk_size;
    assert!(read_range(&reader, "d/large", after..u64::MAX).unwrap() == large()[after as usize..]);
}

#[test]
fn a_footer_that_points_outside_of_the_blob_or_to_something_else_is_corrupt() {
    let (_, blob) = blob();
    let before = &blob[..blob.len() - 72];
    let right = numbers(&blob);
    for (at, wrong) in [(0, 0), (0, 8), (0, right[0] + 1), (0, u64::MAX), (1, 0), (1, 9), (1, u64::MAX), (2, 0), (2, 9)]
    {
        let mut numbers = right;
        numbers[at] = wrong;
        let lying = [before, &footer(numbers)].concat();
        assert_eq!(open(lying).unwrap_err().kind(), ErrorKind::Corrupt, "{at} {wrong}");
    }
    for blob in [Vec::new(), before.to_vec(), compress(b"plain"), footer([0; 7])] {
        assert_eq!(open(blob).unwrap_err().kind(), ErrorKind::Corrupt);
    }
}

/// A lie about one entry, which [`open`] or reading the file must find.
type Lie = fn(&mut Vec<TocEntry>);

#[test]
fn a_table_that_lies_about_offsets_or_sizes_is_corrupt() {
    let (_, blob) = blob();
    let honest = toc(&blob).entries;
    let count = honest.len();
    assert!(
        count > 10 && honest[1].name == "d/small" && honest[2].name == "d/large" && honest[3].kind == TocKind::Chunk
    );
    let seen_at_once: [(&str, Lie); 14] = [
        ("an offset behind the table", |it| it[1].offset = 1 << 40),
        ("an offset at the very end", |it| it[2].offset = u64::MAX),
        ("two chunks in one place", |it| it[1].offset = it[2].offset),
        ("a file that reaches into the next one", |it| it[1].end_offset = it[2].offset + 1),
        ("a file that ends before it begins", |it| it[1].end_offset = it[1].offset),
        ("an end behind the table", |it| it[2].end_offset = 1 << 40),
        ("a file that is longer", |it| it[2].size += 1),
        ("a file that is shorter", |it| it[2].size = 10),
        ("a file of endless size", |it| it[2].size = u64::MAX),
        ("a chunk too few", |it| drop(it.remove(3))),
        ("a chunk too many", |it| it.insert(2, it[3].clone())),
        ("chunks in another order", |it| it.swap(3, 4)),
        ("a chunk elsewhere in its file", |it| it[3].chunk_offset += 1),
        ("a chunk of a directory", |it| it[1].kind = TocKind::Chunk),
    ];
    for (what, lie) in seen_at_once {
        let mut entries = honest.clone();
        lie(&mut entries);
        assert_eq!(open(with_toc(body(&blob), &json_of(&entries))).unwrap_err().kind(), ErrorKind::Corrupt, "{what}");
    }
    let seen_when_read: [(&str, Lie); 7] = [
        ("an offset inside of a frame", |it| it[1].offset += 1),
        ("the offset of another frame", |it| it[1].offset = 0),
        ("a file that is longer", |it| it[1].size = 900),
        ("a file that is shorter", |it| it[1].size = 4),
        ("another digest", |it| it[1].digest = Some(Digest::of("x"))),
        ("no digest", |it| it[1].digest = None),
        ("an end too early", |it| it[1].end_offset -= 10),
    ];
    for (what, lie) in seen_when_read {
        let mut entries = honest.clone();
        lie(&mut entries);
        let reader = open(with_toc(body(&blob), &json_of(&entries))).unwrap();
        assert_eq!(read(&reader, "d/small").unwrap_err().kind(), ErrorKind::Corrupt, "{what}");
        assert!(read_range(&reader, "d/large", 0..1).is_ok(), "{what}");
    }
}

#[test]
fn zeros_that_the_table_makes_up_end_where_the_range_does() {
    let entry = TocEntry::default();
    let mut entries = vec![entry.clone(), entry];
    (entries[0].name, entries[0].size, entries[0].chunk_size) = ("f".to_owned(), u64::MAX, u64::MAX - 5);
    (entries[0].chunk_kind, entries[1].kind) = (ChunkKind::Zeros, TocKind::Chunk);
    (entries[1].chunk_offset, entries[1].chunk_size, entries[1].offset) = (u64::MAX - 5, 5, 1);
    let reader = open(with_toc(&compress(b"tar"), &json_of(&entries))).unwrap();
    assert_eq!(read_range(&reader, "f", u64::MAX - 100_005..u64::MAX - 5).unwrap(), vec![0; 100_000]);
    assert_eq!(read_range(&reader, "f", u64::MAX - 6..u64::MAX).unwrap_err().kind(), ErrorKind::Corrupt);
}

#[test]
fn what_is_no_table_of_contents_is_refused() {
    let (_, blob) = blob();
    let valid = unzstd(manifest(&blob));
    let with = |json: &[u8]| open(with_toc(body(&blob), json)).map(drop).map_err(|error| error.kind());
    assert_eq!(with(&valid), Ok(()));
    for json in [&b""[..], b"{}", b"[]", b"{\"version\":1,\"entries\":[{}]}", &valid[..valid.len() - 1]] {
        assert_eq!(with(json), Err(ErrorKind::Corrupt));
    }
    for entry in [r#"{"name":"x","type":"socket"}"#, r#"{"name":"x","type":"reg","chunkType":"ones"}"#] {
        let json = format!(r#"{{"version":1,"entries":[{entry}]}}"#);
        assert_eq!(with(json.as_bytes()), Err(ErrorKind::Corrupt), "{entry}");
    }
    assert_eq!(with(br#"{"version":2,"entries":[]}"#), Err(ErrorKind::Unsupported));
    // JSON that is not compressed, and a frame that something follows.
    for table in [valid.clone(), [compress(&valid), compress(b" ")].concat()] {
        let numbers = [body(&blob).len() as u64 + 8, table.len() as u64, valid.len() as u64, 1, 0, 0, 0];
        let lying = [body(&blob), &skippable(&table), &footer(numbers)].concat();
        assert_eq!(open(lying).unwrap_err().kind(), ErrorKind::Corrupt);
    }
}

#[test]
fn tables_and_chunks_above_the_limits_are_told_apart_from_damage() {
    let (annotations, blob) = blob();
    let bytes = numbers(&blob)[2];
    let limits = TocLimits::default().with_toc_bytes(bytes);
    assert!(open_with(blob.clone(), &annotations, limits.clone()).is_ok());
    let error = open_with(blob.clone(), &annotations, limits.with_toc_bytes(bytes - 1)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::LimitExceeded);
    let reader = open_with(blob, &annotations, TocLimits::default().with_chunk_bytes(5)).unwrap();
    assert_eq!(read(&reader, "d/small").unwrap(), b"small");
    assert_eq!(read(&reader, "d/large").unwrap_err().kind(), ErrorKind::LimitExceeded);
    // Zeros are not held.
    assert_eq!(read_range(&reader, "d/large", 400_000..400_100).unwrap(), [0; 100]);
}
