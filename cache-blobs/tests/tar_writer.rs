//! The writer chooses formats, fields and records as Go's archive/tar does.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

use cache_blobs::content::{Content, Extent};
use cache_blobs::tar::{Error, Field, Header, Kind, Reader, Timestamp, Writer};

fn blocks(header: &Header) -> Vec<u8> {
    let mut writer = Writer::new(Vec::new());
    let zeros = vec![0; usize::try_from(header.size).unwrap()];
    writer.append(header, &zeros[..]).unwrap();
    let mut archive = writer.finish().unwrap();
    assert!(archive.ends_with(&[0; 1024]));
    archive.truncate(archive.len() - 1024);
    archive
}

/// The blocks in front of contents that nobody wants to write.
fn head(header: &Header) -> Vec<u8> {
    let mut writer = Writer::new(Vec::new());
    let _ = writer.begin(header).unwrap();
    writer.get_ref().clone()
}

fn text(field: &[u8]) -> &str {
    std::str::from_utf8(field.split(|byte| *byte == 0).next().unwrap()).unwrap()
}

fn refused(header: &Header) -> Field {
    let mut writer = Writer::new(Vec::new());
    match writer.append_header(header) {
        Err(Error::NotEncodable { field, .. }) => {
            // Nothing was written, so the archive is still good.
            assert_eq!(writer.finish().unwrap(), [0; 1024]);
            field
        }
        other => panic!("not refused: {other:?}"),
    }
}

/// Records of the extended header in front, or `None` for a plain entry.
fn records(archive: &[u8]) -> Option<String> {
    (archive[156] == b'x').then(|| {
        let size = usize::from_str_radix(text(&archive[124..136]), 8).unwrap();
        String::from_utf8(archive[512..512 + size].to_vec()).unwrap()
    })
}

#[test]
fn a_plain_file_is_one_ustar_block() {
    let header = Header::file("a", 5).with_mode(0o4755).with_owner(0, 7).with_modified(Timestamp::from_seconds(1));
    let block = &blocks(&header)[..512];
    let mut wanted = [0; 512];
    for (at, field) in [
        (0, &b"a"[..]),
        (100, b"0004755\0"),
        (108, b"0000000\0"),
        (116, b"0000007\0"),
        (124, b"00000000005\0"),
        (136, b"00000000001\0"),
        (156, b"0"),
        (257, b"ustar\x0000"),
        (329, b"0000000\0"),
        (337, b"0000000\0"),
    ] {
        wanted[at..at + field.len()].copy_from_slice(field);
    }
    let sum: u32 = wanted.iter().map(|byte| u32::from(*byte)).sum::<u32>() + 8 * 32;
    wanted[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    assert_eq!(block, wanted);
}

#[test]
fn only_values_that_do_not_fit_become_records() {
    let file = || Header::file("a", 0);
    let long = "p".repeat(101);
    for (header, wanted) in [
        (file().with_owner(0o7_777_777, 0o7_777_777), None),
        (file().with_owner(0o10_000_000, 1), Some("15 uid=2097152\n".to_owned())),
        (file().with_owner(1, 1 << 40), Some("21 gid=1099511627776\n".to_owned())),
        (file().with_modified(Timestamp::from_seconds((1 << 33) - 1)), None),
        (file().with_modified(Timestamp::from_seconds(1 << 33)), Some("20 mtime=8589934592\n".to_owned())),
        (file().with_modified(Timestamp::from_seconds(-1)), Some("12 mtime=-1\n".to_owned())),
        (file().with_modified(Timestamp { seconds: 1, nanos: 500_000_000 }), Some("13 mtime=1.5\n".to_owned())),
        (file().with_modified(Timestamp { seconds: -2, nanos: 500_000_000 }), Some("14 mtime=-1.5\n".to_owned())),
        (Header::file(long.clone(), 0), Some(format!("111 path={long}\n"))),
        (Header::file("caf\u{e9}", 0), Some("14 path=caf\u{e9}\n".to_owned())),
        (Header::symlink("s", long.clone()), Some(format!("115 linkpath={long}\n"))),
        (Header::symlink("s", "\u{e9}"), Some("15 linkpath=\u{e9}\n".to_owned())),
    ] {
        assert_eq!(records(&blocks(&header)), wanted);
    }
    assert_eq!(records(&head(&Header::file("a", (1 << 33) - 1))), None);
    assert_eq!(records(&head(&Header::file("a", 1 << 33))).as_deref(), Some("19 size=8589934592\n"));
}

#[test]
fn names_are_written_and_read_as_raw_bytes() {
    let odd = b"odd\xff\x01\n=\\".to_vec();
    for (header, record) in [
        (Header::file(odd.clone(), 0), &b"17 path=odd\xff\x01\n=\\\n"[..]),
        (Header::symlink("s", odd.clone()), b"21 linkpath=odd\xff\x01\n=\\\n"),
        (Header::hard_link("h", odd), b"21 linkpath=odd\xff\x01\n=\\\n"),
    ] {
        let archive = blocks(&header);
        assert_eq!(archive[156], b'x');
        assert!(archive[512..].starts_with(record), "{:?}", archive[512..].escape_ascii().to_string());
        let read = Reader::new(&archive[..]).next_entry().unwrap().unwrap().into_header();
        assert_eq!((read.path, read.link), (header.path, header.link));
    }
}

#[test]
fn what_stands_in_a_record_is_zero_or_cut_in_the_main_header() {
    let header = Header::file("d/caf\u{e9}", 0).with_owner(1 << 30, 5).with_modified(Timestamp::from_seconds(-5));
    let archive = blocks(&header);
    let main = &archive[1024..];
    assert_eq!(text(&main[..100]), "d/caf");
    assert_eq!(
        (text(&main[108..116]), text(&main[116..124]), text(&main[136..148])),
        ("0000000", "0000005", "00000000000")
    );
}

#[test]
fn records_are_sorted_and_their_length_counts_itself() {
    let header = Header::file("\u{e9}", 0).with_owner(1 << 30, 1 << 31).with_xattr("user.a", "1").with_xattr("A", "2");
    let wanted =
        "20 SCHILY.xattr.A=2\n25 SCHILY.xattr.user.a=1\n18 gid=2147483648\n11 path=\u{e9}\n18 uid=1073741824\n";
    assert_eq!(records(&blocks(&header)).unwrap(), wanted);
    // 98 bytes without the length: two digits make it 100, which takes three.
    for (rest, length) in [(97, 99), (98, 101), (99, 102)] {
        let header = Header::file("a", 0).with_xattr("a", "v".repeat(rest - " SCHILY.xattr.a=\n".len()));
        let records = records(&blocks(&header)).unwrap();
        assert_eq!(records.len(), length);
        assert!(records.starts_with(&format!("{length} ")));
    }
}

#[test]
fn a_long_name_is_split_at_the_last_slash_that_fits() {
    let directory = "d".repeat(60);
    let path = format!("{directory}/{directory}/{directory}");
    let block = blocks(&Header::file(path.clone(), 0));
    assert_eq!(records(&block), None);
    assert_eq!(text(&block[345..500]), format!("{directory}/{directory}"));
    assert_eq!(text(&block[..100]), directory);
    // Another value forces records, and then the name is one of them although it could be split.
    let forced = blocks(&Header::file(path.clone(), 0).with_owner(1 << 30, 0));
    let length = path.len() + "192 path=\n".len();
    assert_eq!(records(&forced).unwrap(), format!("{length} path={path}\n18 uid=1073741824\n"));
    assert_eq!(text(&forced[1024..1124]), &path[..100]);
    // A directory splits before its final slash.
    let block = blocks(&Header::directory(path));
    assert_eq!(text(&block[..100]), format!("{directory}/"));
}

#[test]
fn the_extended_header_is_named_after_the_entry() {
    for (path, kind, name) in [
        ("caf\u{e9}", Kind::File, "PaxHeaders.0/caf".to_owned()),
        ("a/b/caf\u{e9}", Kind::File, "a/b/PaxHeaders.0/caf".to_owned()),
        ("a/\u{e9}/", Kind::Directory, "a//PaxHeaders.0".to_owned()),
        ("a/b/\u{e9}", Kind::File, "a/b/PaxHeaders.0".to_owned()),
        ("/\u{e9}", Kind::File, "/PaxHeaders.0".to_owned()),
        ("a/./b//../\u{e9}", Kind::File, "a/PaxHeaders.0".to_owned()),
        ("../../\u{e9}x", Kind::File, "../../PaxHeaders.0/x".to_owned()),
        (&"n".repeat(101), Kind::File, format!("PaxHeaders.0/{}", "n".repeat(87))),
    ] {
        let archive = blocks(&Header::new(kind, path));
        assert_eq!(text(&archive[..100]), name, "{path}");
        assert_eq!(&archive[100..124], b"0000000\x000000000\x000000000\x00");
    }
}

#[test]
fn a_cut_name_never_ends_in_a_slash() {
    let path = format!("{}/{}", "n".repeat(99), "m".repeat(200));
    let archive = blocks(&Header::file(path, 0));
    let main = &archive[archive.len() - 512..];
    assert_eq!(text(&main[..100]), "n".repeat(99));
}

#[test]
fn directories_get_their_slash() {
    assert_eq!(text(&blocks(&Header::directory("a/b"))[..100]), "a/b/");
    assert_eq!(text(&blocks(&Header::directory("a/b/"))[..100]), "a/b/");
}

#[test]
fn devices_keep_their_numbers() {
    let block = blocks(&Header::new(Kind::CharDevice, "null").with_device(1, 3));
    assert_eq!((block[156], &block[329..345]), (b'3', &b"0000001\x000000003\0"[..]));
}

#[test]
fn what_no_format_can_hold_is_refused() {
    assert_eq!(refused(&Header::file("a\0b", 0)), Field::Path);
    assert_eq!(refused(&Header::file("a/", 0)), Field::Path);
    assert_eq!(refused(&Header::symlink("a", "b\0c")), Field::Link);
    assert_eq!(refused(&Header::file("a", 0).with_mode(0o10_000_000)), Field::Mode);
    assert_eq!(refused(&Header::new(Kind::BlockDevice, "a").with_device(1 << 21, 0)), Field::Device);
    assert_eq!(refused(&Header::file("a", 1 << 63)), Field::Size);
    assert_eq!(refused(&Header::file("a", 0).with_xattr("a=b", "")), Field::Record);
    assert_eq!(refused(&Header::file("a", 0).with_xattr("a", vec![0; 1 << 20])), Field::ExtendedHeader);
    assert_eq!(
        refused(&Header::file("a", 0).with_modified(Timestamp { seconds: 0, nanos: 1_000_000_000 })),
        Field::Modified
    );
    let mut directory = Header::directory("a");
    directory.size = 1;
    assert_eq!(refused(&directory), Field::Size);
}

#[test]
fn contents_of_another_size_are_refused() {
    for content in [&b"12"[..], b"1234"] {
        let mut writer = Writer::new(Vec::new());
        assert!(matches!(writer.append(&Header::file("a", 3), content), Err(Error::WrongSize { expected: 3, .. })));
        assert!(matches!(writer.append(&Header::file("b", 0), &b""[..]), Err(Error::Unfinished { .. })));
        assert!(matches!(writer.finish(), Err(Error::Unfinished { .. })));
    }
}

#[test]
fn an_entry_that_was_dropped_makes_the_archive_unusable() {
    let mut writer = Writer::new(Vec::new());
    let mut entry = writer.begin(&Header::file("a", 3)).unwrap();
    entry.write_all(b"123").unwrap();
    drop(entry);
    assert!(matches!(writer.finish(), Err(Error::Unfinished { .. })));
}

#[test]
fn holes_become_zeros() {
    #[derive(Debug)]
    struct Sparse(Vec<Extent>);
    impl Content for Sparse {
        fn next_extent(&mut self, buffer: &mut [u8]) -> std::io::Result<Extent> {
            buffer[..3].copy_from_slice(b"abc");
            Ok(self.0.pop().unwrap_or(Extent::End))
        }
    }
    let mut writer = Writer::new(Vec::new());
    let size = 200_000 + 3;
    writer.append_content(&Header::file("a", size), &mut Sparse(vec![Extent::Data(3), Extent::Hole(200_000)])).unwrap();
    let archive = writer.finish().unwrap();
    let mut reader = Reader::new(&archive[..]);
    let mut content = Vec::new();
    std::io::Read::read_to_end(&mut reader.next_entry().unwrap().unwrap(), &mut content).unwrap();
    assert_eq!(content.len() as u64, size);
    assert!(content.ends_with(b"\0abc") && content[..200_000].iter().all(|byte| *byte == 0));
}

#[test]
fn a_failing_source_and_a_failing_destination_are_told_apart() {
    #[derive(Debug)]
    struct Failing;
    impl std::io::Read for Failing {
        fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
            Err(std::io::ErrorKind::Other.into())
        }
    }
    let mut writer = Writer::new(Vec::new());
    assert!(matches!(writer.append(&Header::file("a", 3), Failing), Err(Error::Contents { .. })));
    let mut full = [0; 100];
    let mut writer = Writer::new(&mut full[..]);
    assert!(matches!(writer.append_header(&Header::file("a", 0)), Err(Error::Write { .. })));
}
