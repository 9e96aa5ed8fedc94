//! eStargz: what is written.
#![cfg(feature = "estargz")]
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

mod pack_rig;
mod toc_rig;

use cache_blobs::codec::estargz::{Base64Bytes, Footer, TOC_DIGEST, TocKind, UNCOMPRESSED_SIZE};
use cache_blobs::codec::{Codec, Codecs, Estargz};
use cache_blobs::tar::{Header, Kind, Timestamp};
use cache_core::annotation::UNCOMPRESSED;
use cache_core::{Compression, CompressionConfig, Digest, ErrorKind, MediaType, MediaTypeFamily};
use pack_rig::{Fate, Pace, data, decode};
use toc_rig::{Format, Stargz, file, legacy_footer, noise, resealed, tar_of, writing};

const CHUNK: usize = 4 << 20;

#[test]
fn gunzip_gives_the_tar_and_behind_it_the_table_of_contents_and_the_diff_id_covers_both() {
    let tar = tar_of(&[(Header::directory("d"), Vec::new()), file("d/f", data(1_300_000, 1)), file("d/g", data(5, 2))]);
    let (packed, blob, fate) = Stargz::try_pack(&tar, 2, Pace::Fast, 70_001);
    let packed = packed.unwrap();
    let whole = Stargz::decode(&blob);
    assert!(whole.starts_with(&tar));
    assert!(Stargz::decode(Stargz::body(&blob)) == tar);
    assert_eq!(packed.diff_id, Digest::of(&whole));
    assert_eq!(packed.uncompressed_bytes, whole.len() as u64);
    assert_eq!(packed.annotations[UNCOMPRESSED_SIZE], whole.len().to_string());
    assert_eq!(packed.annotations[TOC_DIGEST], Digest::of(Stargz::json(&blob)).to_string());
    assert_eq!(packed.annotations.len(), 2);
    assert_eq!(packed.media_type, MediaType::OCI_LAYER_GZIP);
    let Fate::Committed(labels) = fate else { panic!("{fate:?}") };
    assert_eq!(labels[UNCOMPRESSED], packed.diff_id.to_string());
    assert!(decode(&Codecs::default(), blob).unwrap() == whole);
}

#[test]
fn the_blob_ends_with_the_footer_of_51_bytes() {
    let (_, blob) = Stargz::packed(&tar_of(&[file("f", data(10, 3))]));
    assert_eq!(blob[blob.len() - Stargz::FOOTER_BYTES..], Stargz::footer(Stargz::body(&blob).len() as u64));
    assert_eq!(Stargz::decode(&blob[blob.len() - Stargz::FOOTER_BYTES..]), b"");
}

/// Counts members by their headers, which tell their length.
fn members(mut blob: &[u8]) -> Vec<u64> {
    let mut places = Vec::new();
    let whole = blob.len();
    while blob.len() > Stargz::FOOTER_BYTES {
        places.push((whole - blob.len()) as u64);
        assert_eq!(blob[..4], [0x1f, 0x8b, 8, 4]);
        let length = u32::from_le_bytes(blob[16..20].try_into().unwrap()) as usize;
        blob = &blob[length..];
    }
    places
}

#[test]
fn every_payload_and_every_chunk_of_4_mib_begins_a_member() {
    let sizes = [9 << 20, 3, 0, CHUNK, CHUNK + 1, 600_000, 2 * CHUNK];
    let files: Vec<_> = (1..).zip(sizes).map(|(seed, bytes)| file(&format!("f{seed}"), data(bytes, seed))).collect();
    let (_, blob) = Stargz::packed(&tar_of(&files));
    let (toc, places) = (Stargz::toc(&blob), members(&blob));
    let mut entries = toc.entries.iter();
    for (header, contents) in &files {
        let name = String::from_utf8(header.path.clone()).unwrap();
        if contents.is_empty() {
            assert_eq!(entries.next().unwrap().digest, Some(Digest::of([])));
            continue;
        }
        for (number, chunk) in contents.chunks(CHUNK).enumerate() {
            let entry = entries.next().unwrap();
            assert_eq!(entry.name, name);
            assert_eq!(entry.kind, if number == 0 { TocKind::Reg } else { TocKind::Chunk });
            assert_eq!(entry.size, if number == 0 { header.size } else { 0 });
            assert_eq!(entry.digest, (number == 0).then(|| Digest::of(contents)));
            assert_eq!(entry.chunk_offset, (number * CHUNK) as u64);
            // Only full chunks say how long they are.
            assert_eq!(entry.chunk_size, if chunk.len() == CHUNK { CHUNK as u64 } else { 0 }, "{name} {number}");
            assert_eq!(entry.chunk_digest, Some(Digest::of(chunk)));
            assert_eq!(entry.inner_offset, 0);
            assert!(places.contains(&entry.offset));
            assert!(Stargz::decode(&blob[entry.offset as usize..]).starts_with(chunk));
        }
    }
    assert_eq!(entries.next(), None);
}

#[test]
fn entries_without_contents_share_a_member() {
    let many: Vec<_> = (0..300).map(|number| (Header::directory(format!("d{number}")), Vec::new())).collect();
    let (_, blob) = Stargz::packed(&tar_of(&many));
    // One for the tar, one for the table of contents.
    assert_eq!(members(&blob).len(), 2);
}

#[test]
fn the_table_says_of_an_entry_what_the_tar_says() {
    let time = Timestamp { seconds: 1_000_000_000, nanos: 500_000_000 };
    let named = |mut header: Header, user: &str, group: &str| {
        (header.user_name, header.group_name) = (user.into(), group.into());
        (header, Vec::new())
    };
    let entries = [
        named(Header::directory("d/").with_mode(0o1777).with_owner(1, 2).with_modified(time), "u", "g"),
        named(Header::symlink("d/s", "../t<&>").with_owner(1, 2), "u", "other"),
        named(Header::hard_link("./h", "d/f").with_owner(0, 2), "root", "other"),
        named(Header::new(Kind::CharDevice, "c").with_device(1, 3), "", ""),
        named(Header::new(Kind::BlockDevice, "b").with_device(8, 0), "", ""),
        named(Header::new(Kind::Fifo, "p").with_modified(Timestamp { seconds: 0, nanos: 700_000_000 }), "", ""),
        named(Header::file(&b"caf\xc3\xa9 \xff\xfe"[..], 0).with_xattr("user.x", &b"\x00\xff"[..]), "", ""),
        named(Header::file("before", 0).with_modified(Timestamp { seconds: -1, nanos: 600_000_000 }), "", ""),
    ];
    let (_, blob) = Stargz::packed(&tar_of(&entries));
    let toc = Stargz::toc(&blob);
    let [d, s, h, c, b, p, f, before] = &toc.entries[..] else { panic!("{toc:?}") };
    assert_eq!((d.name.as_str(), d.kind, d.mode, d.uid, d.gid), ("d/", TocKind::Dir, 0o1777, 1, 2));
    assert_eq!(d.modified, "2001-09-09T01:46:41Z");
    assert_eq!((d.user_name.as_str(), d.group_name.as_str()), ("u", "g"));
    assert_eq!((s.kind, s.link_name.as_str(), s.mode), (TocKind::Symlink, "../t<&>", 0o777));
    // Names that the table has for this owner already are left out.
    assert_eq!((s.user_name.as_str(), s.group_name.as_str()), ("", "other"));
    assert_eq!((h.name.as_str(), h.kind, h.link_name.as_str()), ("./h", TocKind::Hardlink, "d/f"));
    assert_eq!((h.user_name.as_str(), h.group_name.as_str()), ("root", ""));
    assert_eq!((c.kind, c.dev_major, c.dev_minor), (TocKind::Char, 1, 3));
    assert_eq!((b.kind, b.dev_major, b.dev_minor), (TocKind::Block, 8, 0));
    assert_eq!((p.kind, p.modified.as_str()), (TocKind::Fifo, ""));
    assert_eq!(f.name, "café \u{fffd}\u{fffd}");
    assert_eq!(f.xattrs["user.x"], Base64Bytes(vec![0, 255]));
    assert_eq!(before.modified, "1970-01-01T00:00:00Z");
}

#[test]
fn the_mode_is_the_one_that_the_tar_stores_with_its_type_bits() {
    let tar = resealed(tar_of(&[file("f", Vec::new())]), 100, b"0100644\0");
    assert_eq!(Stargz::toc(&Stargz::packed(&tar).1).entries[0].mode, 0o100_644);
}

#[test]
fn tars_without_entries_or_without_an_end_and_bytes_behind_the_end_are_kept() {
    writing::odd_tars_are_kept::<Stargz>(|blob, entries| {
        if entries == 0 {
            assert_eq!(Stargz::json(blob), b"{\n\t\"version\": 1,\n\t\"entries\": null\n}");
        }
    });
}

#[test]
fn a_tar_that_cannot_be_estargz_is_refused_and_the_ingest_aborted() {
    let sparse = resealed(tar_of(&[file("f", data(700, 5))]), 156, b"S");
    let with_table = tar_of(&[file("./stargz.index.json", data(3, 6))]);
    let others = vec![(with_table, ErrorKind::Invalid), (sparse, ErrorKind::Unsupported)];
    writing::damaged_tars_are_refused::<Stargz>(others);
}

/// Noise does not shrink, and files of one byte make as many members as there can be.
#[test]
fn the_smallest_and_the_least_compressible_files_stay_within_the_bound() {
    let tiny = (0..3000).map(|seed| file(&format!("{seed}"), noise(1, seed))).collect();
    let full = (0..1500).map(|seed| file(&format!("{seed}"), noise(512, seed))).collect();
    writing::blobs_stay_within_the_bound::<Stargz>(vec![tiny, full]);
}

#[test]
fn a_level_out_of_range_is_invalid_and_every_other_round_trips() {
    writing::levels_are_checked::<Stargz>([-1, 13], "0 to 12", 0..=12);
}

#[test]
fn the_bytes_of_the_default_level_are_these() {
    let label = Estargz::new().recipe(None).unwrap().to_label();
    assert_eq!(
        label,
        r#"{"codec":"estargz","library":"libdeflate","version":"sample-79fedc2c","level":5,"block":2097152,"parameters":"member-size,noise-stored,chunk=4194304"}"#
    );
}

#[test]
fn the_footer_tells_estargz_from_gzip_where_the_tail_is_at_hand() {
    writing::the_footer_tells_it_from::<Stargz>(&Compression::Gzip);
}

#[test]
fn estargz_with_docker_media_types_is_invalid_and_zstd_with_them_is_not() {
    writing::it_has_no_docker_media_type::<Stargz>();
    assert!(Codecs::default().for_family(&CompressionConfig::zstd(), MediaTypeFamily::Docker).is_ok());
}

#[test]
fn footers_of_both_forms_are_read_at_every_offset() {
    for offset in (0..200_000).step_by(1023).chain([u64::MAX]) {
        let now = Stargz::footer(offset);
        let found = Footer::of_tail(&now).unwrap();
        assert_eq!((found.toc_offset, found.bytes), (offset, 51));
        let found = Footer::of_tail(&[b"before", &legacy_footer(offset)[..]].concat()).unwrap();
        assert_eq!((found.toc_offset, found.bytes), (offset, 47));
    }
    let good = Stargz::footer(77);
    for at in 0..good.len() {
        let mut bad = good.clone();
        bad[at] = b'x';
        assert_eq!(Footer::of_tail(&bad), None, "byte {at}");
        assert_eq!(Footer::of_tail(&good[at + 1..]), None, "from {at}");
    }
    assert_eq!(Footer::of_tail(b""), None);
}
