//! The differ keeps the contract of differs, and every check of the suite can fail.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

use std::num::NonZeroUsize;
use std::sync::Arc;

use cache_blobs::LayerApplier;
use cache_blobs::codec::Codecs;
use cache_blobs::differ::TreeDiffer;
use cache_blobs::pack::Budget;
use cache_core::ThreadPool;
use cache_core::conformance::diff::{CHECKS, DiffSubject};
use cache_core::conformance::{Fault, Faulty, prove};
use cache_core::memory::{ManualClock, Memory};
use cache_core::mount::LinuxMounter;
use cache_core::ports::{Mounter, Pool};
use tempfile::TempDir;

const FAULTS: &[(&str, Fault)] = &[
    ("an_uncompressed_layer_is_its_own_diff_id", Fault::SaysNoDiffId),
    ("an_uncompressed_layer_is_its_own_diff_id", Fault::NamesAnotherBlob),
    ("every_compression_has_the_same_diff_id", Fault::IgnoresCompression),
    ("every_compression_has_the_same_diff_id", Fault::SaysBlobDigest),
    ("the_lease_holds_the_blob", Fault::LeaseNotAttached),
    ("a_dead_lease_is_invalid", Fault::AcceptsDeadLease),
    ("equal_trees_make_equal_layers", Fault::LeaseNotAttached),
    ("a_failed_diff_leaves_nothing_visible", Fault::IgnoresMissingTrees),
    ("what_is_not_supported_is_refused", Fault::SupportsEverything),
    ("what_is_not_supported_is_refused", Fault::IgnoresCompression),
    ("an_epoch_bounds_times", Fault::IgnoresEpoch),
    ("a_level_keeps_the_diff_id", Fault::SaysBlobDigest),
    ("variants_are_linked_to_the_layer", Fault::ForgetsVariants),
    ("variants_are_linked_to_the_layer", Fault::LeaseNotAttached),
    ("variants_are_linked_to_the_layer", Fault::SaysNoDiffId),
    ("no_change_is_no_entry", Fault::ForgetsLower),
    ("from_nothing_everything_is_new", Fault::ComparesUpperAlone),
    ("to_nothing_everything_is_deleted", Fault::ComparesBackwards),
    ("parents_come_before_their_children", Fault::ComparesUpperAlone),
    ("linked_files_name_their_first_name", Fault::ForgetsLower),
    ("a_changed_mode_is_one_entry", Fault::ForgetsLower),
    ("unchanged_links_are_no_entries", Fault::ForgetsLower),
    ("links_of_a_changed_parent_are_whole", Fault::ComparesUpperAlone),
    ("whiteouts_come_after_their_parents", Fault::ForgetsLower),
    ("a_removed_directory_is_one_whiteout", Fault::ComparesBackwards),
    ("sockets_are_left_out", Fault::ForgetsLower),
    ("owners_are_numbers", Fault::ComparesUpperAlone),
    ("basic_changes_come_back", Fault::ForgetsLower),
    ("deletions_come_back", Fault::ForgetsLower),
    ("updates_come_back", Fault::ComparesUpperAlone),
    ("directory_modes_come_back", Fault::ComparesUpperAlone),
    ("modes_of_parents_come_back", Fault::ComparesUpperAlone),
    ("unchanged_links_come_back", Fault::ForgetsLower),
    ("links_before_unchanged_files_come_back", Fault::ComparesUpperAlone),
    ("links_before_changed_files_come_back", Fault::ComparesUpperAlone),
    ("every_compression_comes_back", Fault::SaysBlobDigest),
    ("every_compression_comes_back", Fault::ForgetsLower),
];

fn subject(fault: Fault) -> DiffSubject {
    let directory = TempDir::new().unwrap();
    for name in ["mounts", "scratch"] {
        std::fs::create_dir(directory.path().join(name)).unwrap();
    }
    let memory = Memory::new(Arc::new(ManualClock::default()));
    let pool: Arc<dyn Pool> = Arc::new(ThreadPool::new());
    let mounter: Arc<dyn Mounter> = Arc::new(LinuxMounter::new(Arc::clone(&pool), directory.path().join("mounts")));
    let budget = Arc::new(Budget::new(NonZeroUsize::MIN, Budget::DEFAULT_MEMORY_BYTES).unwrap());
    let (content, codecs) = (memory.content.clone(), Codecs::default());
    let applier = LayerApplier::new(content.clone(), mounter.clone(), pool.clone(), codecs.clone());
    let differ = TreeDiffer::new(content.clone(), mounter, pool, codecs, budget);
    let differ = Arc::new(Faulty::new(Arc::new(differ), fault));
    DiffSubject::new(differ, content, memory.leases, directory.path().join("scratch"))
        .with_applier(Arc::new(applier))
        .keeping(directory)
}

#[test]
fn every_check_of_differs_can_fail() {
    prove(CHECKS, FAULTS, subject).unwrap();
}

fn sound() -> DiffSubject {
    subject(Fault::None)
}

cache_core::diff_conformance!(sound);
