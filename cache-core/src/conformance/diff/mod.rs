//! The suite for differs.

pub mod blob;
pub mod entry;
pub mod option;
pub mod round_trip;

use std::any::Any;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;

use crate::compression::CompressionConfig;
use crate::conformance::Unmet;
use crate::conformance::blob::{ALL, read};
use crate::conformance::require::require_some;
use crate::conformance::tree::{ArchiveEntry, Change, Ticks, apply, entries};
use crate::error::Result;
use crate::layer::Layer;
use crate::ports::{Applier, ContentStore, DiffOptions, Differ, Lease, LeaseManager, LeaseOptions, Mount, MountKind};

/// A differ, the empty content store that it commits to, and a place for trees.
#[derive(Debug)]
pub struct DiffSubject {
    differ: Arc<dyn Differ>,
    content: Arc<dyn ContentStore>,
    leases: Arc<dyn LeaseManager>,
    scratch: PathBuf,
    applier: Option<Arc<dyn Applier>>,
    _keep: Option<Box<dyn Any + Send + Sync>>,
}

impl DiffSubject {
    /// `differ`, which commits blobs to the empty `content` under leases of `leases`, and `scratch`, an empty
    /// directory. Trees are given as bind mounts of directories there.
    pub fn new(
        differ: Arc<dyn Differ>,
        content: Arc<dyn ContentStore>,
        leases: Arc<dyn LeaseManager>,
        scratch: impl Into<PathBuf>,
    ) -> Self {
        Self { differ, content, leases, scratch: scratch.into(), applier: None, _keep: None }
    }

    /// The same with an applier, which turns layers into trees again.
    #[must_use]
    pub fn with_applier(mut self, applier: Arc<dyn Applier>) -> Self {
        self.applier = Some(applier);
        self
    }

    /// The same, holding `keep` (a temporary directory) until the check has ended.
    #[must_use]
    pub fn keeping(mut self, keep: impl Any + Send + Sync) -> Self {
        self._keep = Some(Box::new(keep));
        self
    }

    async fn lease(&self) -> Result<Lease> {
        self.leases.create(LeaseOptions::default()).await
    }

    /// A new directory in which all of `changes` were made. Equal changes make equal trees, times included.
    fn tree(&self, name: &str, changes: &[&[Change]]) -> Result<PathBuf, Unmet> {
        let path = self.scratch.join(name);
        fs::create_dir(&path)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
        apply(&path, &changes.concat(), &mut Ticks::default())?;
        Ok(path)
    }

    /// The uncompressed layer that leads from the tree of `lower` to that of `lower` and then `changes`.
    async fn layer(&self, lower: &[Change], changes: &[Change]) -> Result<Layer, Unmet> {
        let (below, above) = (self.tree("lower", &[lower])?, self.tree("upper", &[lower, changes])?);
        let options = DiffOptions::new(CompressionConfig::uncompressed());
        Ok(self.differ.diff(&self.lease().await?, "layer", &[bind(&below)], &[bind(&above)], &options).await?)
    }

    /// The blob of `layer`, which must be there.
    async fn blob(&self, layer: &Layer) -> Result<Bytes, Unmet> {
        let blob = read(&*self.content, layer.descriptor.digest, ALL).await?;
        require_some(blob, "the blob of a layer is committed")
    }

    /// What is in an uncompressed layer.
    async fn entries(&self, layer: &Layer) -> Result<Vec<ArchiveEntry>, Unmet> {
        require_some(entries(&self.blob(layer).await?), "an uncompressed layer is a tar")
    }
}

/// A read-only bind mount of `root`.
fn bind(root: &Path) -> Mount {
    let options = vec!["rbind".to_owned(), "ro".to_owned()];
    Mount { kind: MountKind::Bind, source: root.to_owned(), options }
}

/// A few files, and changes to them.
fn small() -> (Vec<Change>, Vec<Change>) {
    (
        vec![
            Change::directory("d", 0o755),
            Change::file("d/f", "old", 0o644),
            Change::file("gone", "old", 0o644),
            Change::file("kept", "old", 0o644),
        ],
        vec![Change::file("d/f", "new content", 0o644), Change::remove("gone"), Change::file("new", "new", 0o755)],
    )
}

suite! {
    ($)
    /// One `#[test]` for every check of [`conformance::diff`](crate::conformance::diff), each on a fresh subject of the
    /// given factory.
    diff_conformance, diff, DiffSubject;
    blob::an_uncompressed_layer_is_its_own_diff_id,
    blob::every_compression_has_the_same_diff_id,
    blob::the_lease_holds_the_blob,
    blob::a_dead_lease_is_invalid,
    blob::equal_trees_make_equal_layers,
    blob::a_failed_diff_leaves_nothing_visible,
    option::what_is_not_supported_is_refused,
    option::an_epoch_bounds_times,
    option::a_level_keeps_the_diff_id,
    option::variants_are_linked_to_the_layer,
    entry::no_change_is_no_entry,
    entry::from_nothing_everything_is_new,
    entry::to_nothing_everything_is_deleted,
    entry::parents_come_before_their_children,
    entry::linked_files_name_their_first_name,
    entry::a_changed_mode_is_one_entry,
    entry::unchanged_links_are_no_entries,
    entry::links_of_a_changed_parent_are_whole,
    entry::whiteouts_come_after_their_parents,
    entry::a_removed_directory_is_one_whiteout,
    entry::sockets_are_left_out,
    entry::owners_are_numbers,
    round_trip::basic_changes_come_back,
    round_trip::deletions_come_back,
    round_trip::updates_come_back,
    round_trip::directory_modes_come_back,
    round_trip::modes_of_parents_come_back,
    round_trip::unchanged_links_come_back,
    round_trip::links_before_unchanged_files_come_back,
    round_trip::links_before_changed_files_come_back,
    round_trip::every_compression_comes_back,
}
