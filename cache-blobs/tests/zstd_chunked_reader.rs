//! zstd:chunked: single files are read, and nothing that a blob says of itself is believed.
#![cfg(all(feature = "estargz", feature = "zstd-chunked"))]
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

mod pack_rig;
mod toc_rig;

use cache_blobs::codec::zstd_chunked::{
    ChunkKind, MANIFEST_CHECKSUM, MANIFEST_POSITION, TAR_SPLIT_POSITION, TocEntry, TocKind, TocLimits,
};
use cache_core::{Annotations, Digest, ErrorKind};
use toc_rig::{Chunked, Format, MemoryBlob, json_of, noise, numbers, read_range, reading, skippable};

/// Noise, zeros, and noise: chunks of every kind.
fn large() -> Vec<u8> {
    [noise(300_000, 1), vec![0; 200_000], noise(50, 2)].concat()
}

fn blob() -> (Annotations, Vec<u8>) {
    reading::sample::<Chunked>(&large())
}

#[test]
fn files_are_read_by_any_spelling_of_any_of_their_names() {
    reading::any_spelling_of_any_name_is_read::<Chunked>(&large());
}

#[test]
fn a_range_of_a_file_reads_the_chunks_that_it_touches_but_no_zeros() {
    let (annotations, blob) = blob();
    let chunks: Vec<_> = Chunked::toc(&blob).entries.into_iter().filter(|entry| entry.name == "d/large").collect();
    let memory = MemoryBlob::new(blob);
    let ranges = memory.ranges.clone();
    let reader = Chunked::open_blob(memory, &annotations, TocLimits::default()).unwrap();
    for range in [0..1, 0..300_000, 299_990..300_010, 300_000..500_000, 350_000..350_001, 499_999..500_001, 7..7] {
        ranges.take_begins();
        let bytes = read_range(&reader, "d/large", range.start as u64..range.end as u64).unwrap();
        assert!(bytes == large()[range.clone()], "{range:?}");
        let fetched = ranges.take_begins();
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
        Chunked::open_with(blob.clone(), &annotations, TocLimits::default()).map(drop).map_err(|error| error.kind())
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
        let error = Chunked::open_with(blob.clone(), &annotations, TocLimits::default()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{key}");
    }
}

#[test]
fn a_table_of_another_digest_is_corrupt() {
    let (annotations, blob) = blob();
    let mut entries = Chunked::toc(&blob).entries;
    entries[1].mode = 0o4755;
    let lying = Chunked::with_entries(&blob, &entries);
    assert!(Chunked::open(lying.clone()).is_ok());
    let mut annotations = annotations;
    let [offset, compressed, bytes, ..] = numbers(&lying);
    annotations.insert(MANIFEST_POSITION.to_owned(), format!("{offset}:{compressed}:{bytes}:1"));
    let error = Chunked::open_with(lying, &annotations, TocLimits::default()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
}

#[test]
fn a_damaged_chunk_is_corrupt_and_the_others_are_read() {
    reading::a_damaged_chunk_is_corrupt::<Chunked>(&large());
}

#[test]
fn a_footer_that_points_outside_of_the_blob_or_to_something_else_is_corrupt() {
    let (_, blob) = blob();
    let before = &blob[..blob.len() - Chunked::FOOTER_BYTES];
    let right = numbers(&blob);
    for (at, wrong) in [(0, 0), (0, 8), (0, right[0] + 1), (0, u64::MAX), (1, 0), (1, 9), (1, u64::MAX), (2, 0), (2, 9)]
    {
        let mut numbers = right;
        numbers[at] = wrong;
        let lying = [before, &Chunked::footer(numbers)].concat();
        assert_eq!(Chunked::open(lying).unwrap_err().kind(), ErrorKind::Corrupt, "{at} {wrong}");
    }
    for blob in [Vec::new(), before.to_vec(), Chunked::encode(b"plain"), Chunked::footer([0; 7])] {
        assert_eq!(Chunked::open(blob).unwrap_err().kind(), ErrorKind::Corrupt);
    }
}

#[test]
fn a_table_that_lies_about_offsets_or_sizes_is_corrupt() {
    reading::a_table_that_lies_is_corrupt::<Chunked>(
        &blob().1,
        &[
            ("an offset at the very end", |it| it[2].offset = u64::MAX),
            ("a file that reaches into the next one", |it| it[1].end_offset = it[2].offset + 1),
            ("a file that ends before it begins", |it| it[1].end_offset = it[1].offset),
            ("an end behind the table", |it| it[2].end_offset = 1 << 40),
            ("a file that is longer", |it| it[2].size += 1),
            ("a file of endless size", |it| it[2].size = u64::MAX),
        ],
        &[
            ("another digest", |it| it[1].digest = Some(Digest::of("x"))),
            ("no digest", |it| it[1].digest = None),
            ("an end too early", |it| it[1].end_offset -= 10),
        ],
    );
}

#[test]
fn zeros_that_the_table_makes_up_end_where_the_range_does() {
    let entry = TocEntry::default();
    let mut entries = vec![entry.clone(), entry];
    (entries[0].name, entries[0].size, entries[0].chunk_size) = ("f".to_owned(), u64::MAX, u64::MAX - 5);
    (entries[0].chunk_kind, entries[1].kind) = (ChunkKind::Zeros, TocKind::Chunk);
    (entries[1].chunk_offset, entries[1].chunk_size, entries[1].offset) = (u64::MAX - 5, 5, 1);
    let reader = Chunked::open(Chunked::with_toc(&Chunked::encode(b"tar"), &json_of(&entries))).unwrap();
    assert_eq!(read_range(&reader, "f", u64::MAX - 100_005..u64::MAX - 5).unwrap(), vec![0; 100_000]);
    assert_eq!(read_range(&reader, "f", u64::MAX - 6..u64::MAX).unwrap_err().kind(), ErrorKind::Corrupt);
}

#[test]
fn what_is_no_table_of_contents_is_refused() {
    let (_, blob) = blob();
    let unknown = r#"{"name":"x","type":"reg","chunkType":"ones"}"#;
    reading::json_that_is_no_table_is_refused::<Chunked>(&blob, &[unknown]);
    // JSON that is not compressed, and a frame that something follows.
    let (body, valid) = (Chunked::body(&blob), Chunked::json(&blob));
    for table in [valid.clone(), [Chunked::encode(&valid), Chunked::encode(b" ")].concat()] {
        let numbers = [body.len() as u64 + 8, table.len() as u64, valid.len() as u64, 1, 0, 0, 0];
        let lying = [body, &skippable(&table), &Chunked::footer(numbers)].concat();
        assert_eq!(Chunked::open(lying).unwrap_err().kind(), ErrorKind::Corrupt);
    }
}

#[test]
fn tables_and_chunks_above_the_limits_are_told_apart_from_damage() {
    let reader = reading::limits_are_told_apart_from_damage::<Chunked>(&large(), 5);
    // Zeros are not held.
    assert_eq!(read_range(&reader, "d/large", 400_000..400_100).unwrap(), [0; 100]);
}
