//! The suite for snapshotters. Mirrors: containerd `core/snapshots/testsuite` and
//! `core/snapshots/storage/metastore_test.go`.

pub mod begin;
pub mod commit;
pub mod held;
pub mod kept;
pub mod label;
pub mod layer;
pub mod listing;
pub mod remove;
pub mod root;
pub mod usage;

mod layers;

use std::any::Any;
use std::path::PathBuf;
use std::sync::Arc;

use crate::conformance::check::Violation;
use crate::conformance::require::require_some;
use crate::conformance::{SuiteClock, Unmet};
use crate::error::Result;
use crate::labels::Labels;
use crate::ports::{
    Collector, ContentStore, Lease, LeaseManager, LeaseOptions, Mount, Mounter, Prepared, SnapshotInfo, SnapshotKind,
    Snapshotter,
};

/// A snapshotter without snapshots.
#[derive(Debug)]
pub struct SnapshotSubject {
    snapshotter: Arc<dyn Snapshotter>,
    leases: Arc<dyn LeaseManager>,
    clock: SuiteClock,
    trees: Option<(Arc<dyn Mounter>, PathBuf)>,
    collection: Option<(Arc<dyn Collector>, Arc<dyn ContentStore>)>,
    _keep: Option<Box<dyn Any + Send + Sync>>,
}

impl SnapshotSubject {
    /// `snapshotter`, which has no snapshots, the manager of its leases, and the clock from which it takes its times.
    pub fn new(snapshotter: Arc<dyn Snapshotter>, leases: Arc<dyn LeaseManager>, clock: SuiteClock) -> Self {
        Self { snapshotter, leases, clock, trees: None, collection: None, _keep: None }
    }

    /// The same, whose file trees are looked at, too: through `mounter`, beside plain trees that the suite makes in
    /// `scratch`, an empty directory. Both should be on a file system with extended attributes.
    #[must_use]
    pub fn with_trees(mut self, mounter: Arc<dyn Mounter>, scratch: impl Into<PathBuf>) -> Self {
        self.trees = Some((mounter, scratch.into()));
        self
    }

    /// The same, whose snapshots `collector` frees, together with the blobs of `content`.
    #[must_use]
    pub fn with_collector(mut self, collector: Arc<dyn Collector>, content: Arc<dyn ContentStore>) -> Self {
        self.collection = Some((collector, content));
        self
    }

    /// The same, holding `keep` (a temporary directory, a server) until the check has ended.
    #[must_use]
    pub fn keeping(mut self, keep: impl Any + Send + Sync) -> Self {
        self._keep = Some(Box::new(keep));
        self
    }

    async fn lease(&self) -> Result<Lease> {
        self.leases.create(LeaseOptions::default()).await
    }

    async fn prepare(&self, lease: &Lease, key: &str, parent: Option<&str>) -> Result<Vec<Mount>, Unmet> {
        self.prepare_labelled(lease, key, parent, Labels::new()).await
    }

    async fn prepare_labelled(
        &self,
        lease: &Lease,
        key: &str,
        parent: Option<&str>,
        labels: Labels,
    ) -> Result<Vec<Mount>, Unmet> {
        match self.snapshotter.prepare(lease, key, parent, labels).await? {
            Prepared::Mounts(mounts) => Ok(mounts),
            Prepared::AlreadyCommitted => {
                Err(Violation::new("a snapshot that nobody named by a label is not already committed").into())
            }
        }
    }

    async fn view(&self, lease: &Lease, key: &str, parent: Option<&str>) -> Result<Vec<Mount>, Unmet> {
        Ok(self.snapshotter.view(lease, key, parent, Labels::new()).await?)
    }

    /// Commits an unchanged snapshot over `parent` as `name`.
    async fn layer(&self, lease: &Lease, name: &str, parent: Option<&str>) -> Result<(), Unmet> {
        let key = format!("{name} active");
        self.prepare(lease, &key, parent).await?;
        Ok(self.snapshotter.commit(lease, name, &key, Labels::new()).await?)
    }

    async fn info(&self, key: &str) -> Result<SnapshotInfo, Unmet> {
        require_some(self.snapshotter.stat(key).await?, "a snapshot that was created is there")
    }

    /// A committed snapshot `base`, one `top` over it, and over that an active one and a view, named by their kinds.
    async fn one_of_each(
        &self,
        lease: &Lease,
    ) -> Result<[(&'static str, SnapshotKind, Option<&'static str>); 4], Unmet> {
        self.layer(lease, "base", None).await?;
        self.layer(lease, "top", Some("base")).await?;
        self.prepare(lease, "active", Some("top")).await?;
        self.view(lease, "view", Some("top")).await?;
        Ok([
            ("base", SnapshotKind::Committed, None),
            ("top", SnapshotKind::Committed, Some("base")),
            ("active", SnapshotKind::Active, Some("top")),
            ("view", SnapshotKind::View, Some("top")),
        ])
    }
}

suite! {
    ($)
    /// One `#[test]` for every check of [`conformance::snapshot`](crate::conformance::snapshot), each on a fresh
    /// subject of the given factory.
    snapshot_conformance, snapshot, SnapshotSubject;
    begin::what_was_wanted_is_there,
    begin::a_key_is_taken_by_a_snapshot_of_any_kind,
    begin::a_missing_parent_is_not_found,
    begin::a_parent_must_be_committed,
    begin::keys_are_opaque,
    begin::mounts_can_be_asked_for_again,
    begin::a_dead_lease_is_invalid,
    begin::a_foreign_lease_is_invalid,
    commit::a_commit_takes_the_key_and_gives_the_name,
    commit::a_commit_has_its_own_labels,
    commit::a_name_that_is_taken_is_refused,
    commit::only_an_active_snapshot_can_be_committed,
    commit::a_missing_key_is_not_found,
    commit::parents_form_a_chain,
    listing::every_snapshot_is_listed_as_it_is_told,
    listing::what_is_not_there_is_none_or_not_found,
    label::change_key_by_key,
    label::change_all_or_none,
    label::limits_hold_when_a_snapshot_begins_and_commits,
    remove::a_removed_key_begins_anew,
    remove::a_parent_is_busy,
    remove::a_chain_is_removed_from_the_top,
    held::what_is_prepared_or_viewed_is_held,
    held::a_commit_hands_the_leases_over,
    kept::what_no_lease_holds_is_freed,
    kept::parents_stay_with_their_children,
    kept::labels_keep_snapshots_and_blobs,
    usage::an_active_snapshot_is_measured_now,
    usage::a_committed_snapshot_tells_what_it_took,
    root::the_root_has_mode_0755,
    root::a_view_cannot_be_written_to,
    root::snapshots_over_one_parent_are_apart,
    layer::files_of_every_sort_are_kept,
    layer::attributes_and_times_are_kept,
    layer::devices_and_owners_are_kept,
    layer::changes_lie_over_the_parent,
    layer::edits_of_the_same_size_and_second_are_kept,
    layer::a_recreated_directory_hides_the_old_one,
    layer::changed_owners_are_kept,
    layer::directory_modes_are_kept_at_commit,
    layer::deleted_files_stay_deleted,
    layer::files_of_a_lower_layer_can_be_moved,
    layer::files_can_be_renamed,
    layer::directories_can_be_renamed,
    layer::a_middle_layer_cannot_be_removed,
    layer::of_128_layers_each_shows_its_tree,
}
