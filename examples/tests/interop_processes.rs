//! Twenty rounds of builds in one store, of which some are killed.
#![allow(missing_docs)]

mod support;

use support::{is_root, with_tools};
use tempfile::tempdir;

#[test]
fn builds_over_overlayfs_survive_twenty_rounds_of_others_deaths() {
    let test = "twenty rounds over overlayfs";
    if with_tools(test, &["mount"]) && is_root(test) {
        support::crowd::assert_store_survives(tempdir().expect("there is room").path(), "overlayfs", 20);
    }
}

#[test]
fn builds_over_copies_survive_twenty_rounds_of_others_deaths() {
    if with_tools("twenty rounds over copies", &["sh"]) {
        support::crowd::assert_store_survives(tempdir().expect("there is room").path(), "native", 20);
    }
}
