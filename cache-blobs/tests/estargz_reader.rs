//! eStargz: single files are read, and nothing that a blob says of itself is believed.
#![cfg(feature = "estargz")]
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

mod pack_rig;
mod toc_rig;

use cache_blobs::codec::estargz::{TOC_DIGEST, TocLimits};
use cache_core::{Annotations, Digest, ErrorKind};
use pack_rig::data;
use toc_rig::{Format, MemoryBlob, Stargz, file, legacy_footer, read, read_range, reading, tar_of};

const CHUNK: usize = 4 << 20;

/// Three chunks.
fn large() -> Vec<u8> {
    data(2 * CHUNK + 100, 1)
}

fn blob() -> Vec<u8> {
    reading::sample::<Stargz>(&large()).1
}

#[test]
fn files_are_read_by_any_spelling_of_any_of_their_names() {
    reading::any_spelling_of_any_name_is_read::<Stargz>(&large());
}

#[test]
fn a_range_of_a_file_reads_the_chunks_that_it_touches_and_nothing_else() {
    let (blob, large) = (blob(), large());
    let toc = Stargz::toc(&blob);
    let memory = MemoryBlob::new(blob);
    let ranges = memory.ranges.clone();
    let reader = Stargz::open_blob(memory, &Annotations::new(), TocLimits::default()).unwrap();
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
        ranges.take_begins();
        let bytes = read_range(&reader, "d/large", range.start as u64..range.end as u64).unwrap();
        let end = range.end.min(large.len());
        assert!(bytes == large[range.start.min(end)..end], "{range:?}");
        assert_eq!(ranges.take_begins(), offsets[chunks], "{range:?}");
    }
}

#[test]
fn a_blob_with_the_table_of_another_digest_is_corrupt() {
    let blob = blob();
    let with = |digest: Digest| {
        let annotations = Annotations::from([(TOC_DIGEST.to_owned(), digest.to_string())]);
        Stargz::open_with(blob.clone(), &annotations, TocLimits::default()).map(drop).map_err(|error| error.kind())
    };
    assert_eq!(with(Digest::of(Stargz::json(&blob))), Ok(()));
    assert_eq!(with(Digest::of("another")), Err(ErrorKind::Corrupt));
}

#[test]
fn a_damaged_chunk_is_corrupt_and_the_others_are_read() {
    reading::a_damaged_chunk_is_corrupt::<Stargz>(&large());
}

#[test]
fn a_footer_that_points_outside_of_the_blob_or_to_something_else_is_corrupt() {
    let blob = blob();
    let end = blob.len() - Stargz::FOOTER_BYTES;
    for offset in [end as u64, end as u64 + 1, blob.len() as u64, u64::MAX, 0, 1, 20] {
        let lying = [&blob[..end], &Stargz::footer(offset)].concat();
        assert_eq!(Stargz::open(lying.clone()).unwrap_err().kind(), ErrorKind::Corrupt, "{offset}");
        assert!(!Stargz::is(lying), "{offset}");
    }
    for blob in [Vec::new(), blob[..end].to_vec(), Stargz::encode(b"plain"), Stargz::footer(0)] {
        assert_eq!(Stargz::open(blob.clone()).unwrap_err().kind(), ErrorKind::Corrupt);
        assert!(!Stargz::is(blob));
    }
}

#[test]
fn a_table_that_lies_about_offsets_or_sizes_is_corrupt() {
    reading::a_table_that_lies_is_corrupt::<Stargz>(
        &blob(),
        &[
            ("a file that is longer", |it| (it[2].size, it[4].chunk_size) = (it[2].size + 1, 100)),
            ("a chunk beyond its file", |it| it[4].chunk_size = 1 << 20),
        ],
        &[
            ("another digest", |it| it[1].chunk_digest = Some(Digest::of("x"))),
            ("no digest", |it| (it[1].chunk_digest, it[1].digest) = (None, None)),
            ("an offset inside of the member", |it| it[1].inner_offset = 1),
        ],
    );
}

#[test]
fn hard_links_in_a_circle_or_to_nothing_are_corrupt() {
    let blob = blob();
    for target in ["nothing", "again", "d"] {
        let mut entries = Stargz::toc(&blob).entries;
        entries[5].link_name = target.to_owned();
        let reader = Stargz::open(Stargz::with_entries(&blob, &entries)).unwrap();
        let kind = if target == "d" { ErrorKind::Invalid } else { ErrorKind::Corrupt };
        assert_eq!(read(&reader, "again").unwrap_err().kind(), kind, "{target}");
    }
}

#[test]
fn what_is_no_table_of_contents_is_refused() {
    let blob = blob();
    reading::json_that_is_no_table_is_refused::<Stargz>(&blob, &[r#"{"name":"x","type":"reg","size":-1}"#]);
    let toc = file("stargz.index.json", Stargz::json(&blob));
    let body = Stargz::body(&blob);
    for entries in [vec![file("stargz.json", data(9, 2))], vec![toc, file("more", Vec::new())], Vec::new()] {
        let lying = [body, &Stargz::encode(&tar_of(&entries)), &Stargz::footer(body.len() as u64)].concat();
        assert_eq!(Stargz::open(lying).unwrap_err().kind(), ErrorKind::Corrupt);
    }
}

#[test]
fn tables_and_chunks_above_the_limits_are_told_apart_from_damage() {
    reading::limits_are_told_apart_from_damage::<Stargz>(&large(), CHUNK as u64 - 1);
    // Neither a size nor an inner offset that a table invents makes anybody allocate or inflate that much.
    let blob = blob();
    for (size, inner) in [(1 << 62, 0), (5, 1 << 62)] {
        let mut entries = Stargz::toc(&blob).entries;
        (entries[1].size, entries[1].inner_offset) = (size, inner);
        let reader = Stargz::open(Stargz::with_entries(&blob, &entries)).unwrap();
        assert_eq!(read(&reader, "d/small").unwrap_err().kind(), ErrorKind::LimitExceeded);
    }
}

#[test]
fn the_older_footer_and_chunks_inside_of_members_are_read() {
    let (first, second) = (data(3000, 3), data(10, 4));
    let tar = tar_of(&[file("first", first.clone()), file("second", second.clone())]);
    let (head, rest) = tar.split_at(512);
    let members = [head, rest].map(Stargz::encode);
    let mut entries = Stargz::toc(&Stargz::packed(&tar).1).entries;
    for (entry, inner_offset) in entries.iter_mut().zip([0, 3072 + 512]) {
        (entry.offset, entry.inner_offset) = (members[0].len() as u64, inner_offset);
        // A table of stargz has the digests of files alone.
        entry.chunk_digest = None;
    }
    let blob = Stargz::with_toc(&members.concat(), &toc_rig::json_of(&entries));
    let older = [&blob[..blob.len() - Stargz::FOOTER_BYTES], &legacy_footer(members.concat().len() as u64)].concat();
    for blob in [blob, older] {
        assert!(Stargz::is(blob.clone()));
        assert!(Stargz::decode(&blob).starts_with(&tar));
        let reader = Stargz::open(blob).unwrap();
        assert!(read(&reader, "first").unwrap() == first);
        assert!(read(&reader, "second").unwrap() == second);
    }
}
