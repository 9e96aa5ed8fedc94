//! Processes share one store, and some are killed.
#![allow(missing_docs)]

mod support;

use tempfile::tempdir;

#[test]
fn builds_in_one_store_survive_the_death_of_others() {
    support::crowd::assert_store_survives(tempdir().expect("there is room").path(), "native", 4);
}
