//! zstd:chunked: what is written.
#![cfg(all(feature = "estargz", feature = "zstd-chunked"))]
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

mod pack_rig;
mod toc_rig;

use cache_blobs::codec::zstd_chunked::{
    Base64Bytes, MANIFEST_CHECKSUM, MANIFEST_POSITION, TAR_SPLIT_POSITION, TocKind,
};
use cache_blobs::codec::{Codec, Codecs, ZstdChunked};
use cache_blobs::tar::{Header, Kind, Timestamp};
use cache_core::annotation::UNCOMPRESSED;
use cache_core::{Compression, Digest, MediaType};
use pack_rig::{Fate, Pace, data, decode};
use toc_rig::{Chunked, Format, file, manifest, noise, numbers, tar_of, writing};

#[test]
fn any_zstd_reader_gives_the_tar_which_is_what_the_diff_id_covers() {
    let tar = tar_of(&[(Header::directory("d"), Vec::new()), file("d/f", data(9_300_000, 1)), file("d/g", data(5, 2))]);
    let (packed, blob, fate) = Chunked::try_pack(&tar, 2, Pace::Fast, 70_001);
    let packed = packed.unwrap();
    assert!(Chunked::decode(&blob) == tar);
    assert!(Chunked::decode(Chunked::body(&blob)) == tar);
    assert!(decode(&Codecs::default(), blob).unwrap() == tar);
    assert_eq!(packed.diff_id, Digest::of(&tar));
    assert_eq!(packed.uncompressed_bytes, tar.len() as u64);
    assert_eq!(packed.media_type, MediaType::OCI_LAYER_ZSTD);
    let Fate::Committed(labels) = fate else { panic!("{fate:?}") };
    assert_eq!(labels[UNCOMPRESSED], packed.diff_id.to_string());
}

#[test]
fn footer_and_annotations_tell_where_the_table_and_the_tar_split_data_are() {
    let (packed, blob) = Chunked::packed(&tar_of(&[file("f", data(10, 3))]));
    let [offset, compressed, bytes, kind, split_offset, split_compressed, split_bytes] = numbers(&blob);
    assert_eq!(kind, 1);
    assert_eq!(split_offset, offset + compressed + 8);
    assert_eq!(split_offset + split_compressed + Chunked::FOOTER_BYTES as u64, blob.len() as u64);
    let table = manifest(&blob);
    let split = &blob[split_offset as usize..][..split_compressed as usize];
    assert_eq!(Chunked::decode(table).len() as u64, bytes);
    assert_eq!(Chunked::decode(split).len() as u64, split_bytes);
    // Each lies in a skippable frame of its own.
    for (at, content) in [(offset, table), (split_offset, split)] {
        let header = &blob[at as usize - 8..at as usize];
        assert_eq!(header[..4], [0x50, 0x2a, 0x4d, 0x18]);
        assert_eq!(header[4..], (content.len() as u32).to_le_bytes());
    }
    let annotations = &packed.annotations;
    assert_eq!(annotations[MANIFEST_CHECKSUM], Digest::of(table).to_string());
    assert_eq!(annotations[MANIFEST_POSITION], format!("{offset}:{compressed}:{bytes}:1"));
    assert_eq!(annotations[TAR_SPLIT_POSITION], format!("{split_offset}:{split_compressed}:{split_bytes}"));
    // Readers of containers/storage refuse a layer that has eStargz's, too.
    assert_eq!(annotations.len(), 3);
    assert_eq!(Chunked::toc(&blob).tar_split, Some(Digest::of(split)));
}

#[test]
fn the_table_says_of_an_entry_what_the_tar_says() {
    let time = Timestamp { seconds: 1_000_000_000, nanos: 500_000_000 };
    let plain = |header: Header| (header, Vec::new());
    let mut dated = Header::file("t", 0).with_modified(time);
    dated.records.insert(b"atime".to_vec(), b"1.25".to_vec());
    dated.records.insert(b"ctime".to_vec(), b"2".to_vec());
    let entries = [
        plain(Header::directory("d/").with_mode(0o1777).with_owner(1, 2).with_modified(time)),
        plain(Header::symlink("d/s", "../t<&>").with_owner(1, 2)),
        plain(Header::hard_link("./h", "d/f")),
        plain(Header::new(Kind::CharDevice, "c").with_device(1, 3)),
        plain(Header::new(Kind::BlockDevice, "b").with_device(8, 0)),
        plain(Header::new(Kind::Fifo, "p")),
        plain(Header::file("caf\u{e9}", 0).with_xattr("user.x", &b"\x00\xff"[..])),
        plain(dated),
        file("f", b"contents".to_vec()),
    ];
    let (_, blob) = Chunked::packed(&tar_of(&entries));
    let toc = Chunked::toc(&blob);
    let [d, s, h, c, b, p, x, t, f] = &toc.entries[..] else { panic!("{toc:?}") };
    assert_eq!((d.name.as_str(), d.kind, d.mode, d.uid, d.gid), ("d/", TocKind::Dir, 0o1777, 1, 2));
    assert_eq!(d.modified, "2001-09-09T01:46:40.5Z");
    assert_eq!((s.kind, s.link_name.as_str(), s.mode), (TocKind::Symlink, "../t<&>", 0o777));
    assert_eq!(s.modified, "1970-01-01T00:00:00Z");
    assert_eq!((h.name.as_str(), h.kind, h.link_name.as_str()), ("./h", TocKind::Hardlink, "d/f"));
    assert_eq!((c.kind, c.dev_major, c.dev_minor), (TocKind::Char, 1, 3));
    assert_eq!((b.kind, b.dev_major, b.dev_minor), (TocKind::Block, 8, 0));
    assert_eq!(p.kind, TocKind::Fifo);
    assert_eq!((x.xattrs["user.x"].clone(), x.digest), (Base64Bytes(vec![0, 255]), None));
    assert_eq!((t.accessed.as_str(), t.changed.as_str()), ("1970-01-01T00:00:01.25Z", "1970-01-01T00:00:02Z"));
    assert_eq!((f.size, f.digest), (8, Some(Digest::of("contents"))));
    // A file of one chunk says nothing of chunks.
    assert_eq!((f.chunk_size, f.chunk_offset, f.chunk_digest), (0, 0, None));
    assert_eq!(Chunked::decode(&blob[f.offset as usize..f.end_offset as usize]), b"contents");
    let json = Chunked::json(&blob);
    assert!(json.starts_with(br#"{"version":1,"entries":[{"name":"d/","type":"dir","#));
}

#[test]
fn tars_without_entries_or_without_an_end_and_bytes_behind_the_end_are_kept() {
    writing::odd_tars_are_kept::<Chunked>(|blob, _| {
        assert!(Chunked::decode(blob) == Chunked::decode(Chunked::body(blob)))
    });
}

#[test]
fn a_tar_that_is_none_is_refused_and_the_ingest_aborted() {
    writing::damaged_tars_are_refused::<Chunked>(Vec::new());
}

/// Noise does not shrink, files of one byte make as many frames as files can, and so do runs of zeros.
#[test]
fn the_smallest_and_the_least_compressible_files_stay_within_the_bound() {
    let tiny = (0..9000).map(|seed| file(&format!("{seed}"), noise(1, seed))).collect();
    let full = (0..9000).map(|seed| file(&format!("{seed}"), noise(512, seed))).collect();
    let holes = vec![file("holes", [&[0; 1024][..], b"x"].concat().repeat(8200))];
    let large = vec![file("noise", noise(9 << 20, 1))];
    writing::blobs_stay_within_the_bound::<Chunked>(vec![tiny, full, holes, large]);
}

#[test]
fn a_level_out_of_range_is_invalid_and_every_other_is_accepted() {
    writing::levels_are_checked::<Chunked>([-8, 23], "-7 to 22", -7..=22);
}

#[test]
fn the_recipe_names_what_the_bytes_depend_on() {
    let label = ZstdChunked::new().recipe(None).unwrap().to_label();
    let version = zstd::zstd_safe::version_string();
    assert_eq!(
        label,
        format!(
            r#"{{"codec":"zstd:chunked","library":"zstd","version":"{version}","level":3,"block":4194304,"parameters":"window-log=23,rollsum=16,zeros=1024"}}"#
        )
    );
}

#[test]
fn zstd_chunked_is_found_by_its_name_and_has_no_docker_media_type() {
    assert_eq!(Codecs::default().named("zstd:chunked").unwrap().compression(), Compression::ZSTD_CHUNKED);
    writing::it_has_no_docker_media_type::<Chunked>();
}
