//! eStargz: single files are read, and nothing that a blob says of itself is believed.
#![cfg(feature = "estargz")]
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

mod estargz_rig;
mod pack_rig;

use cache_blobs::codec::estargz::{EstargzReader, Toc, TocEntry, TocKind, TocLimits, is_estargz};
use cache_blobs::tar::Header;
use cache_core::{Digest, ErrorKind};
use estargz_rig::{
    MemoryBlob, body, file, footer, gunzip, gzip, json_of, legacy_footer, open, open_with, packed, read, read_range,
    tar_of, toc, toc_json, with_toc,
};
use pack_rig::{data, pool};
use pollster::block_on;

const CHUNK: usize = 4 << 20;

/// A small file, one of three chunks, a second name, a link and an empty file.
fn blob() -> (Vec<u8>, Vec<u8>) {
    let large = data(2 * CHUNK + 100, 1);
    let tar = tar_of(&[
        (Header::directory("d"), Vec::new()),
        file("d/small", b"small".to_vec()),
        file("d/large", large.clone()),
        (Header::hard_link("again", "d/large"), Vec::new()),
        (Header::symlink("link", "d/large"), Vec::new()),
        file("empty", Vec::new()),
    ]);
    (packed(&tar).1, large)
}

#[test]
fn files_are_read_by_any_spelling_of_any_of_their_names() {
    let (blob, large) = blob();
    let reader = open(blob).unwrap();
    for path in ["d/large", "/d/large", "./d//large", "d/../d/large", "again"] {
        assert!(read(&reader, path).unwrap() == large, "{path}");
    }
    assert_eq!(read(&reader, "d/small").unwrap(), b"small");
    assert_eq!(read(&reader, "empty").unwrap(), b"");
    assert!(reader.read("d/none", 0..1).unwrap().is_none());
    for path in ["d", "link"] {
        assert_eq!(reader.read(path, 0..1).err().unwrap().kind(), ErrorKind::Invalid);
    }
    assert_eq!(reader.entry("/link").unwrap().link_name, "d/large");
}

#[test]
fn a_range_of_a_file_reads_the_chunks_that_it_touches_and_nothing_else() {
    let (blob, large) = blob();
    let toc = toc(&blob);
    let memory = MemoryBlob::new(blob);
    let ranges = std::sync::Arc::clone(&memory.ranges);
    let reader = block_on(EstargzReader::open(pool(), Box::new(memory), None, TocLimits::default())).unwrap();
    let offsets: Vec<_> =
        toc.entries.iter().filter(|entry| entry.name == "d/large").map(|entry| entry.offset).collect();
    for (range, chunks) in [
        (0..10, 0..1),
        (CHUNK..CHUNK + 1, 1..2),
        (CHUNK - 1..CHUNK + 1, 0..2),
        (2 * CHUNK + 50..2 * CHUNK + 1000, 2..3),
        (7..7, 0..0),
        (3 * CHUNK..4 * CHUNK, 0..0),
    ] {
        ranges.lock().unwrap().clear();
        let bytes = read_range(&reader, "d/large", range.start as u64..range.end as u64).unwrap();
        let end = range.end.min(large.len());
        assert!(bytes == large[range.start.min(end)..end], "{range:?}");
        let read: Vec<_> = ranges.lock().unwrap().iter().map(|range| range.start).collect();
        assert_eq!(read, offsets[chunks], "{range:?}");
    }
}

#[test]
fn a_blob_with_the_table_of_another_digest_is_corrupt() {
    let (blob, _) = blob();
    let right = Digest::of(toc_json(&blob));
    assert!(open_with(blob.clone(), Some(right), TocLimits::default()).is_ok());
    let error = open_with(blob, Some(Digest::of("another")), TocLimits::default()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
}

#[test]
fn a_damaged_chunk_is_corrupt_and_the_others_are_read() {
    let (mut blob, large) = blob();
    let second = toc(&blob).entries.iter().find(|entry| entry.chunk_offset > 0).unwrap().offset;
    blob[second as usize + 3000] ^= 4;
    let reader = open(blob).unwrap();
    assert!(read_range(&reader, "d/large", 0..CHUNK as u64).unwrap() == large[..CHUNK]);
    assert_eq!(read(&reader, "d/large").unwrap_err().kind(), ErrorKind::Corrupt);
    assert!(read_range(&reader, "d/large", 2 * CHUNK as u64..u64::MAX).unwrap() == large[2 * CHUNK..]);
}

#[test]
fn a_footer_that_points_outside_of_the_blob_or_to_something_else_is_corrupt() {
    let (blob, _) = blob();
    let end = blob.len() - 51;
    for offset in [end as u64, end as u64 + 1, blob.len() as u64, u64::MAX, 0, 1, 20] {
        let lying = [&blob[..end], &footer(offset)].concat();
        assert_eq!(open(lying.clone()).unwrap_err().kind(), ErrorKind::Corrupt, "{offset}");
        assert!(!block_on(is_estargz(&*pool(), &MemoryBlob::new(lying))).unwrap(), "{offset}");
    }
    for blob in [Vec::new(), blob[..end].to_vec(), gzip(b"plain"), footer(0)] {
        assert_eq!(open(blob.clone()).unwrap_err().kind(), ErrorKind::Corrupt);
        assert!(!block_on(is_estargz(&*pool(), &MemoryBlob::new(blob))).unwrap());
    }
}

/// A lie about one entry, which [`open`] or reading the file must find.
type Lie = fn(&mut Vec<TocEntry>);

#[test]
fn a_table_that_lies_about_offsets_or_sizes_is_corrupt() {
    let (blob, _) = blob();
    let honest = toc(&blob).entries;
    // The directory, the small file, three chunks of the large one, two links, the empty file.
    assert_eq!(honest.len(), 8);
    let seen_at_once: [(&str, Lie); 10] = [
        ("an offset behind the table", |it| it[1].offset = 1 << 40),
        ("two chunks in one place", |it| it[1].offset = it[2].offset),
        ("a file that is longer", |it| (it[2].size, it[4].chunk_size) = (it[2].size + 1, 100)),
        ("a file that is shorter", |it| it[2].size = 10),
        ("a chunk too few", |it| drop(it.remove(3))),
        ("a chunk too many", |it| it.insert(2, it[3].clone())),
        ("chunks in another order", |it| it.swap(3, 4)),
        ("a chunk elsewhere in its file", |it| it[3].chunk_offset += 1),
        ("a chunk beyond its file", |it| it[4].chunk_size = 1 << 20),
        ("a chunk of a directory", |it| it[1].kind = TocKind::Chunk),
    ];
    for (what, lie) in seen_at_once {
        let mut entries = honest.clone();
        lie(&mut entries);
        let lying = with_toc(body(&blob), &json_of(&entries));
        assert_eq!(open(lying).unwrap_err().kind(), ErrorKind::Corrupt, "{what}");
    }
    let seen_when_read: [(&str, Lie); 7] = [
        ("an offset inside of a member", |it| it[1].offset += 1),
        ("the offset of another member", |it| it[1].offset = 0),
        ("a file that is longer", |it| it[1].size = 900),
        ("a file that is shorter", |it| it[1].size = 4),
        ("another digest", |it| it[1].chunk_digest = Some(Digest::of("x"))),
        ("no digest", |it| (it[1].chunk_digest, it[1].digest) = (None, None)),
        ("an offset inside of the member", |it| it[1].inner_offset = 1),
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
fn hard_links_in_a_circle_or_to_nothing_are_corrupt() {
    let (blob, _) = blob();
    for target in ["nothing", "again", "d"] {
        let mut entries = toc(&blob).entries;
        entries[5].link_name = target.to_owned();
        let reader = open(with_toc(body(&blob), &json_of(&entries))).unwrap();
        let kind = if target == "d" { ErrorKind::Invalid } else { ErrorKind::Corrupt };
        assert_eq!(read(&reader, "again").unwrap_err().kind(), kind, "{target}");
    }
}

#[test]
fn what_is_no_table_of_contents_is_refused() {
    let (blob, _) = blob();
    let valid = toc_json(&blob);
    let with = |json: &[u8]| open(with_toc(body(&blob), json)).map(drop);
    assert!(with(&valid).is_ok());
    for json in [&b""[..], b"{}", b"[]", b"{\"version\":1,\"entries\":[{}]}", &valid[..valid.len() - 1]] {
        assert_eq!(with(json).unwrap_err().kind(), ErrorKind::Corrupt);
    }
    for entry in [r#"{"name":"x","type":"socket"}"#, r#"{"name":"x","type":"reg","size":-1}"#] {
        let json = format!(r#"{{"version":1,"entries":[{entry}]}}"#);
        assert_eq!(Toc::parse(json.as_bytes()).unwrap_err().kind(), ErrorKind::Corrupt, "{entry}");
    }
    assert_eq!(with(br#"{"version":2,"entries":[]}"#).unwrap_err().kind(), ErrorKind::Unsupported);
    let toc = (Header::file("stargz.index.json", valid.len() as u64), valid);
    for entries in [vec![file("stargz.json", data(9, 2))], vec![toc, file("more", Vec::new())], Vec::new()] {
        let lying = [body(&blob), &gzip(&tar_of(&entries)), &footer(body(&blob).len() as u64)].concat();
        assert_eq!(open(lying).unwrap_err().kind(), ErrorKind::Corrupt);
    }
}

#[test]
fn tables_and_chunks_above_the_limits_are_told_apart_from_damage() {
    let (blob, _) = blob();
    let bytes = toc_json(&blob).len() as u64;
    let limits = TocLimits::default().with_toc_bytes(bytes);
    assert!(open_with(blob.clone(), None, limits.clone()).is_ok());
    let error = open_with(blob.clone(), None, limits.with_toc_bytes(bytes - 1)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::LimitExceeded);
    let limits = TocLimits::default().with_chunk_bytes(CHUNK as u64 - 1);
    let reader = open_with(blob.clone(), None, limits).unwrap();
    assert_eq!(read(&reader, "d/small").unwrap(), b"small");
    assert_eq!(read(&reader, "d/large").unwrap_err().kind(), ErrorKind::LimitExceeded);
    // Neither a size nor an inner offset that a table invents makes anybody allocate or inflate that much.
    for (size, inner) in [(1 << 62, 0), (5, 1 << 62)] {
        let mut entries = toc(&blob).entries;
        (entries[1].size, entries[1].inner_offset) = (size, inner);
        let reader = open(with_toc(body(&blob), &json_of(&entries))).unwrap();
        assert_eq!(read(&reader, "d/small").unwrap_err().kind(), ErrorKind::LimitExceeded);
    }
}

#[test]
fn the_older_footer_and_chunks_inside_of_members_are_read() {
    let (first, second) = (data(3000, 3), data(10, 4));
    let tar = tar_of(&[file("first", first.clone()), file("second", second.clone())]);
    let (head, rest) = tar.split_at(512);
    let members = [gzip(head), gzip(rest)];
    let mut entries = toc(&packed(&tar).1).entries;
    for (entry, inner_offset) in entries.iter_mut().zip([0, 3072 + 512]) {
        (entry.offset, entry.inner_offset) = (members[0].len() as u64, inner_offset);
        // A table of stargz has the digests of files alone.
        entry.chunk_digest = None;
    }
    let blob = with_toc(&members.concat(), &json_of(&entries));
    let older = [&blob[..blob.len() - 51], &legacy_footer(members.concat().len() as u64)].concat();
    for blob in [blob, older] {
        assert!(block_on(is_estargz(&*pool(), &MemoryBlob::new(blob.clone()))).unwrap());
        assert!(gunzip(&blob).starts_with(&tar));
        let reader = open(blob).unwrap();
        assert!(read(&reader, "first").unwrap() == first);
        assert!(read(&reader, "second").unwrap() == second);
    }
}
