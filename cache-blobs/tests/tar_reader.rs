//! The reader takes what images in the wild hold, and refuses what two programs could read in two ways.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

use std::io::{BufRead, BufReader, Read};

use cache_blobs::content::Extent;
use cache_blobs::tar::{Error, Header, Kind, Limit, Problem, ReadLimits, Reader, Timestamp, Writer};

/// A header block under construction.
struct Raw([u8; 512]);

impl Raw {
    fn new(type_flag: u8, name: &str, size: u64) -> Self {
        let mut raw = Self([0; 512]);
        raw.put(0, name.as_bytes());
        raw.put(100, b"0000644\0").put(108, b"0000000\0").put(116, b"0000000\0");
        raw.put(124, format!("{size:011o}\0").as_bytes()).put(136, b"00000000000\0");
        raw.0[156] = type_flag;
        raw.put(257, b"ustar\x0000");
        raw
    }

    fn put(&mut self, at: usize, bytes: &[u8]) -> &mut Self {
        self.0[at..at + bytes.len()].copy_from_slice(bytes);
        self
    }

    fn gnu(&mut self) -> &mut Self {
        self.put(257, b"ustar  \0")
    }

    fn block(&mut self) -> Vec<u8> {
        self.put(148, b"        ");
        let sum: u32 = self.0.iter().map(|byte| u32::from(*byte)).sum();
        self.put(148, format!("{sum:06o}\0 ").as_bytes());
        self.0.to_vec()
    }
}

fn padded(bytes: &[u8]) -> Vec<u8> {
    let mut padded = bytes.to_vec();
    padded.resize(bytes.len().next_multiple_of(512), 0);
    padded
}

fn record(key: &str, value: &[u8]) -> Vec<u8> {
    let rest = key.len() + value.len() + 3;
    let mut length = rest + 1;
    while length != rest + length.to_string().len() {
        length = rest + length.to_string().len();
    }
    [format!("{length} {key}=").as_bytes(), value, b"\n"].concat()
}

fn extended(type_flag: u8, data: &[u8]) -> Vec<u8> {
    [Raw::new(type_flag, "meta", data.len() as u64).block(), padded(data)].concat()
}

fn pax(records: &[(&str, &[u8])]) -> Vec<u8> {
    extended(b'x', &records.iter().flat_map(|(key, value)| record(key, value)).collect::<Vec<u8>>())
}

fn file(name: &str, content: &[u8]) -> Vec<u8> {
    [Raw::new(b'0', name, content.len() as u64).block(), padded(content)].concat()
}

fn read(archive: &[u8]) -> Result<Vec<(Header, Vec<u8>)>, Error> {
    let mut reader = Reader::new(archive);
    let mut entries = Vec::new();
    while let Some(mut entry) = reader.next_entry()? {
        let mut content = Vec::new();
        if let Err(error) = entry.read_to_end(&mut content) {
            return Err(error.into_inner().unwrap().downcast_ref::<Error>().unwrap().clone());
        }
        entries.push((entry.into_header(), content));
    }
    Ok(entries)
}

fn one(archive: &[u8]) -> (Header, Vec<u8>) {
    let mut entries = read(archive).unwrap();
    assert_eq!(entries.len(), 1);
    entries.remove(0)
}

fn problem(archive: &[u8]) -> Problem {
    match read(archive) {
        Err(Error::Malformed { problem, .. }) => problem,
        other => panic!("not malformed: {other:?}"),
    }
}

fn limit(archive: &[u8], limits: ReadLimits) -> Limit {
    let mut reader = Reader::with_limits(archive, limits);
    loop {
        match reader.next_entry() {
            Err(Error::LimitExceeded { limit, .. }) => return limit,
            Ok(Some(_)) => {}
            other => panic!("no limit: {other:?}"),
        }
    }
}

#[test]
fn nothing_is_an_empty_archive() {
    assert!(read(b"").unwrap().is_empty());
    assert!(read(&[0; 1024]).unwrap().is_empty());
    assert!(read(&[0; 512]).unwrap().is_empty());
}

#[test]
fn a_missing_end_and_a_missing_last_padding_are_accepted() {
    let mut archive = file("a", b"hello");
    assert_eq!(one(&archive).1, b"hello");
    archive.truncate(512 + 5);
    assert_eq!(one(&archive).1, b"hello");
}

#[test]
fn what_follows_the_end_is_left_to_be_drained() {
    let archive = [file("a", b"1"), vec![0; 4096], b"rest".to_vec()].concat();
    let mut reader = Reader::new(&archive[..]);
    while reader.next_entry().unwrap().is_some() {}
    assert!(reader.offset() < archive.len() as u64);
    assert_eq!(reader.drain().unwrap(), archive.len() as u64);
}

#[test]
fn an_archive_that_ends_inside_contents_or_headers_is_refused() {
    let archive = file("a", b"hello");
    assert_eq!(problem(&archive[..514]), Problem::Truncated);
    assert_eq!(problem(&archive[..100]), Problem::Truncated);
    assert_eq!(problem(&pax(&[("path", b"b")])), Problem::Truncated);
    let long = pax(&[("path", b"b")]);
    assert_eq!(problem(&long[..600]), Problem::Truncated);
}

#[test]
fn one_zero_block_before_more_data_is_refused() {
    assert_eq!(problem(&[file("a", b""), vec![0; 512], file("b", b"")].concat()), Problem::Trailer);
}

#[test]
fn a_wrong_checksum_is_refused() {
    let mut archive = file("a", b"");
    archive[0] = b'b';
    assert_eq!(problem(&archive), Problem::Checksum);
}

#[test]
fn a_checksum_over_signed_bytes_is_accepted() {
    let mut raw = Raw::new(b'0', "caf\u{e9}", 0);
    raw.put(148, b"        ");
    let sum: i32 = raw.0.iter().map(|byte| i32::from(byte.cast_signed())).sum();
    raw.put(148, format!("{sum:06o}\0 ").as_bytes());
    assert_eq!(one(&raw.0).0.path, "caf\u{e9}".as_bytes());
}

#[test]
fn a_pax_size_wins_over_a_size_of_zero() {
    // TARmageddon: who believes the header reads the contents as entries.
    let hidden = file("hidden", b"");
    let size = hidden.len().to_string();
    let archive = [pax(&[("size", size.as_bytes())]), Raw::new(b'0', "outer", 0).block(), hidden.clone()].concat();
    let (header, content) = one(&archive);
    assert_eq!((header.path.as_slice(), content), (&b"outer"[..], hidden));
}

#[test]
fn two_different_sizes_are_refused() {
    for (short, long) in [(512, "1024"), (1024, "512"), (1, "0")] {
        let mut archive = pax(&[("size", long.as_bytes())]);
        archive.extend(Raw::new(b'0', "a", short).block());
        archive.extend([0; 2048]);
        assert_eq!(problem(&archive), Problem::SizeMismatch);
    }
}

#[test]
fn a_saturated_size_gives_way_to_the_pax_size() {
    // libarchive writes all sevens where the number does not fit.
    let archive = [pax(&[("size", b"8589934592")]), Raw::new(b'0', "a", 0o77_777_777_777).block()].concat();
    let mut reader = Reader::new(&archive[..]);
    assert_eq!(reader.next_entry().unwrap().unwrap().header().size, 1 << 33);
}

#[test]
fn a_size_on_an_entry_without_contents_is_refused() {
    for type_flag in *b"123456" {
        assert_eq!(problem(&Raw::new(type_flag, "a", 512).block()), Problem::SizeWithoutContents);
        let archive = [pax(&[("size", b"512")]), Raw::new(type_flag, "a", 0).block()].concat();
        assert_eq!(problem(&archive), Problem::SizeWithoutContents);
    }
}

#[test]
fn extended_headers_in_an_odd_order_are_refused() {
    let (x, g) = (pax(&[("path", b"b")]), extended(b'g', &record("comment", b"c")));
    let (l, k) = (extended(b'L', b"long\0"), extended(b'K', b"long\0"));
    let main = file("a", b"");
    for order in [[&x, &x], [&x, &l], [&x, &k], [&l, &x], [&k, &x], [&l, &l], [&k, &k], [&x, &g], [&l, &g]] {
        let archive = [order[0].as_slice(), order[1], &main].concat();
        assert_eq!(problem(&archive), Problem::HeaderOrder);
    }
    assert_eq!(problem(&[x, vec![0; 1024]].concat()), Problem::HeaderOrder);
    assert_eq!(one(&[&g[..], &l, &k, &main].concat()).0.path, b"long");
    assert_eq!(one(&[&k[..], &l, &main].concat()).0.link, b"long");
}

#[test]
fn global_headers_are_ignored_unless_they_would_matter() {
    let archive = [extended(b'g', &record("comment", b"0123")), file("a", b"x")].concat();
    assert_eq!(one(&archive).0.records.len(), 0);
    for key in ["path", "linkpath", "size", "GNU.sparse.map"] {
        let archive = [extended(b'g', &record(key, b"1")), file("a", b"x")].concat();
        assert_eq!(problem(&archive), Problem::GlobalRecord);
    }
}

#[test]
fn malformed_records_are_refused() {
    for data in [
        &b"11 path=a\n"[..],
        b"8 path=a\n",
        b"0 path=a\n",
        b"+9 path=a\n",
        b"-9 path=a\n",
        b"path=a\n",
        b"99999999999999999999 path=a\n",
        b"18446744073709551615 path=a\n",
        b"10 path=ab",
        b"5 =a\n",
        b"7 path\n",
        b"2 \n",
        b"9 path=a\n\0\0\0",
    ] {
        let archive = [extended(b'x', data), file("a", b"")].concat();
        assert_eq!(problem(&archive), Problem::Record, "{:?}", String::from_utf8_lossy(data));
    }
}

#[test]
fn duplicate_keys_are_refused() {
    assert_eq!(problem(&[pax(&[("path", b"b"), ("path", b"c")]), file("a", b"")].concat()), Problem::DuplicateKey);
}

#[test]
fn overlong_keys_are_refused() {
    // The longest attribute of Linux, as libarchive spells it where every byte needs three.
    let longest = format!("LIBARCHIVE.xattr.{}", "%FF".repeat(255));
    assert_eq!(one(&[pax(&[(&longest, b"v")]), file("a", b"")].concat()).0.path, b"a");
    let key = "k".repeat(1025);
    for entry in [pax(&[(&key, b"v")]), extended(b'g', &record(&key, b"v"))] {
        let archive = [entry, file("a", b"")].concat();
        assert_eq!(limit(&archive, ReadLimits::default()), Limit::KeyBytes);
        let mut raised = Reader::with_limits(&archive[..], ReadLimits::default().with_key_bytes(1025));
        assert!(raised.next_entry().unwrap().is_some());
    }
}

#[test]
fn a_nul_byte_in_a_name_is_refused() {
    for key in ["path", "linkpath", "uname", "gname"] {
        assert_eq!(problem(&[pax(&[(key, b"b\0c")]), file("a", b"")].concat()), Problem::NulInName);
    }
    assert_eq!(problem(&[extended(b'L', b"b\0c\0"), file("a", b"")].concat()), Problem::NulInName);
}

#[test]
fn an_empty_value_takes_a_record_back_but_is_a_real_attribute() {
    let records: &[(&str, &[u8])] =
        &[("path", b""), ("uid", b""), ("size", b""), ("mtime", b""), ("comment", b""), ("SCHILY.xattr.user.e", b"")];
    let (header, content) = one(&[pax(records), file("a", b"x")].concat());
    assert_eq!((header.path.as_slice(), header.uid, content.as_slice()), (&b"a"[..], 0, &b"x"[..]));
    assert!(header.records.is_empty());
    assert_eq!(header.xattrs[&b"user.e"[..]], b"");
}

#[test]
fn attributes_may_hold_any_byte() {
    let archive = [pax(&[("SCHILY.xattr.security.selinux", b"a=b\n\0c\xff")]), file("a", b"")].concat();
    assert_eq!(one(&archive).0.xattrs[&b"security.selinux"[..]], b"a=b\n\0c\xff");
}

#[test]
fn records_set_every_field() {
    let records: &[(&str, &[u8])] = &[
        ("path", b"long/name"),
        ("linkpath", b"target"),
        ("uid", b"4294967294"),
        ("gid", b"3000000"),
        ("uname", b"u"),
        ("gname", b"g"),
        ("mtime", b"-1.5"),
        ("atime", b"12.5"),
    ];
    let (header, _) = one(&[pax(records), Raw::new(b'2', "a", 0).block()].concat());
    assert_eq!(header.kind, Kind::Symlink);
    assert_eq!((header.path.as_slice(), header.link.as_slice()), (&b"long/name"[..], &b"target"[..]));
    assert_eq!((header.uid, header.gid), (4_294_967_294, 3_000_000));
    assert_eq!((header.user_name.as_slice(), header.group_name.as_slice()), (&b"u"[..], &b"g"[..]));
    assert_eq!(header.modified, Timestamp { seconds: -2, nanos: 500_000_000 });
    assert_eq!(header.records[&b"atime"[..]], b"12.5");
}

#[test]
fn numbers_may_be_padded_octal_or_base_256() {
    let mut raw = Raw::new(b'0', "a", 0);
    raw.put(108, b"  1750 \0").put(116, b"\0\0\0\0\0\0\0\0");
    raw.put(136, &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xfe]);
    let (header, _) = one(&raw.block());
    assert_eq!((header.uid, header.gid, header.modified.seconds), (1000, 0, -2));
    raw.put(108, &[0x80, 0, 0, 0, 0x7f, 0xff, 0xff, 0xff]);
    assert_eq!(one(&raw.block()).0.uid, 0x7fff_ffff);
}

#[test]
fn impossible_numbers_are_refused() {
    for (at, bytes) in [
        (124, &[0xff; 12][..]),
        (124, &[0x80, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0]),
        (124, b"0000000008\0\0"),
        (108, b"12x\0\0\0\0\0"),
        (136, &[0x80, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]),
    ] {
        assert_eq!(problem(&Raw::new(b'0', "a", 0).put(at, bytes).block()), Problem::Number);
    }
    for (key, value) in
        [("size", "-1"), ("size", "18446744073709551615"), ("uid", "1.5"), ("mtime", "1e9"), ("gid", "0x1")]
    {
        assert_eq!(problem(&[pax(&[(key, value.as_bytes())]), file("a", b"")].concat()), Problem::Number, "{key}");
    }
}

#[test]
fn a_ustar_prefix_is_part_of_the_name() {
    let mut raw = Raw::new(b'0', "name", 0);
    raw.put(345, b"some/directory");
    assert_eq!(one(&raw.block()).0.path, b"some/directory/name");
}

#[test]
fn a_star_prefix_stops_before_the_times() {
    let mut raw = Raw::new(b'0', "name", 0);
    raw.put(345, b"some").put(345 + 131, b"00000000001\0").put(345 + 143, b"00000000002\0").put(508, b"tar\0");
    assert_eq!(one(&raw.block()).0.path, b"some/name");
}

#[test]
fn gnu_headers_have_no_prefix_but_those_of_old_go_do() {
    let mut raw = Raw::new(b'0', "name", 0);
    raw.gnu().put(345, b"00000000001\0");
    assert_eq!(one(&raw.block()).0.path, b"name");
    raw.put(345, b"some/directory/of/docker");
    assert_eq!(one(&raw.block()).0.path, b"some/directory/of/docker/name");
}

#[test]
fn a_v7_directory_is_a_file_whose_name_ends_with_a_slash() {
    let mut raw = Raw::new(0, "directory/", 0);
    raw.put(257, &[0; 8]);
    assert_eq!(one(&raw.block()).0.kind, Kind::Directory);
}

#[test]
fn gnu_long_names_are_used() {
    let name = "n".repeat(300);
    let link = "l".repeat(300);
    let archive = [
        extended(b'K', format!("{link}\0").as_bytes()),
        extended(b'L', format!("{name}\0").as_bytes()),
        Raw::new(b'2', "short", 0).gnu().block(),
    ]
    .concat();
    let (header, _) = one(&archive);
    assert_eq!((header.path, header.link), (name.into_bytes(), link.into_bytes()));
}

#[test]
fn unknown_entry_types_are_unsupported() {
    for type_flag in *b"DMVNAX8" {
        assert!(matches!(
            read(&Raw::new(type_flag, "a", 0).block()),
            Err(Error::Unsupported { type_flag: found, .. }) if found == type_flag
        ));
    }
}

/// An old GNU sparse file of 3072 bytes, of which 512..1024 and 2048..2560 are stored.
fn sparse() -> Vec<u8> {
    let mut raw = Raw::new(b'S', "sparse", 1024);
    raw.gnu();
    raw.put(386, b"00000001000\0").put(398, b"00000001000\0");
    raw.put(410, b"00000004000\0").put(422, b"00000001000\0");
    raw.put(483, b"00000006000\0");
    [raw.block(), vec![b'a'; 512], vec![b'b'; 512]].concat()
}

#[test]
fn an_old_gnu_sparse_file_is_expanded() {
    let archive = [sparse(), file("next", b"")].concat();
    let entries = read(&archive).unwrap();
    let wanted = [vec![0; 512], vec![b'a'; 512], vec![0; 1024], vec![b'b'; 512], vec![0; 512]].concat();
    assert_eq!(entries[0].0.size, 3072);
    assert_eq!(entries[0].1, wanted);
    assert_eq!(entries[1].0.path, b"next");

    let mut reader = Reader::new(&archive[..]);
    let mut entry = reader.next_entry().unwrap().unwrap();
    let mut buffer = [0; 4096];
    let mut extents = Vec::new();
    loop {
        match entry.next_extent(&mut buffer).unwrap() {
            Extent::End => break,
            extent => extents.push(extent),
        }
    }
    assert_eq!(
        extents,
        [Extent::Hole(512), Extent::Data(512), Extent::Hole(1024), Extent::Data(512), Extent::Hole(512)]
    );
}

#[test]
fn an_old_gnu_sparse_map_may_continue() {
    let mut raw = Raw::new(b'S', "sparse", 5);
    raw.gnu();
    for piece in 0..4 {
        raw.put(386 + piece * 24, format!("{:011o}\0", piece * 10).as_bytes());
        raw.put(398 + piece * 24, b"00000000001\0");
    }
    raw.put(482, &[1]).put(483, b"00000000051\0"); // 41
    let mut more = [0; 512];
    more[..12].copy_from_slice(format!("{:011o}\0", 40).as_bytes());
    more[12..24].copy_from_slice(b"00000000001\0");
    let archive = [raw.block(), more.to_vec(), padded(b"abcde"), file("next", b"")].concat();
    let entries = read(&archive).unwrap();
    assert_eq!(entries[0].1.len(), 41);
    assert_eq!((entries[0].1[0], entries[0].1[30], entries[0].1[40]), (b'a', b'd', b'e'));
    assert_eq!(entries[1].0.path, b"next");
}

#[test]
fn every_pax_sparse_format_is_expanded() {
    let wanted = b"\0\0ab\0\0\0c\0".to_vec();
    let zero_zero = pax(&[
        ("GNU.sparse.size", b"9"),
        ("GNU.sparse.numblocks", b"2"),
        ("GNU.sparse.offset", b"2"),
        ("GNU.sparse.numbytes", b"2"),
        ("GNU.sparse.offset", b"7"),
        ("GNU.sparse.numbytes", b"1"),
    ]);
    let zero_one = pax(&[
        ("GNU.sparse.size", b"9"),
        ("GNU.sparse.numblocks", b"2"),
        ("GNU.sparse.map", b"2,2,7,1"),
        ("GNU.sparse.name", b"real"),
    ]);
    let one_zero = pax(&[
        ("GNU.sparse.major", b"1"),
        ("GNU.sparse.minor", b"0"),
        ("GNU.sparse.realsize", b"9"),
        ("GNU.sparse.name", b"real"),
    ]);
    let map = padded(b"2\n2\n2\n7\n1\n");
    let stored = [map.as_slice(), b"abc"].concat();
    for (archive, name) in [
        ([zero_zero, file("made-up", b"abc"), file("next", b"")].concat(), &b"made-up"[..]),
        ([zero_one, file("made-up", b"abc"), file("next", b"")].concat(), b"real"),
        ([one_zero, file("made-up", &stored), file("next", b"")].concat(), b"real"),
    ] {
        let entries = read(&archive).unwrap();
        assert_eq!((entries[0].0.path.as_slice(), entries[0].0.size, &entries[0].1), (name, 9, &wanted));
        assert_eq!(entries[1].0.path, b"next");
    }
}

#[test]
fn impossible_sparse_maps_are_refused() {
    for (map, size) in [
        ("2,2,1,1", "9"),                // backwards
        ("0,2,1,1", "9"),                // overlap
        ("8,3", "9"),                    // beyond the end
        ("0,2", "9"),                    // less than stored
        ("0,4", "9"),                    // more than stored
        ("18446744073709551615,3", "9"), // overflow
        ("0", "9"),                      // half a piece
        ("0,-3", "9"),
        ("0,3", "18446744073709551615"),
        ("0,3", "x"),
    ] {
        let records: &[(&str, &[u8])] = &[("GNU.sparse.size", size.as_bytes()), ("GNU.sparse.map", map.as_bytes())];
        assert_eq!(problem(&[pax(records), file("a", b"abc")].concat()), Problem::SparseMap, "{map}");
    }
    let records: &[(&str, &[u8])] = &[("GNU.sparse.major", b"2"), ("GNU.sparse.minor", b"0")];
    assert_eq!(problem(&[pax(records), file("a", b"abc")].concat()), Problem::SparseMap);
    let records: &[(&str, &[u8])] =
        &[("GNU.sparse.major", b"1"), ("GNU.sparse.minor", b"0"), ("GNU.sparse.realsize", b"9")];
    assert_eq!(problem(&[pax(records), file("a", b"9\n")].concat()), Problem::SparseMap);
}

#[test]
fn limits_hold() {
    let huge = Raw::new(b'x', "meta", 1 << 40).block();
    assert_eq!(limit(&huge, ReadLimits::default()), Limit::HeaderBytes);
    assert_eq!(limit(&Raw::new(b'L', "meta", 1 << 40).block(), ReadLimits::default()), Limit::HeaderBytes);
    let both = [extended(b'L', &[b'a'; 600]), extended(b'K', &[b'a'; 600])].concat();
    assert_eq!(limit(&both, ReadLimits::default().with_header_bytes(1000)), Limit::HeaderBytes);
    let many: Vec<u8> = (0..10).flat_map(|number| record(&format!("k{number}"), b"v")).collect();
    assert_eq!(limit(&extended(b'x', &many), ReadLimits::default().with_records(9)), Limit::Records);
    let long = [pax(&[("path", &[b'a'; 101])]), file("a", b"")].concat();
    assert_eq!(limit(&long, ReadLimits::default().with_path_bytes(100)), Limit::PathBytes);
    let map: &[(&str, &[u8])] = &[("GNU.sparse.size", b"9"), ("GNU.sparse.map", b"0,1,1,1,2,1")];
    let sparse = [pax(map), file("a", b"abc")].concat();
    assert_eq!(limit(&sparse, ReadLimits::default().with_sparse_pieces(2)), Limit::SparsePieces);
    let claimed: &[(&str, &[u8])] =
        &[("GNU.sparse.major", b"1"), ("GNU.sparse.minor", b"0"), ("GNU.sparse.realsize", b"9")];
    let sparse = [pax(claimed), file("a", &padded(b"99999999999\n"))].concat();
    assert_eq!(limit(&sparse, ReadLimits::default()), Limit::SparsePieces);
}

#[test]
fn a_sparse_bomb_costs_neither_memory_nor_time() {
    let records: &[(&str, &[u8])] = &[("GNU.sparse.size", b"9223372036854775807"), ("GNU.sparse.map", b"0,1")];
    let archive = [pax(records), file("bomb", b"x"), file("next", b"")].concat();
    let mut reader = Reader::new(&archive[..]);
    assert_eq!(reader.next_entry().unwrap().unwrap().header().size, i64::MAX as u64);
    assert_eq!(reader.next_entry().unwrap().unwrap().header().path, b"next");
}

#[test]
fn unread_contents_are_skipped() {
    let archive = [file("a", &[1; 1000]), file("b", b"x")].concat();
    let mut reader = Reader::new(&archive[..]);
    let mut entry = reader.next_entry().unwrap().unwrap();
    entry.read_exact(&mut [0; 10]).unwrap();
    assert_eq!(reader.next_entry().unwrap().unwrap().header().path, b"b");
}

/// The contents of every entry, by at most `step` bytes of what is lent at a time.
fn read_lent(archive: impl BufRead, step: usize) -> Result<Vec<Vec<u8>>, Error> {
    let mut reader = Reader::new(archive);
    let mut all = Vec::new();
    while let Some(mut entry) = reader.next_entry()? {
        let mut content = Vec::new();
        loop {
            let take = |bytes: &[u8]| (step, bytes[..step.min(bytes.len())].to_vec());
            match entry.lend(take)? {
                Some(bytes) => content.extend(bytes),
                None => match entry.next_extent(&mut [0; 10])? {
                    Extent::Hole(length) => content.resize(content.len() + length as usize, 0),
                    Extent::Data(_) => panic!("data was not lent"),
                    Extent::End => break,
                },
            }
        }
        all.push(content);
    }
    Ok(all)
}

#[test]
fn contents_are_lent_where_they_lie() {
    let content: Vec<u8> = (0..3000u32).map(|place| (place / 7) as u8).collect();
    let archive = [file("a", &content), sparse(), file("empty", b""), file("b", &content[..512])].concat();
    let wanted: Vec<_> = read(&archive).unwrap().into_iter().map(|(_, content)| content).collect();
    assert_eq!((&wanted[0], wanted[1].len()), (&content, 3072));
    for step in [1, 100, 512, 10_000] {
        assert_eq!(read_lent(&archive[..], step).unwrap(), wanted);
        for capacity in [1, 7, 512, 1000] {
            assert_eq!(read_lent(BufReader::with_capacity(capacity, &archive[..]), step).unwrap(), wanted);
        }
    }
}

#[test]
fn what_is_lent_mixes_with_what_is_read() {
    let content: Vec<u8> = (0..100).collect();
    let archive = file("a", &content);
    let mut reader = Reader::new(&archive[..]);
    let mut entry = reader.next_entry().unwrap().unwrap();
    let mut read = Vec::new();
    entry.lend(|bytes| (10, read.extend_from_slice(&bytes[..10]))).unwrap().unwrap();
    let mut buffer = [0; 20];
    entry.read_exact(&mut buffer).unwrap();
    read.extend(buffer);
    // To look takes nothing.
    assert_eq!(entry.lend(|bytes| (0, bytes.len())).unwrap(), Some(70));
    assert_eq!(entry.next_extent(&mut buffer).unwrap(), Extent::Data(20));
    read.extend(buffer);
    entry.lend(|bytes| (bytes.len(), read.extend_from_slice(bytes))).unwrap().unwrap();
    assert_eq!(entry.lend(|bytes| (0, bytes.len())).unwrap(), None);
    assert_eq!(entry.next_extent(&mut buffer).unwrap(), Extent::End);
    assert_eq!(read, content);
    assert_eq!(reader.offset(), 612);
}

#[test]
fn an_archive_that_ends_while_it_lends_is_refused() {
    let archive = file("a", &[1; 1000]);
    for end in [512, 513, 1511] {
        let error = read_lent(BufReader::with_capacity(100, &archive[..end]), 50).unwrap_err();
        assert!(matches!(error, Error::Malformed { problem: Problem::Truncated, .. }), "{error}");
        assert_eq!((error.place().offset, error.place().path.as_deref()), (end as u64, Some(&b"a"[..])));
    }
}

#[test]
fn errors_say_where_and_stay() {
    let archive = [file("first", b"1"), file("second", b"12345")[..514].to_vec()].concat();
    let mut reader = Reader::new(&archive[..]);
    reader.next_entry().unwrap();
    let mut entry = reader.next_entry().unwrap().unwrap();
    let error = loop {
        match entry.next_extent(&mut [0; 64]) {
            Ok(_) => {}
            Err(error) => break error,
        }
    };
    assert_eq!(error.place().offset, archive.len() as u64);
    assert_eq!(error.place().path.as_deref(), Some(&b"second"[..]));
    assert!(matches!(reader.next_entry(), Err(Error::Malformed { problem: Problem::Truncated, .. })));
}

#[test]
fn a_failing_reader_is_not_a_malformed_archive() {
    #[derive(Debug)]
    struct Failing;
    impl Read for Failing {
        fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
            Err(std::io::ErrorKind::ConnectionReset.into())
        }
    }
    assert!(matches!(Reader::new(Failing).next_entry(), Err(Error::Read { .. })));
}

#[test]
fn an_empty_name_is_left_to_the_caller() {
    let mut writer = Writer::new(Vec::new());
    writer.append_header(&Header::symlink("", "x")).unwrap();
    assert_eq!(one(&writer.finish().unwrap()).0.path, b"");
}
