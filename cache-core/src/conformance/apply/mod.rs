//! The suite for appliers.

pub mod change;
pub mod contained;
pub mod files;
pub mod refusal;
pub mod stream;

use std::any::Any;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;

use crate::conformance::Unmet;
use crate::conformance::tree::{Archive, Change};
use crate::descriptor::Descriptor;
use crate::error::Result;
use crate::media_type::MediaType;
use crate::ports::{Applied, Applier, ApplyOptions, ApplySource, ContentStore, LeaseManager, Mount, MountKind};

/// An applier and a place for what it unpacks.
#[derive(Debug)]
pub struct ApplySubject {
    applier: Arc<dyn Applier>,
    scratch: PathBuf,
    content: Option<(Arc<dyn ContentStore>, Arc<dyn LeaseManager>)>,
    _keep: Option<Box<dyn Any + Send + Sync>>,
}

impl ApplySubject {
    /// `applier`, and `scratch`, an empty directory on a file system with extended attributes. Layers are unpacked into
    /// directories there, given as bind mounts.
    pub fn new(applier: Arc<dyn Applier>, scratch: impl Into<PathBuf>) -> Self {
        Self { applier, scratch: scratch.into(), content: None, _keep: None }
    }

    /// The same, with the content store whose committed blobs it unpacks and the manager of that store's leases.
    #[must_use]
    pub fn with_content(mut self, content: Arc<dyn ContentStore>, leases: Arc<dyn LeaseManager>) -> Self {
        self.content = Some((content, leases));
        self
    }

    /// The same, holding `keep` (a temporary directory) until the check has ended.
    #[must_use]
    pub fn keeping(mut self, keep: impl Any + Send + Sync) -> Self {
        self._keep = Some(Box::new(keep));
        self
    }

    fn directory(&self, name: &str) -> Result<PathBuf, Unmet> {
        let path = self.scratch.join(name);
        fs::create_dir(&path)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
        Ok(path)
    }

    /// Unpacks an uncompressed layer.
    async fn apply(&self, root: &Path, tar: &Bytes) -> Result<Applied> {
        let descriptor = Descriptor::of(MediaType::OCI_LAYER, tar);
        self.apply_as(root, tar, &descriptor, &ApplyOptions::default()).await
    }

    /// Unpacks `blob`, which is said to be `descriptor`.
    async fn apply_as(
        &self,
        root: &Path,
        blob: &Bytes,
        descriptor: &Descriptor,
        options: &ApplyOptions,
    ) -> Result<Applied> {
        let source = ApplySource::Reader(Box::new(blob.clone()));
        self.applier.apply(descriptor, source, &[bind(root)], options).await
    }
}

/// A writable bind mount of `root`.
fn bind(root: &Path) -> Mount {
    let options = vec!["rbind".to_owned(), "rw".to_owned()];
    Mount { kind: MountKind::Bind, source: root.to_owned(), options }
}

/// The tar of a layer with a few files.
fn small_layer() -> Archive {
    Archive::of(&[Change::directory("d", 0o755), Change::file("d/f", "content", 0o644), Change::symlink("l", "d/f")])
}

suite! {
    ($)
    /// One `#[test]` for every check of [`conformance::apply`](crate::conformance::apply), each on a fresh subject of
    /// the given factory.
    apply_conformance, apply, ApplySubject;
    files::files_of_every_sort_are_made,
    files::devices_and_owners_are_made,
    files::names_may_be_long_or_odd,
    files::missing_parents_are_made,
    change::a_layer_lies_over_what_is_there,
    change::whiteouts_delete,
    change::an_opaque_directory_shows_its_own_layer_alone,
    change::a_file_of_another_sort_replaces,
    stream::the_diff_id_is_that_of_the_whole_stream,
    stream::every_compression_gives_the_same_files,
    stream::a_committed_blob_is_unpacked,
    refusal::a_missing_blob_is_not_found,
    refusal::another_blob_is_corrupt,
    refusal::another_diff_id_is_corrupt,
    refusal::a_truncated_layer_is_corrupt,
    refusal::what_is_no_layer_is_corrupt,
    contained::nothing_outside_is_touched,
    contained::links_stay_inside,
    contained::whiteouts_without_a_name_are_corrupt,
}
