//! Every check of the snapshotter suite can fail.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

use std::sync::Arc;

use cache_core::ThreadPool;
use cache_core::conformance::snapshot::{CHECKS, SnapshotSubject};
use cache_core::conformance::{Fault, Faulty, SuiteClock, block_on, prove};
use cache_core::memory::{ManualClock, Memory};
use cache_core::mount::LinuxMounter;
use cache_core::ports::Pool;
use cache_core::snapshot::{DirectorySnapshotter, Durability, MemoryRows, NativeOptions};
use tempfile::TempDir;

const FAULTS: &[(&str, Fault)] = &[
    ("what_was_wanted_is_there", Fault::InfoForgetsParent),
    ("what_was_wanted_is_there", Fault::InfoForgetsLabels),
    ("what_was_wanted_is_there", Fault::ForgetsParent),
    ("a_key_is_taken_by_a_snapshot_of_any_kind", Fault::PreparesOverTaken),
    ("a_missing_parent_is_not_found", Fault::AcceptsMissingParent),
    ("a_parent_must_be_committed", Fault::BuildsOnAnyKind),
    ("keys_are_opaque", Fault::FoldsCaseOfKeys),
    ("mounts_can_be_asked_for_again", Fault::MountsCommitted),
    ("a_dead_lease_is_invalid", Fault::AcceptsDeadLease),
    ("a_foreign_lease_is_invalid", Fault::AcceptsForeignLease),
    ("a_commit_takes_the_key_and_gives_the_name", Fault::InfoForgetsParent),
    ("a_commit_takes_the_key_and_gives_the_name", Fault::UpdatesMoveNoTime),
    ("a_commit_has_its_own_labels", Fault::CommitKeepsLabels),
    ("a_commit_has_its_own_labels", Fault::ForgetsLabelsOfCommit),
    ("a_name_that_is_taken_is_refused", Fault::CommitsOverTaken),
    ("only_an_active_snapshot_can_be_committed", Fault::CommitsAnyKind),
    ("a_missing_key_is_not_found", Fault::CommitsNothing),
    ("parents_form_a_chain", Fault::SkipsLayer),
    ("every_snapshot_is_listed_as_it_is_told", Fault::OmitsSnapshot),
    ("what_is_not_there_is_none_or_not_found", Fault::FoldsCaseOfKeys),
    ("what_is_not_there_is_none_or_not_found", Fault::ChangesLabelsOfNothing),
    ("change_key_by_key", Fault::ChangeReplacesAllLabels),
    ("change_key_by_key", Fault::UpdatesMoveNoTime),
    ("change_all_or_none", Fault::ChangesLabelsOneByOne),
    ("limits_hold_when_a_snapshot_begins_and_commits", Fault::DropsLongLabels),
    ("a_removed_key_begins_anew", Fault::RemovesNothing),
    ("a_parent_is_busy", Fault::RemovesParents),
    ("a_chain_is_removed_from_the_top", Fault::RemovesParents),
    ("a_chain_is_removed_from_the_top", Fault::RemovesNothing),
    ("what_is_prepared_or_viewed_is_held", Fault::LeaseNotAttached),
    ("a_commit_hands_the_leases_over", Fault::LeaseNotAttached),
    ("what_no_lease_holds_is_freed", Fault::CollectsNothing),
    ("what_no_lease_holds_is_freed", Fault::CollectsLeased),
    ("what_no_lease_holds_is_freed", Fault::LeaseNotAttached),
    ("parents_stay_with_their_children", Fault::CollectsLeased),
    ("labels_keep_snapshots_and_blobs", Fault::ForgetsLabelsOfCommit),
    ("labels_keep_snapshots_and_blobs", Fault::CollectsNothing),
    ("an_active_snapshot_is_measured_now", Fault::MeasuresNothing),
    ("a_committed_snapshot_tells_what_it_took", Fault::MeasuresNothing),
    ("the_root_has_mode_0755", Fault::PrivateRoot),
    ("a_view_cannot_be_written_to", Fault::ViewsAreWritable),
    ("snapshots_over_one_parent_are_apart", Fault::ForgetsParent),
    ("files_of_every_sort_are_kept", Fault::LosesModes),
    ("files_of_every_sort_are_kept", Fault::LosesFiles),
    ("attributes_and_times_are_kept", Fault::LosesAttributes),
    ("attributes_and_times_are_kept", Fault::LosesTimes),
    ("devices_and_owners_are_kept", Fault::LosesOwners),
    ("changes_lie_over_the_parent", Fault::SkipsLayer),
    ("edits_of_the_same_size_and_second_are_kept", Fault::SkipsLayer),
    ("edits_of_the_same_size_and_second_are_kept", Fault::LosesModes),
    ("a_recreated_directory_hides_the_old_one", Fault::SkipsLayer),
    ("changed_owners_are_kept", Fault::LosesOwners),
    ("directory_modes_are_kept_at_commit", Fault::LosesModes),
    ("deleted_files_stay_deleted", Fault::SkipsLayer),
    ("files_of_a_lower_layer_can_be_moved", Fault::SkipsLayer),
    ("files_can_be_renamed", Fault::SkipsLayer),
    ("directories_can_be_renamed", Fault::SkipsLayer),
    ("a_middle_layer_cannot_be_removed", Fault::RemovesParents),
    ("of_128_layers_each_shows_its_tree", Fault::SkipsLayer),
];

fn subject(fault: Fault) -> SnapshotSubject {
    let directory = TempDir::new().unwrap();
    for name in ["snapshots", "mounts", "scratch"] {
        std::fs::create_dir(directory.path().join(name)).unwrap();
    }
    let clock = Arc::new(ManualClock::default());
    let memory = Memory::new(clock.clone());
    let pool: Arc<dyn Pool> = Arc::new(ThreadPool::new());
    let rows = MemoryRows::open(directory.path().join("snapshots"), "native", Arc::clone(&pool), clock.clone());
    let rows = Arc::new(block_on(rows).unwrap().bound_to(memory.leases.clone()));
    let options = NativeOptions::default().with_durability(Durability::Relaxed);
    let native = DirectorySnapshotter::native(rows, Arc::clone(&pool), options).unwrap();
    let native = Arc::new(native);
    memory.collector.add_snapshotter(native.clone());
    let collector = Faulty::new(memory.collector, fault).overlooking(memory.leases.clone());
    let mounter = LinuxMounter::new(pool, directory.path().join("mounts"));
    SnapshotSubject::new(Arc::new(Faulty::new(native, fault)), memory.leases, SuiteClock::Manual(clock))
        .with_trees(Arc::new(mounter), directory.path().join("scratch"))
        .with_collector(Arc::new(collector), memory.content)
        .keeping(directory)
}

#[test]
fn every_check_of_snapshotters_can_fail() {
    prove(CHECKS, FAULTS, subject).unwrap();
}

mod memory_rows {
    fn subject() -> super::SnapshotSubject {
        super::subject(super::Fault::None)
    }

    cache_core::snapshot_conformance!(subject);
}
