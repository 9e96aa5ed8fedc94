//! Layers for Windows, in both directions.
#![cfg(target_os = "linux")]
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

mod support;

use std::fs;
use std::path::Path;

use cache_blobs::apply::{self, Whiteouts, unpack};
use cache_blobs::changes::{MemoryTree, double_walk};
use cache_blobs::layer::{LayerOptions, write_layer};
use cache_blobs::tar::{Header, Kind, Reader, Writer};
use cache_core::ports::LayerMode;
use support::{directory, file, link, names, symlink, tree};

/// BuildKit's constants, by their names in the security descriptor definition language.
const DIRECTORY_SECURITY: &str = "AQAEgBQAAAAkAAAAAAAAADAAAAABAgAAAAAABSAAAAAgAgAAAQEAAAAAAAUSAAAAAgCoAAcAAAAAAxgA/wEfAAECAAAAAAAFIAAAACACAAAAAxQA/wEfAAEBAAAAAAAFEgAAAAAAGAD/AR8AAQIAAAAAAAUgAAAAIAIAAAALFAAAAAAQAQEAAAAAAAMAAAAAAAMYAKkAEgABAgAAAAAABSAAAAAhAgAAAAIYAAQAAAABAgAAAAAABSAAAAAhAgAAAAIYAAIAAAABAgAAAAAABSAAAAAhAgAA";
const FILE_SECURITY: &str = "AQAEgBQAAAAkAAAAAAAAADAAAAABAgAAAAAABSAAAAAgAgAAAQEAAAAAAAUSAAAAAgBMAAMAAAAAABgA/wEfAAECAAAAAAAFIAAAACACAAAAABQA/wEfAAEBAAAAAAAFEgAAAAAAGACpABIAAQIAAAAAAAUgAAAAIQIAAA==";

fn windows() -> LayerOptions {
    LayerOptions::default().with_mode(LayerMode::Windows)
}

fn layer(lower: Option<&MemoryTree>, upper: &MemoryTree, options: LayerOptions) -> Vec<u8> {
    let changes = double_walk(lower.map(|lower| lower as _), upper).unwrap();
    write_layer(changes, Vec::new(), options).unwrap().0
}

fn headers(archive: &[u8]) -> Vec<Header> {
    let mut reader = Reader::new(archive);
    let mut headers = Vec::new();
    while let Some(entry) = reader.next_entry().unwrap() {
        headers.push(entry.into_header());
    }
    headers
}

fn record(header: &Header, key: &str) -> Option<String> {
    header.records.get(key.as_bytes()).map(|value| String::from_utf8(value.clone()).unwrap())
}

/// Everything below `root`: path, contents or link.
fn files(root: &Path) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut waiting = vec![root.to_owned()];
    while let Some(next) = waiting.pop() {
        for entry in fs::read_dir(&next).unwrap() {
            let path = entry.unwrap().path();
            let kind = fs::symlink_metadata(&path).unwrap().file_type();
            let said = if kind.is_dir() {
                waiting.push(path.clone());
                "directory".to_owned()
            } else if kind.is_symlink() {
                format!("-> {}", fs::read_link(&path).unwrap().display())
            } else {
                fs::read_to_string(&path).unwrap()
            };
            found.push((path.strip_prefix(root).unwrap().display().to_string(), said));
        }
    }
    found.sort();
    found
}

fn unpacked(archive: &[u8], root: &Path, mode: LayerMode) {
    let options = apply::ApplyOptions::default().with_layer_mode(mode).with_whiteouts(Whiteouts::Remove);
    unpack(archive, fs::File::open(root).unwrap(), &options).unwrap();
}

#[test]
fn every_entry_lies_under_files_beside_hives() {
    let upper = tree(&[directory("d"), file("d/f", "x"), link("d/hard", "d/f"), symlink("s", "d/f"), file("z", "")]);
    let lower = tree(&[file("gone", "x")]);
    assert_eq!(
        names(&layer(Some(&lower), &upper, windows())),
        [
            "Hives/",
            "Files/",
            "Files/d/",
            "Files/d/f",
            "Files/d/hard -> Files/d/f",
            "Files/.wh.gone",
            "Files/s -> Files/d/f",
            "Files/z"
        ]
    );
    assert_eq!(names(&layer(None, &MemoryTree::new(), windows())), ["Hives/", "Files/"]);
}

#[test]
fn records_and_modes_are_those_of_buildkit() {
    let upper = tree(&[directory("d"), file("d/f", "x"), link("d/hard", "d/f"), symlink("s", "d/f")]);
    let archive = layer(None, &upper, windows());
    for header in headers(&archive) {
        let on_top = [&b"Hives/"[..], b"Files/"].contains(&&header.path[..]);
        let (attribute, security) = match header.kind {
            Kind::Directory => (Some("16"), Some(DIRECTORY_SECURITY)),
            Kind::File => (Some("32"), Some(FILE_SECURITY)),
            _ => (None, None),
        };
        assert_eq!(record(&header, "MSWINDOWS.fileattr").as_deref(), attribute, "{header:?}");
        assert_eq!(record(&header, "MSWINDOWS.rawsd").as_deref(), security.filter(|_| !on_top), "{header:?}");
        let created = format!("{}.0", header.modified.seconds);
        assert_eq!(record(&header, "LIBARCHIVE.creationtime"), Some(created));
    }
    // The file type stands in the mode too, which the reader leaves out.
    let file = archive.windows(9).position(|name| name == b"Files/d/f").unwrap();
    let modes: Vec<_> = archive.chunks(512).filter(|block| block.starts_with(b"Files/d")).collect();
    assert!(file > 0 && modes.iter().any(|block| &block[100..108] == b"0100644\0"), "{modes:?}");
    assert!(modes.iter().any(|block| &block[100..108] == b"0040755\0"), "{modes:?}");
}

#[test]
fn equal_trees_make_equal_layers_at_any_time() {
    let upper = tree(&[directory("d"), file("d/f", "x")]);
    assert_eq!(layer(None, &upper, windows()), layer(None, &upper, windows()));
    assert!(headers(&layer(None, &upper, windows()))[..2].iter().all(|root| root.modified.seconds == 0));
}

#[test]
fn unpacking_gives_the_tree_of_the_linux_layer() {
    let lower = tree(&[directory("d"), file("d/f", "old"), file("gone", "x"), file("stays", "y")]);
    let upper = tree(&[
        directory("d"),
        file("d/f", "newer"),
        link("d/hard", "d/f"),
        symlink("s", "d/f"),
        file("stays", "y"),
        symlink("up", "../x"),
    ]);
    let roots = [LayerMode::Linux, LayerMode::Windows].map(|mode| {
        let root = tempfile::tempdir().unwrap();
        let options = LayerOptions::default().with_mode(mode);
        unpacked(&layer(None, &lower, options.clone()), root.path(), mode);
        unpacked(&layer(Some(&lower), &upper, options), root.path(), mode);
        root
    });
    let [linux, windows] = roots.each_ref().map(|root| files(root.path()));
    assert_eq!(windows, linux);
    assert!(windows.contains(&("d/hard".into(), "newer".into())) && !windows.iter().any(|(path, _)| path == "gone"));
}

#[test]
fn what_lies_beside_files_is_dropped_and_nothing_escapes() {
    let root = tempfile::tempdir().unwrap();
    let inner = root.path().join("inner");
    fs::create_dir(&inner).unwrap();
    let mut tar = Writer::new(Vec::new());
    for (path, content) in [
        ("Hives/System_Delta", "hive"),
        ("Filesystem", "x"),
        ("UtilityVM/Files/f", "x"),
        ("Files/../../escaped", "inside"),
        ("Files/f", "f"),
    ] {
        tar.append(&Header::file(path, content.len() as u64), content.as_bytes()).unwrap();
    }
    unpacked(&tar.finish().unwrap(), &inner, LayerMode::Windows);
    assert_eq!(files(&inner), [("escaped".into(), "inside".into()), ("f".into(), "f".into())]);
    assert_eq!(fs::read_dir(root.path()).unwrap().count(), 1);
}

#[test]
fn limits_count_what_is_dropped() {
    let root = tempfile::tempdir().unwrap();
    let mut tar = Writer::new(Vec::new());
    for number in 0..20 {
        tar.append_header(&Header::file(format!("Hives/{number}"), 0)).unwrap();
    }
    let limits = apply::ApplyLimits::default().with_entries(10);
    let options = apply::ApplyOptions::default().with_layer_mode(LayerMode::Windows).with_limits(limits);
    let refused = unpack(&tar.finish().unwrap()[..], fs::File::open(root.path()).unwrap(), &options).unwrap_err();
    assert!(matches!(refused, apply::Error::LimitExceeded { .. }), "{refused:?}");
}
