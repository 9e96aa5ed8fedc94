//! Both ways of resolving paths do the same, whatever the archive, and nothing leaves the root.
#![cfg(target_os = "linux")]
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

#[path = "support/jail.rs"]
mod jail;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use cache_blobs::tar::{Header, Kind, Timestamp};
use jail::{Jail, RESOLUTIONS};
use proptest::collection::vec;
use proptest::prelude::*;

fn path() -> impl Strategy<Value = String> {
    let name = prop_oneof![Just("a"), Just("b"), Just("c"), Just(".."), Just("."), Just("")];
    (any::<bool>(), vec(name, 1..5))
        .prop_map(|(rooted, names)| format!("{}{}", if rooted { "/" } else { "" }, names.join("/")))
}

fn entry() -> impl Strategy<Value = (Header, &'static str)> {
    (0..9u8, path(), path(), 0..1000i64).prop_map(|(kind, path, target, seconds)| {
        let (directory, name) = path.rsplit_once('/').unwrap_or(("", &path));
        let (header, content) = match kind {
            0 | 1 => (Header::file(path.trim_end_matches('/'), 0), "content"),
            2 => (Header::directory(path), ""),
            3 | 4 => (Header::symlink(path, if target.is_empty() { "." } else { &target }), ""),
            5 => (Header::hard_link(path, target), ""),
            6 => (Header::file(format!("{directory}/.wh.{name}"), 0), ""),
            7 => (Header::file(format!("{directory}/.wh..wh..opq"), 0), ""),
            _ => (Header::new(Kind::Fifo, path.trim_end_matches('/')), ""),
        };
        (header.with_modified(Timestamp::from_seconds(seconds)), content)
    })
}

/// Everything in a root: kind and mode, and a link's target, a file's contents and time.
fn describe(directory: &Path, above: &str, found: &mut BTreeMap<String, String>) {
    for entry in fs::read_dir(directory).unwrap() {
        let entry = entry.unwrap();
        let path = format!("{above}/{}", entry.file_name().into_string().unwrap());
        let metadata = entry.path().symlink_metadata().unwrap();
        let content = match (metadata.is_symlink(), metadata.is_file()) {
            (true, _) => fs::read_link(entry.path()).unwrap().display().to_string(),
            (_, true) => format!("{} {}", fs::read_to_string(entry.path()).unwrap(), metadata.mtime()),
            _ => String::new(),
        };
        found.insert(path.clone(), format!("{:o} {} {content}", metadata.mode(), metadata.nlink()));
        if metadata.is_dir() {
            describe(&entry.path(), &path, found);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn both_resolutions_do_the_same_and_stay_inside(entries in vec(entry(), 1..12)) {
        let results = RESOLUTIONS.map(|resolution| {
            let jail = Jail::new(resolution);
            let succeeded = jail.unpack(&entries).is_ok();
            let mut found = BTreeMap::new();
            describe(&jail.root(), "", &mut found);
            (succeeded, found)
        });
        prop_assert_eq!(&results[0], &results[1]);
    }
}
