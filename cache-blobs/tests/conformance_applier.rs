//! The applier keeps the contract of appliers, and every check of the suite can fail.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

use std::sync::Arc;

use cache_blobs::LayerApplier;
use cache_core::ThreadPool;
use cache_core::conformance::apply::{ApplySubject, CHECKS};
use cache_core::conformance::{Fault, Faulty, prove};
use cache_core::memory::{ManualClock, Memory};
use cache_core::mount::LinuxMounter;
use cache_core::ports::Pool;
use tempfile::TempDir;

const FAULTS: &[(&str, Fault)] = &[
    ("files_of_every_sort_are_made", Fault::UnpacksNothing),
    ("devices_and_owners_are_made", Fault::UnpacksNothing),
    ("names_may_be_long_or_odd", Fault::UnpacksNothing),
    ("missing_parents_are_made", Fault::UnpacksNothing),
    ("a_layer_lies_over_what_is_there", Fault::UnpacksNothing),
    ("whiteouts_delete", Fault::UnpacksNothing),
    ("an_opaque_directory_shows_its_own_layer_alone", Fault::UnpacksNothing),
    ("a_file_of_another_sort_replaces", Fault::UnpacksNothing),
    ("the_diff_id_is_that_of_the_whole_stream", Fault::ForgetsTrailingBytes),
    ("every_compression_gives_the_same_files", Fault::UnpacksOneCompression),
    ("every_compression_gives_the_same_files", Fault::SaysBlobDigest),
    ("a_committed_blob_is_unpacked", Fault::UnpacksNothing),
    ("a_committed_blob_is_unpacked", Fault::SaysUnpacked),
    ("a_missing_blob_is_not_found", Fault::SaysUnpacked),
    ("another_blob_is_corrupt", Fault::TrustsBlobs),
    ("another_diff_id_is_corrupt", Fault::IgnoresExpectedDiffId),
    ("a_truncated_layer_is_corrupt", Fault::SaysUnpacked),
    ("what_is_no_layer_is_corrupt", Fault::SaysUnpacked),
    ("nothing_outside_is_touched", Fault::TouchesOutside),
    ("links_stay_inside", Fault::UnpacksNothing),
    ("whiteouts_without_a_name_are_corrupt", Fault::SaysUnpacked),
];

fn subject(fault: Fault) -> ApplySubject {
    let directory = TempDir::new().unwrap();
    for name in ["mounts", "scratch"] {
        std::fs::create_dir(directory.path().join(name)).unwrap();
    }
    let memory = Memory::new(Arc::new(ManualClock::default()));
    let pool: Arc<dyn Pool> = Arc::new(ThreadPool::new());
    let mounter = Arc::new(LinuxMounter::new(Arc::clone(&pool), directory.path().join("mounts")));
    let applier = LayerApplier::new(memory.content.clone(), mounter, pool, Default::default());
    ApplySubject::new(Arc::new(Faulty::new(Arc::new(applier), fault)), directory.path().join("scratch"))
        .with_content(memory.content, memory.leases)
        .keeping(directory)
}

#[test]
fn every_check_of_appliers_can_fail() {
    prove(CHECKS, FAULTS, subject).unwrap();
}

fn sound() -> ApplySubject {
    subject(Fault::None)
}

cache_core::apply_conformance!(sound);
