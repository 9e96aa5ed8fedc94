//! Both ways of resolving paths do the same, whatever the archive, and nothing leaves the root.
#![cfg(target_os = "linux")]
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

#[path = "support/climbing_entries.rs"]
mod climbing_entries;
#[path = "support/jail.rs"]
mod jail;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use climbing_entries::entry;
use jail::{Jail, RESOLUTIONS};
use proptest::collection::vec;
use proptest::prelude::*;

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
