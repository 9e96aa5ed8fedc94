//! zstd:chunked: recognised by its footer, in both dialects.
#![cfg(all(feature = "estargz", feature = "zstd-chunked"))]
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

mod pack_rig;
mod toc_rig;

use cache_blobs::codec::zstd_chunked::{Footer, TocKind, TocLimits};
use cache_core::{Annotations, Compression, Digest, ErrorKind};
use pack_rig::data;
use toc_rig::{Chunked, Format, file, numbers, read, short_footer, skippable, tar_of, writing};

#[test]
fn the_footer_tells_zstd_chunked_from_zstd_where_the_tail_is_at_hand() {
    writing::the_footer_tells_it_from::<Chunked>(&Compression::Zstd);
    assert!(Chunked::is(Chunked::packed(&tar_of(&[file("f", data(10, 8))])).1));
}

#[test]
fn a_footer_that_does_not_point_to_such_a_frame_makes_no_zstd_chunked() {
    let (_, blob) = Chunked::packed(&tar_of(&[file("f", data(10, 8))]));
    let (before, right) = (&blob[..blob.len() - Chunked::FOOTER_BYTES], numbers(&blob));
    for (at, wrong) in [(0, right[0] + 1), (0, 0), (0, u64::MAX), (1, right[1] - 1), (1, u64::MAX), (3, 2)] {
        let mut numbers = right;
        numbers[at] = wrong;
        assert!(!Chunked::is([before, &Chunked::footer(numbers)].concat()), "{at} {wrong}");
    }
    for blob in [Vec::new(), before.to_vec(), Chunked::encode(b"tar"), Chunked::footer([0; 7])] {
        assert!(!Chunked::is(blob));
    }
}

#[test]
fn footers_of_both_forms_are_read_at_every_offset() {
    for offset in (0..200_000).step_by(1023).chain([u64::MAX]) {
        let long = Footer::of_tail(&[b"before", &Chunked::footer([offset, 2, 3, 1, 5, 6, 7])[..]].concat()).unwrap();
        let split = long.tar_split.unwrap();
        assert_eq!((long.manifest.offset, long.manifest.compressed_bytes, long.manifest.bytes), (offset, 2, 3));
        assert_eq!((split.offset, split.compressed_bytes, split.bytes), (5, 6, 7));
        let short = Footer::of_tail(&[b"before", &short_footer([offset, 2, 3, 1])[..]].concat()).unwrap();
        assert_eq!((short.manifest.offset, short.tar_split), (offset, None));
    }
    for good in [Chunked::footer([1; 7]), short_footer([1; 4])] {
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] = b'X';
            // Only numbers may be others: not the magic, not the length, and not the form of table.
            let is_number = (8..32).contains(&at) || (40..64).contains(&at) && good.len() == 72;
            assert_eq!(Footer::of_tail(&bad).is_some(), is_number, "byte {at}");
            assert_eq!(Footer::of_tail(&good[at + 1..]), None, "from {at}");
        }
    }
    assert_eq!(Footer::of_tail(b""), None);
}

/// As stargz-snapshotter writes it: chunks of a fixed size with the headers of the next entry behind them, no end, and a digest
/// of empty files, too.
#[test]
fn blobs_of_stargz_snapshotter_are_read() {
    let (contents, empty) = (data(900, 1), Digest::of(""));
    let frames = [&b"headers"[..], &contents[..500], &[&contents[500..], b"headers"].concat()].map(Chunked::encode);
    let [first, second] = [frames[0].len(), frames[0].len() + frames[1].len()];
    let (digest, one, two) = (Digest::of(&contents), Digest::of(&contents[..500]), Digest::of(&contents[500..]));
    let json = format!(
        r#"{{
	"version": 1,
	"entries": [
		{{"name": "f", "type": "reg", "size": 900, "digest": "{digest}", "offset": {first}, "chunkSize": 500, "chunkDigest": "{one}"}},
		{{"name": "f", "type": "chunk", "offset": {second}, "chunkOffset": 500, "chunkDigest": "{two}"}},
		{{"name": "e", "type": "reg", "digest": "{empty}", "xattrs": null}}
	]
}}"#
    );
    let (body, table) = (frames.concat(), Chunked::encode(json.as_bytes()));
    let place = [body.len() as u64 + 8, table.len() as u64, json.len() as u64, 1];
    let blob = [&body[..], &skippable(&table), &short_footer(place)].concat();
    assert!(Chunked::is(blob.clone()));
    assert!(Chunked::decode(&blob).starts_with(b"headers"));
    let [offset, compressed, bytes, kind] = place;
    let annotations = |digest: Digest| {
        Annotations::from([
            ("io.containers.zstd-chunked.manifest-checksum".to_owned(), digest.to_string()),
            (
                "io.containers.zstd-chunked.manifest-position".to_owned(),
                format!("{offset}:{compressed}:{bytes}:{kind}"),
            ),
        ])
    };
    for reader in [
        Chunked::open(blob.clone()),
        Chunked::open_with(blob.clone(), &annotations(Digest::of(&table)), TocLimits::default()),
    ] {
        let reader = reader.unwrap();
        assert_eq!(read(&reader, "f").unwrap(), contents);
        assert_eq!(read(&reader, "e").unwrap(), b"");
        assert_eq!(reader.toc().entries.iter().filter(|entry| entry.kind == TocKind::Chunk).count(), 1);
    }
    let error = Chunked::open_with(blob, &annotations(Digest::of("x")), TocLimits::default()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
}
