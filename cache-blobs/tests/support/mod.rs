//! Trees in a few words, and changes in one line each.
#![allow(dead_code, missing_docs, clippy::unwrap_used, clippy::panic, unreachable_pub)]

use cache_blobs::changes::{Change, ChangeKind, Error, MemoryTree};
use cache_blobs::tar::{Header, Kind, Reader, Timestamp};

/// A time with nanoseconds, so that contents are not compared.
pub const EXACT: Timestamp = Timestamp { seconds: 1000, nanos: 5 };
/// A time as an archive keeps it.
pub const TRUNCATED: Timestamp = Timestamp { seconds: 1000, nanos: 0 };

pub fn tree(entries: &[(Header, &str)]) -> MemoryTree {
    let mut tree = MemoryTree::new();
    for (header, content) in entries {
        tree.insert(header, content.as_bytes()).unwrap();
    }
    tree
}

pub fn directory(path: &str) -> (Header, &'static str) {
    (Header::directory(path).with_modified(EXACT), "")
}

pub fn opaque(path: &str) -> (Header, &'static str) {
    (Header::directory(path).with_xattr("trusted.overlay.opaque", "y"), "")
}

pub fn file<'a>(path: &str, content: &'a str) -> (Header, &'a str) {
    (Header::file(path, 0).with_modified(EXACT), content)
}

pub fn link(path: &str, first: &str) -> (Header, &'static str) {
    (Header::hard_link(path, first), "")
}

pub fn symlink(path: &str, target: &str) -> (Header, &'static str) {
    (Header::symlink(path, target).with_modified(EXACT), "")
}

pub fn whiteout(path: &str) -> (Header, &'static str) {
    (Header::new(Kind::CharDevice, path).with_mode(0), "")
}

pub fn lines(changes: impl Iterator<Item = Result<Change, Error>>) -> Vec<String> {
    changes
        .map(|change| {
            let change = change.unwrap();
            let letter = match change.kind {
                ChangeKind::Add => 'A',
                ChangeKind::Modify => 'M',
                ChangeKind::Delete => 'D',
                ChangeKind::Unmodified => 'U',
                _ => '?',
            };
            assert_eq!(change.entry.is_none(), letter == 'D');
            format!("{letter} {}", String::from_utf8(change.path).unwrap())
        })
        .collect()
}

/// Names in an archive, with what they link to.
pub fn names(archive: &[u8]) -> Vec<String> {
    let mut reader = Reader::new(archive);
    let mut names = Vec::new();
    while let Some(entry) = reader.next_entry().unwrap() {
        let header = entry.header();
        let mut name = String::from_utf8(header.path.clone()).unwrap();
        if !header.link.is_empty() {
            name = format!("{name} -> {}", String::from_utf8(header.link.clone()).unwrap());
        }
        names.push(name);
    }
    names
}
