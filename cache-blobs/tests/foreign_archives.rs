//! Archives of GNU tar, bsdtar and Python are read as those programs meant them.
#![cfg(feature = "zstd")]
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Read;
use std::path::Path;

use cache_blobs::tar::{Header, Kind, Reader};

type Entries = BTreeMap<String, (Header, Vec<u8>)>;

fn archives() -> BTreeMap<String, Entries> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/foreign-archives");
    let mut archives = BTreeMap::new();
    for file in fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if let Some(name) = name.strip_suffix(".tar.zst") {
            let archive = zstd::stream::decode_all(File::open(&path).unwrap()).unwrap();
            archives.insert(name.to_owned(), entries(&archive));
        }
    }
    assert_eq!(archives.len(), 14);
    archives
}

fn entries(archive: &[u8]) -> Entries {
    let mut reader = Reader::new(archive);
    let mut entries = BTreeMap::new();
    while let Some(mut entry) = reader.next_entry().unwrap() {
        let mut content = Vec::new();
        entry.read_to_end(&mut content).unwrap();
        let header = entry.into_header();
        let name = String::from_utf8(header.path.clone()).unwrap();
        let name = name.strip_prefix("./").unwrap_or(&name).trim_end_matches('/').to_owned();
        entries.insert(name, (header, content));
    }
    entries
}

/// A file of zeros with some bytes in it.
fn sparse(length: usize, pieces: impl IntoIterator<Item = (usize, &'static [u8])>) -> Vec<u8> {
    let mut content = vec![0; length];
    for (at, piece) in pieces {
        content[at..at + piece.len()].copy_from_slice(piece);
    }
    content
}

#[test]
fn sparse_files_are_whole_in_every_format() {
    let two = sparse(1 << 20, [(300_000, &b"data"[..]), (900_000, b"more")]);
    let many = sparse(600_001, (1..=30).map(|piece| (piece * 20_000, &b"x"[..])));
    for (name, entries) in archives() {
        for (file, wanted) in [("sparse", &two), ("many", &many)] {
            let (header, content) = &entries[file];
            assert_eq!((header.kind, header.size), (Kind::File, wanted.len() as u64), "{name} {file}");
            assert!(content == wanted, "{name} {file}");
        }
    }
}

#[test]
fn names_links_and_kinds_are_those_of_the_folder() {
    let long = "n".repeat(150);
    for (name, entries) in archives().into_iter().filter(|(name, _)| !name.starts_with("gnu-sparse")) {
        let all = !matches!(name.as_str(), "gnu-v7" | "gnu-ustar" | "bsd-ustar");
        let (first, second) = (&entries["hard"], &entries["plain"]);
        let (file, link) = if first.0.kind == Kind::File { (first, second) } else { (second, first) };
        assert_eq!((file.1.as_slice(), link.0.kind), (&b"hello"[..], Kind::HardLink), "{name}");
        assert_eq!(entries["soft"].0.link, b"plain", "{name}");
        assert_eq!(entries["dir"].0.kind, Kind::Directory, "{name}");
        assert_eq!(entries["caf\u{e9}"].1, b"caf", "{name}");
        if name != "gnu-v7" {
            assert_eq!(entries["pipe"].0.kind, Kind::Fifo, "{name}");
        }
        assert_eq!(entries.contains_key(&format!("dir/{long}")), all, "{name}");
        if all {
            assert_eq!(entries["dir/longlink"].0.link, long.repeat(2).into_bytes(), "{name}");
        }
    }
}

#[test]
fn times_keep_the_fraction_where_the_format_has_one() {
    for (name, entries) in archives() {
        let time = entries["sparse"].0.modified;
        assert_eq!(time.seconds, 981_173_106, "{name}");
        let exact = matches!(name.as_str(), "gnu-posix" | "bsd-pax" | "python-pax")
            || name.contains("sparse-0")
            || name.contains("sparse-1");
        assert_eq!(time.nanos > 788_000_000, exact, "{name}");
    }
}
