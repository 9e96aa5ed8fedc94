//! A layer that is on the disk when it is unpacked is the same as one that is not yet.
#![cfg(target_os = "linux")]
#![allow(missing_docs, clippy::unwrap_used)]

use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use cache_blobs::apply::{Applied, ApplyLimit, ApplyLimits, ApplyOptions, Durability, Error, unpack};
use cache_blobs::tar::{Header, Timestamp, Writer};
use rustix::fs::{Mode, OFlags, open};
use tempfile::tempdir;

const FILES: usize = 40;
/// All of them are several times what is written before the disk is to take it.
const FILE_BYTES: usize = 1 << 20;

fn contents(number: usize) -> Vec<u8> {
    (0..FILE_BYTES).map(|place| (place / 7 + number) as u8 | 1).collect()
}

fn archive() -> Vec<u8> {
    let time = Timestamp { seconds: 1_000_000, nanos: 0 };
    let mut writer = Writer::new(Vec::new());
    writer.append(&Header::directory("d").with_modified(time), &b""[..]).unwrap();
    for number in 0..FILES {
        let header = Header::file(format!("d/{number}"), FILE_BYTES as u64).with_modified(time);
        writer.append(&header, &contents(number)[..]).unwrap();
    }
    writer.finish().unwrap()
}

fn options(durability: Durability) -> ApplyOptions {
    ApplyOptions::default().with_durability(durability)
}

fn check(root: &Path) {
    for number in 0..FILES {
        assert!(fs::read(root.join(format!("d/{number}"))).unwrap() == contents(number));
    }
    assert_eq!(fs::metadata(root.join("d")).unwrap().mtime(), 1_000_000);
}

#[test]
fn durable_or_not_the_files_and_the_report_are_the_same() {
    let archive = archive();
    let applied: Vec<Applied> = [Durability::Relaxed, Durability::Synced]
        .into_iter()
        .map(|durability| {
            let root = tempdir().unwrap();
            let applied = unpack(&archive[..], File::open(root.path()).unwrap(), &options(durability)).unwrap();
            check(root.path());
            applied
        })
        .collect();
    assert_eq!(applied[0], applied[1]);
}

#[test]
fn a_root_that_is_only_a_name_is_synced_too() {
    let root = tempdir().unwrap();
    let name = open(root.path(), OFlags::PATH | OFlags::DIRECTORY, Mode::empty()).unwrap();
    unpack(&archive()[..], name, &options(Durability::Synced)).unwrap();
    check(root.path());
}

#[test]
fn an_error_of_the_layer_is_told_as_without_a_sync() {
    let archive = archive();
    let limits = ApplyLimits::default().with_entries(30);
    for durability in [Durability::Relaxed, Durability::Synced] {
        let root = tempdir().unwrap();
        let options = options(durability).with_limits(limits.clone());
        let error = unpack(&archive[..], File::open(root.path()).unwrap(), &options).unwrap_err();
        assert!(matches!(error, Error::LimitExceeded { limit: ApplyLimit::Entries, .. }));
    }
}
