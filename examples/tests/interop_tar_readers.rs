//! GNU tar, bsdtar and Python's tarfile read and extract what our writer writes, as our reader and our unpacking do.
//!
//! The archives are random ones of sound trees, and those of the property tests of cache-blobs, which hold everything that a header and
//! a layer can. All are listed, and all are extracted, but for entries and values of headers that have no one meaning to
//! compare (`tar_readers/one_meaning.rs`).
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::print_stdout)]

#[path = "../../cache-blobs/tests/support/climbing_entries.rs"]
mod climbing_entries;
#[path = "../../cache-blobs/tests/support/archives.rs"]
mod property;
mod support;
mod tar_readers;
#[path = "../../cache-blobs/tests/support/trees.rs"]
mod trees;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use cache_blobs::apply::{ApplyOptions, unpack};
use cache_blobs::tar::{Header, Kind, Timestamp};
use support::{Entry, tree, with_tools};
use tar_readers::archives::{Archive, Made, archives};
use tar_readers::bsdtar::{PRIMER, loses_first_link, primed};
use tar_readers::listing::Listing;
use tar_readers::{bsdtar, gnu_tar, python};

const TOOLS: [&str; 3] = ["tar", "bsdtar", "python3"];

fn assert_same(who: &str, archive: &Archive, theirs: &Listing) {
    let Archive { file, ours, .. } = archive;
    assert_eq!(ours.len(), theirs.len(), "{who}, {}", file.display());
    for (ours, theirs) in ours.iter().zip(theirs) {
        assert_eq!(ours, theirs, "{who}, {}: {}", file.display(), ours.name.escape_ascii());
    }
}

fn assert_bsdtar_agrees(archive: &Archive) {
    if !loses_first_link(archive) {
        return assert_same("bsdtar", archive, &bsdtar::list(archive));
    }
    let primed = primed(archive);
    assert_same("bsdtar", &primed, &bsdtar::list(&primed));
}

#[test]
fn every_reader_says_the_same_of_every_entry() {
    if !with_tools("listing by other readers", &TOOLS) {
        return;
    }
    let work = tempfile::tempdir().unwrap();
    for made in [Made::Utf8, Made::Bytes, Made::Anything, Made::Climbing, Made::Whole, Made::Layer] {
        let archives = archives(work.path(), made);
        let python = python::list(&archives);
        assert_eq!(python.len(), archives.len());
        for (archive, python) in archives.iter().zip(&python) {
            assert_same("Python", archive, python);
            if archive.is_shown() {
                assert_same("GNU tar", archive, &gnu_tar::list(archive));
                assert_bsdtar_agrees(archive);
            }
        }
        let shown = archives.iter().filter(|archive| archive.is_shown()).count();
        assert!(shown > archives.len() / 4);
        assert!(shown == archives.len() || matches!(made, Made::Anything | Made::Climbing));
    }
}

fn assert_same_files(who: &str, file: &Path, ours: &BTreeMap<PathBuf, Entry>, root: &Path) {
    let theirs = tree(root);
    for path in ours.keys().chain(theirs.keys()) {
        assert_eq!(ours.get(path), theirs.get(path), "{who}, {}: {}", file.display(), path.display());
    }
}

#[test]
fn every_tool_extracts_the_same_files() {
    let test = "extraction by other tools";
    if !with_tools(test, &TOOLS) || !support::is_root(test) {
        return;
    }
    let work = tempfile::tempdir().unwrap();
    for made in [Made::Utf8, Made::Bytes, Made::Anything, Made::Climbing, Made::Whole, Made::Layer] {
        let (mut all, mut extracted) = (0, 0);
        for archive in archives(work.path(), made) {
            all += archive.entries.len();
            let archive = archive.with_one_meaning();
            extracted += archive.entries.len();
            let file = &archive.file;
            let root = tempfile::tempdir_in(work.path()).unwrap();
            let into = |who: &str| {
                let into = root.path().join(who);
                fs::create_dir(&into).unwrap();
                into
            };
            let us = into("us");
            let unpacked = unpack(&fs::read(file).unwrap()[..], File::open(&us).unwrap(), &ApplyOptions::default());
            assert_eq!(unpacked.unwrap().entries, archive.ours.len() as u64);
            let ours = tree(&us);
            // Directories above an entry that has none are made, too.
            assert!(ours.len() >= archive.ours.len());

            let gnu = into("gnu");
            gnu_tar::extract(file, &gnu);
            assert_same_files("GNU tar", file, &ours, &gnu);

            let python = into("python");
            python::extract(file, &python);
            assert_same_files("Python", file, &ours, &python);

            let bsd = into("bsd");
            if loses_first_link(&archive) {
                bsdtar::extract(&primed(&archive), &bsd);
                fs::remove_file(bsd.join(PRIMER)).unwrap();
            } else {
                bsdtar::extract(&archive, &bsd);
            }
            assert_same_files("bsdtar", file, &ours, &bsd);
        }
        let least = match made {
            Made::Utf8 | Made::Bytes | Made::Whole => all,
            Made::Layer => all / 2,
            Made::Anything => all / 8,
            Made::Climbing => all / 16,
        };
        assert!(extracted >= least, "{made:?}: {extracted} of {all}");
    }
}

/// When this fails, bsdtar is mended, and neither the primer nor `loses_first_link` is needed any more.
#[test]
fn bsdtar_still_loses_a_first_link_without_ascii() {
    if !with_tools("the link that bsdtar loses", &TOOLS) {
        return;
    }
    let work = tempfile::tempdir().unwrap();
    for kind in [Kind::Symlink, Kind::HardLink] {
        let mut link = Header::new(kind, "link");
        link.link = "ü".into();
        let entries = vec![(Header::file("ü", 0), Vec::new()), (link, Vec::new())];
        let archive = Archive::write(work.path().join(format!("{kind:?}.tar")), entries);
        assert!(loses_first_link(&archive));
        assert_same("GNU tar", &archive, &gnu_tar::list(&archive));
        assert_same("Python", &archive, &python::list(std::slice::from_ref(&archive))[0]);
        assert_ne!(archive.ours, bsdtar::list(&archive));
        assert_bsdtar_agrees(&archive);
    }
}

/// When this fails, bsdtar is mended, and `is_shown` need not look at times any more.
#[test]
fn bsdtar_still_crashes_over_a_year_beyond_a_struct_tm() {
    if !with_tools("the time over which bsdtar crashes", &TOOLS) {
        return;
    }
    let work = tempfile::tempdir().unwrap();
    let header = Header::file("file", 0).with_modified(Timestamp::from_seconds(i64::MAX));
    let archive = Archive::write(work.path().join("late.tar"), vec![(header, Vec::new())]);
    assert!(!archive.is_shown());
    let listed = Command::new("bsdtar").arg("-tvf").arg(&archive.file).output().unwrap();
    assert_eq!(listed.status.code(), None);
}
