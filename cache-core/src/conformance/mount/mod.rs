//! The suite for mounters.

pub mod access;
pub mod bind;
pub mod lifetime;
pub mod overlay;

use std::any::Any;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use crate::conformance::tree::{Change, Ticks, apply};
use crate::conformance::{Outcome, Unmet};
use crate::ports::{Access, Mount, MountKind, MountedTree, Mounter};

/// A mounter and a directory for what it mounts.
#[derive(Debug)]
pub struct MountSubject {
    mounter: Arc<dyn Mounter>,
    scratch: PathBuf,
    _keep: Option<Box<dyn Any + Send + Sync>>,
}

impl MountSubject {
    /// `mounter`, and `scratch`, an empty directory on a file system that can hold layers of overlayfs.
    pub fn new(mounter: Arc<dyn Mounter>, scratch: impl Into<PathBuf>) -> Self {
        Self { mounter, scratch: scratch.into(), _keep: None }
    }

    /// The same, holding `keep` (a temporary directory) until the check has ended.
    #[must_use]
    pub fn keeping(mut self, keep: impl Any + Send + Sync) -> Self {
        self._keep = Some(Box::new(keep));
        self
    }

    /// A directory of its own, in which `changes` were made.
    fn directory(&self, name: &str, changes: &[Change]) -> Result<PathBuf, Unmet> {
        let path = self.scratch.join(name);
        fs::create_dir(&path)?;
        apply(&path, changes, &mut Ticks::default())?;
        Ok(path)
    }

    async fn mount(&self, mounts: &[Mount], access: Access) -> Result<Arc<dyn MountedTree>, Unmet> {
        Ok(self.mounter.mount(mounts, access).await?)
    }
}

/// A bind mount of `source`.
fn bind(source: impl Into<PathBuf>, option: &str) -> Mount {
    Mount { kind: MountKind::Bind, source: source.into(), options: vec!["rbind".to_owned(), option.to_owned()] }
}

/// Makes a few changes that a writable tree takes and a read-only one refuses.
fn write(tree: &dyn MountedTree, name: &str) -> std::io::Result<()> {
    let changes = [
        Change::file(name, "content", 0o644),
        Change::directory(&format!("{name}.d"), 0o755),
        Change::mode(name, 0o600),
    ];
    apply(&tree.path(), &changes, &mut Ticks::default())
}

/// Requires that a tree refuses changes of every sort. `file` is one that it has.
fn refuses(tree: &dyn MountedTree, file: &str) -> Outcome {
    let changes = [
        Change::file("new", "", 0o644),
        Change::directory("new.d", 0o755),
        Change::file(file, "other", 0o644),
        Change::mode(file, 0o600),
        Change::time(file, 1, 1),
        Change::rename(file, "renamed"),
        Change::hard_link("linked", file),
        Change::remove(file),
    ];
    for change in changes {
        let made = apply(&tree.path(), std::slice::from_ref(&change), &mut Ticks::default());
        super::require::require(made.is_err(), &format!("a read-only tree refuses {change:?}"))?;
    }
    Ok(())
}

suite! {
    ($)
    /// One `#[test]` for every check of [`conformance::mount`](crate::conformance::mount), each on a fresh subject of
    /// the given factory.
    mount_conformance, mount, MountSubject;
    bind::a_directory_is_shown_as_it_is,
    bind::what_is_written_is_in_the_directory,
    bind::a_missing_directory_is_refused,
    bind::handle_and_path_lead_to_the_same_root,
    bind::no_mounts_are_an_empty_tree,
    bind::unknown_kinds_are_unsupported,
    access::read_only_access_changes_nothing,
    access::a_read_only_mount_is_never_written_to,
    lifetime::trees_stand_beside_each_other,
    lifetime::a_tree_lives_as_long_as_a_handle_of_it,
    lifetime::nobody_else_sees_a_mount,
    lifetime::mounting_can_be_repeated,
    overlay::upper_lies_over_lower,
    overlay::changes_go_to_the_upper_directory,
    overlay::lower_directories_alone_are_read_only,
}
