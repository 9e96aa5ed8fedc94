//! Files are created on two threads: one makes the names in the order of the archive, the other writes what is in them.
#![cfg(target_os = "linux")]
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use cache_blobs::apply::{ApplyOptions, Error, Operation, unpack};
use cache_blobs::tar::{Header, Timestamp, Writer};
use tempfile::tempdir;

/// More than are handed to the second thread at once, several times.
const FILES: usize = 100;

type Entry = (Header, Vec<u8>);

fn file(path: impl Into<Vec<u8>>, contents: impl Into<Vec<u8>>) -> Entry {
    let contents = contents.into();
    (Header::file(path, contents.len() as u64).with_modified(Timestamp::from_seconds(1_000_000)), contents)
}

fn many_files(at: &str) -> Vec<Entry> {
    (0..FILES).map(|number| file(format!("{at}{number}"), vec![number as u8; 100 * number])).collect()
}

fn archive(entries: &[Entry]) -> Vec<u8> {
    let mut writer = Writer::new(Vec::new());
    for (header, contents) in entries {
        writer.append(header, &contents[..]).unwrap();
    }
    writer.finish().unwrap()
}

fn unpack_into(root: &Path, archive: impl BufRead) -> Result<(), Error> {
    unpack(archive, File::open(root).unwrap(), &ApplyOptions::default()).map(drop)
}

#[test]
fn many_files_are_those_of_the_archive() {
    let root = tempdir().unwrap();
    let entries = many_files("");
    unpack_into(root.path(), &archive(&entries)[..]).unwrap();
    for (header, contents) in entries {
        let path = root.path().join(String::from_utf8(header.path).unwrap());
        assert!(fs::read(&path).unwrap() == contents, "{path:?}");
        assert_eq!(fs::metadata(&path).unwrap().mtime(), 1_000_000, "{path:?}");
    }
}

#[test]
fn a_file_in_many_pieces_with_holes_between_and_behind_them_is_whole() {
    let mut contents: Vec<u8> = (0..3_000_000u32).map(|place| (place / 3) as u8 | 1).collect();
    contents[100_000..900_000].fill(0);
    contents[1_234_567..1_240_000].fill(0);
    for zeros_behind in [0, 1, 70_000, 5_000_000] {
        contents.resize(3_000_000 + zeros_behind, 0);
        let entries = [file("before", "x"), file("large", &contents[..]), file("after", "y"), file("empty", "")];
        let archive = archive(&entries);
        // As a whole, and in parts that end anywhere.
        for part in [archive.len(), 512, 5000, 65_536, 1_000_000] {
            let root = tempdir().unwrap();
            unpack_into(root.path(), BufReader::with_capacity(part, &archive[..])).unwrap();
            for (header, expected) in &entries {
                let path = root.path().join(str::from_utf8(&header.path).unwrap());
                assert!(fs::read(&path).unwrap() == *expected, "{path:?}, {zeros_behind} zeros, parts of {part}");
            }
            let large = fs::metadata(root.path().join("large")).unwrap();
            // Shorter runs of zeros are no holes.
            assert!(part < 4096 || large.blocks() * 512 < large.len() - 500_000, "holes in parts of {part}");
        }
    }
}

#[test]
fn another_name_of_a_file_has_the_last_say_in_its_attributes() {
    let root = tempdir().unwrap();
    let (mut entries, later) = (Vec::new(), Timestamp::from_seconds(2_000_000));
    for (number, (header, contents)) in many_files("file").into_iter().enumerate() {
        let link = Header::hard_link(format!("link{number}"), &header.path[..]).with_mode(0o640).with_modified(later);
        entries.extend([(header.with_mode(0o604), contents), (link, Vec::new())]);
    }
    unpack_into(root.path(), &archive(&entries)[..]).unwrap();
    for number in 0..FILES {
        let metadata = fs::metadata(root.path().join(format!("file{number}"))).unwrap();
        assert_eq!((metadata.mode() & 0o7777, metadata.mtime(), metadata.nlink()), (0o640, 2_000_000, 2), "{number}");
        assert_eq!(metadata.len(), 100 * number as u64);
    }
}

#[test]
fn a_name_that_comes_again_is_the_last_one() {
    let root = tempdir().unwrap();
    let entries: Vec<_> = (0..FILES).map(|number| file("again", number.to_string())).collect();
    unpack_into(root.path(), &archive(&entries)[..]).unwrap();
    assert_eq!(fs::read_to_string(root.path().join("again")).unwrap(), (FILES - 1).to_string());
    assert_eq!(fs::read_dir(root.path()).unwrap().count(), 1);
}

/// An attribute that no file system takes makes one file fail, wherever the first thread is by then.
#[test]
fn the_first_failure_in_the_archive_is_told_also_if_the_first_thread_fails_too() {
    for (before, after) in [(3, 0), (3, 1), (40, 3), (40, 90)] {
        let root = tempdir().unwrap();
        let mut entries = many_files("");
        entries.truncate(before);
        let (header, contents) = file("failing", "x");
        entries.push((header.with_xattr("user.large", vec![b'x'; 70_000]), contents));
        entries.extend(many_files("after").into_iter().take(after));
        let mut bytes = archive(&entries);
        // No end, but something that is no header.
        bytes.truncate(bytes.len() - 1024);
        bytes.extend([1; 512]);
        match unpack_into(root.path(), &bytes[..]) {
            Err(Error::Io { operation: Operation::SetXattr, path, .. }) => assert_eq!(path, b"failing"),
            other => panic!("{other:?} with {before} files before it and {after} after it"),
        }
        assert_eq!(fs::read(root.path().join("0")).unwrap(), b"");
    }
}

#[test]
fn what_was_read_before_the_archive_breaks_is_complete() {
    for files in [1, 10, 50] {
        let root = tempdir().unwrap();
        let mut entries = many_files("");
        entries.truncate(files);
        let mut bytes = archive(&entries);
        bytes.truncate(bytes.len() - 1024);
        bytes.extend([1; 512]);
        assert!(matches!(unpack_into(root.path(), &bytes[..]), Err(Error::Archive(_))));
        for (header, contents) in entries {
            let path = root.path().join(String::from_utf8(header.path).unwrap());
            assert!(fs::read(&path).unwrap() == contents, "{path:?}");
            assert_eq!(fs::metadata(&path).unwrap().mtime(), 1_000_000, "{path:?}");
        }
    }
}

#[test]
fn the_first_of_many_failures_is_told() {
    for _ in 0..10 {
        let root = tempdir().unwrap();
        let entries: Vec<_> = (0..200)
            .map(|number| {
                let (header, contents) = file(number.to_string(), vec![1; 30_000]);
                match number {
                    20.. => (header.with_xattr("user.large", vec![b'x'; 70_000]), contents),
                    _ => (header, contents),
                }
            })
            .collect();
        match unpack_into(root.path(), &archive(&entries)[..]) {
            Err(Error::Io { operation: Operation::SetXattr, path, .. }) => assert_eq!(path, b"20"),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn what_waits_may_be_replaced_and_removed() {
    let root = tempdir().unwrap();
    let mut entries = Vec::new();
    for number in 0..FILES {
        entries.extend([
            file("place", vec![b'a'; number]),
            (Header::directory("place"), Vec::new()),
            file("place/below", vec![b'b'; number]),
            file(format!("gone{number}"), "x"),
            file(format!(".wh.gone{number}"), ""),
        ]);
    }
    unpack_into(root.path(), &archive(&entries)[..]).unwrap();
    assert_eq!(fs::read(root.path().join("place/below")).unwrap(), vec![b'b'; FILES - 1]);
    assert_eq!(fs::read_dir(root.path()).unwrap().count(), 1);
}
