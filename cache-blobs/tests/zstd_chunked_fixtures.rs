//! zstd:chunked: a layer that containers/storage wrote is read, and ours of the same tar says the same.
#![cfg(all(feature = "estargz", feature = "zstd-chunked"))]
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

mod pack_rig;
mod toc_rig;

use std::path::Path;

use cache_blobs::codec::zstd_chunked::{ChunkKind, TocEntry, TocLimits};
use cache_core::{Annotations, Digest};
use toc_rig::reading::{every_file_has_its_digest, files};
use toc_rig::{Chunked, Format, numbers, tar_split};

fn layer() -> (Annotations, Vec<u8>) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/zstd-chunked");
    let annotations = std::fs::read(folder.join("annotations.json")).unwrap();
    (serde_json::from_slice(&annotations).unwrap(), std::fs::read(folder.join("layer.tar.zst")).unwrap())
}

#[test]
fn their_layer_is_parsed_and_every_file_has_its_digest() {
    let (annotations, blob) = layer();
    assert!(Chunked::is(blob.clone()));
    let reader = Chunked::open_with(blob.clone(), &annotations, TocLimits::default()).unwrap();
    // The footer says the same as the annotations.
    let by_footer = Chunked::open(blob).unwrap();
    assert_eq!(reader.footer(), by_footer.footer());
    assert_eq!(reader.toc(), by_footer.toc());
    assert_eq!(every_file_has_its_digest::<Chunked>(&reader, &reader.toc().entries, None), 10);
}

#[test]
fn of_the_same_tar_ours_has_the_same_entries_and_chunks_but_for_the_offsets() {
    let (_, theirs) = layer();
    let (_, ours) = Chunked::packed(&Chunked::decode(&theirs));
    let without_offsets = |blob: &[u8]| -> Vec<TocEntry> {
        let clear = |mut entry: TocEntry| {
            (entry.offset, entry.end_offset) = (0, 0);
            entry
        };
        Chunked::toc(blob).entries.into_iter().map(clear).collect()
    };
    assert_eq!(without_offsets(&ours), without_offsets(&theirs));
    let entries = Chunked::toc(&theirs).entries;
    // The rolling checksum and runs of zeros both cut.
    let chunks = |name: &str| entries.iter().filter(|entry| entry.name == name).collect::<Vec<_>>();
    assert_eq!(
        chunks("./dir/noise").iter().map(|it| it.chunk_offset).collect::<Vec<_>>(),
        [0, 1854, 23964, 48474, 53603]
    );
    let holes: Vec<_> = chunks("./dir/holes").iter().map(|it| it.chunk_kind).collect();
    assert_eq!(holes, [ChunkKind::Data, ChunkKind::Zeros, ChunkKind::Data, ChunkKind::Zeros]);
}

#[test]
fn of_the_same_tar_our_tar_split_data_is_byte_for_byte_theirs() {
    let (_, theirs) = layer();
    let (_, ours) = Chunked::packed(&Chunked::decode(&theirs));
    let text = |blob: &[u8]| String::from_utf8(Chunked::decode(tar_split(blob).unwrap())).unwrap();
    assert_eq!(text(&ours), text(&theirs));
}

/// The fields of our JSON are theirs, and so are the names of all values.
#[test]
fn the_json_has_the_same_fields() {
    let (_, theirs) = layer();
    let (_, ours) = Chunked::packed(&Chunked::decode(&theirs));
    let fields = |blob: &[u8]| {
        let json: serde_json::Value = serde_json::from_slice(&Chunked::json(blob)).unwrap();
        let mut top: Vec<String> = json.as_object().unwrap().keys().cloned().collect();
        top.sort();
        let of = |entry: &serde_json::Value| {
            let mut entry = entry.as_object().unwrap().clone();
            entry.retain(|key, _| !key.to_lowercase().ends_with("offset") || key == "chunkOffset");
            serde_json::Value::from(entry)
        };
        (top, json["entries"].as_array().unwrap().iter().map(of).collect::<Vec<_>>())
    };
    assert_eq!(fields(&ours), fields(&theirs));
}

#[test]
fn every_frame_of_theirs_and_ours_is_where_the_table_says() {
    let (_, theirs) = layer();
    let (_, ours) = Chunked::packed(&Chunked::decode(&theirs));
    for blob in [theirs, ours] {
        for chunks in files(&Chunked::toc(&blob)) {
            let end = chunks[0].end_offset;
            assert!(end <= numbers(&blob)[0] - 8);
            let whole = Chunked::decode(&blob[chunks[0].offset as usize..end as usize]);
            assert_eq!(Some(Digest::of(whole)), chunks[0].digest);
            for (number, chunk) in chunks.iter().enumerate().filter(|_| chunks.len() > 1) {
                let end = chunks.get(number + 1).map_or(end, |next| next.offset);
                let bytes = Chunked::decode(&blob[chunk.offset as usize..end as usize]);
                assert_eq!((bytes.len() as u64, Some(Digest::of(bytes))), (chunk.chunk_size, chunk.chunk_digest));
            }
        }
    }
}
