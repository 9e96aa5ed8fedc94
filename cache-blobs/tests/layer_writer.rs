//! A layer holds its changes, their parents, and all names of a changed file.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

mod odd_rig;
mod support;

use cache_blobs::changes::{Change, Error as ChangesError, FileKind, double_walk};
use cache_blobs::layer::{Error, LayerOptions, LayerReport, XattrPolicy, write_layer};
use cache_blobs::tar::{self, Header, Kind, Reader, Timestamp};
use odd_rig::{Odd, Vanishing};
use support::{directory, file, link, names, symlink, tree};

fn layer(lower: &[(Header, &str)], upper: &[(Header, &str)], options: LayerOptions) -> (Vec<u8>, LayerReport) {
    let (lower, upper) = (tree(lower), tree(upper));
    write_layer(double_walk(Some(&lower), &upper).unwrap(), Vec::new(), options).unwrap()
}

fn entries(lower: &[(Header, &str)], upper: &[(Header, &str)]) -> Vec<String> {
    names(&layer(lower, upper, LayerOptions::default()).0)
}

fn headers(archive: &[u8]) -> Vec<Header> {
    let mut reader = Reader::new(archive);
    let mut headers = Vec::new();
    while let Some(entry) = reader.next_entry().unwrap() {
        headers.push(entry.into_header());
    }
    headers
}

#[test]
fn no_change_is_an_empty_archive() {
    let same = [directory("d"), file("d/f", "x")];
    assert_eq!(layer(&same, &same, LayerOptions::default()).0, [0; 1024]);
}

#[test]
fn parents_come_once_and_first() {
    let lower = [directory("d1"), directory("d1/d"), directory("d2")];
    let upper =
        [directory("d1"), directory("d1/d"), file("d1/d/f", ""), file("d1/d/g", ""), directory("d2"), file("d2/f", "")];
    assert_eq!(entries(&lower, &upper), ["d1/", "d1/d/", "d1/d/f", "d1/d/g", "d2/", "d2/f"]);
}

#[test]
fn whiteouts_bring_their_parents_too() {
    let lower = [directory("d1"), directory("d1/d"), file("d1/d/f", ""), file("d1/d/g", ""), file("d2/f1", "")];
    assert_eq!(
        entries(&lower, &[directory("d1"), directory("d1/d"), file("d1/d/g", "")]),
        ["d1/", "d1/d/", "d1/d/.wh.f", ".wh.d2"]
    );
}

#[test]
fn a_whiteout_has_no_mode_no_owner_and_no_time() {
    let (archive, _) = layer(&[file("gone", "x")], &[], LayerOptions::default().with_epoch(5));
    let header = &headers(&archive)[0];
    assert_eq!((header.kind, header.mode, header.size, header.modified), (Kind::File, 0, 0, Timestamp::default()));
    assert_eq!(archive.len(), 512 + 1024);
}

#[test]
fn an_unchanged_name_before_the_changed_one_becomes_a_link_after_it() {
    let lower = [directory("d1"), file("d1/f1", "x"), directory("d2"), link("d2/l1", "d1/f1")];
    let upper = [
        directory("d1"),
        file("d1/f1", "x"),
        directory("d2"),
        link("d2/l1", "d1/f1"),
        directory("d3"),
        link("d3/l2", "d1/f1"),
        directory("d4"),
        link("d4/l3", "d1/f1"),
    ];
    // d3/l2 is the first changed name, so it has the contents, and every other name links to it.
    assert_eq!(
        entries(&lower, &upper),
        ["d3/", "d3/l2", "d1/", "d1/f1 -> d3/l2", "d2/", "d2/l1 -> d3/l2", "d4/", "d4/l3 -> d3/l2"]
    );
}

#[test]
fn an_unchanged_name_after_the_changed_one_becomes_a_link_in_its_place() {
    let lower = [file("m", "x"), file("z", "x")];
    let upper = [file("a", "x"), link("m", "a"), file("n", ""), link("z", "a")];
    assert_eq!(entries(&lower, &upper), ["a", "m -> a", "n", "z -> a"]);
}

#[test]
fn a_group_without_a_changed_name_stays_out() {
    let same = [file("a", "x"), link("b", "a")];
    let more = [file("a", "x"), link("b", "a"), file("c", "")];
    assert_eq!(entries(&same, &more), ["c"]);
}

#[test]
fn links_keep_everything_but_the_contents() {
    let capable =
        (Header::file("a", 0).with_mode(0o755).with_owner(1, 2).with_xattr("security.capability", "c"), "xyz");
    let (archive, _) = layer(&[], &[capable, link("b", "a")], LayerOptions::default());
    let headers = headers(&archive);
    assert_eq!((headers[1].kind, headers[1].size, headers[1].mode), (Kind::HardLink, 0, 0o755));
    assert_eq!(headers[1].xattrs, headers[0].xattrs);
}

#[test]
fn times_are_whole_seconds_and_not_after_the_epoch() {
    let at = |path, seconds| (Header::file(path, 0).with_modified(Timestamp { seconds, nanos: 900_000_000 }), "");
    let upper = [at("a", 999), at("b", 1000), at("c", 2000), at("d", -7)];
    let times = |options| {
        let (archive, _) = layer(&[], &upper, options);
        headers(&archive).iter().map(|header| (header.modified.seconds, header.modified.nanos)).collect::<Vec<_>>()
    };
    assert_eq!(times(LayerOptions::default()), [(999, 0), (1000, 0), (2000, 0), (-7, 0)]);
    assert_eq!(times(LayerOptions::default().with_epoch(1000)), [(999, 0), (1000, 0), (1000, 0), (-7, 0)]);
}

#[test]
fn only_capabilities_are_kept_and_the_rest_is_reported() {
    let header = Header::file("f", 0)
        .with_xattr("security.capability", "c")
        .with_xattr("security.selinux", "s\0")
        .with_xattr("user.note", "")
        .with_xattr("trusted.overlay.origin", "o");
    let (archive, report) = layer(&[], &[(header.clone(), "")], LayerOptions::default());
    assert_eq!(headers(&archive)[0].xattrs.keys().collect::<Vec<_>>(), [b"security.capability"]);
    assert_eq!(report.xattrs.keys().collect::<Vec<_>>(), [&b"security.selinux"[..], b"user.note"]);
    assert_eq!(report.xattrs[&b"user.note"[..]].examples, [b"f"]);
    assert!(!report.is_complete());

    let (archive, report) = layer(&[], &[(header, "")], LayerOptions::default().with_xattrs(XattrPolicy::All));
    let kept = &headers(&archive)[0].xattrs;
    assert_eq!(kept.len(), 3);
    assert_eq!((&kept[&b"user.note"[..]][..], &kept[&b"security.selinux"[..]][..]), (&b""[..], &b"s\0"[..]));
    assert!(report.is_complete());
}

#[test]
fn the_report_counts_all_and_names_some() {
    let upper: Vec<_> =
        (0..250).map(|index| (Header::file(format!("f{index}"), 0).with_xattr("user.a", ""), "")).collect();
    let (_, report) = layer(&[], &upper, LayerOptions::default());
    let left_out = &report.xattrs[&b"user.a"[..]];
    assert_eq!((left_out.count, left_out.examples.len()), (250, 100));
}

#[test]
fn every_kind_is_packed() {
    let upper = [
        (Header::new(Kind::Fifo, "pipe"), ""),
        (Header::new(Kind::CharDevice, "null").with_device(1, 3), ""),
        (Header::new(Kind::BlockDevice, "disk").with_device(8, 1), ""),
        symlink("link", "/target"),
    ];
    let (archive, _) = layer(&[], &upper, LayerOptions::default());
    let found: Vec<_> =
        headers(&archive).into_iter().map(|header| (header.kind, header.device_major, header.device_minor)).collect();
    assert_eq!(found, [(Kind::BlockDevice, 8, 1), (Kind::Symlink, 0, 0), (Kind::CharDevice, 1, 3), (Kind::Fifo, 0, 0)]);
}

#[test]
fn sockets_are_left_out_and_reported() {
    let odd = Odd { kind: FileKind::Socket, size: 0 };
    let changes = double_walk(None, &odd).unwrap();
    let (archive, report) = write_layer(changes, Vec::new(), LayerOptions::default()).unwrap();
    assert!(names(&archive).is_empty());
    assert_eq!((report.sockets.count, report.sockets.examples), (1, vec![b"odd".to_vec()]));
}

#[test]
fn a_file_that_grows_or_shrinks_meanwhile_is_an_error() {
    for size in [4, 6] {
        let odd = Odd { kind: FileKind::File, size };
        let changes = double_walk(None, &odd).unwrap();
        let failed = write_layer(changes, Vec::new(), LayerOptions::default()).unwrap_err();
        let Error::Archive(tar::Error::WrongSize { place, expected }) = failed else { panic!("{failed:?}") };
        assert_eq!((place.path.as_deref(), expected), (Some(&b"odd"[..]), size));
    }
}

#[test]
fn a_file_that_vanishes_before_it_is_read_is_an_error_that_names_it() {
    let tree = Vanishing(Odd { kind: FileKind::File, size: 5 });
    let changes = double_walk(None, &tree).unwrap();
    let failed = write_layer(changes, Vec::new(), LayerOptions::default()).unwrap_err();
    let Error::Changes(ChangesError::Io { path, source, .. }) = failed else { panic!("{failed:?}") };
    assert_eq!((&path[..], source.kind()), (&b"odd"[..], std::io::ErrorKind::NotFound));
}

#[test]
fn the_same_changes_give_the_same_bytes() {
    let upper = [file("a/b", "x"), link("c", "a/b"), symlink("d", "e")];
    let once = layer(&[], &upper, LayerOptions::default()).0;
    for _ in 0..30 {
        assert_eq!(layer(&[], &upper, LayerOptions::default()).0, once);
    }
}

#[test]
fn the_first_error_of_the_changes_ends_the_layer() {
    let failed: Result<Change, ChangesError> = Err(ChangesError::Changed { path: b"x".to_vec() });
    let result = write_layer([failed], Vec::new(), LayerOptions::default());
    assert!(matches!(result, Err(Error::Changes(ChangesError::Changed { .. }))));
}
