//! One difference between two trees.

use super::TreeEntry;

/// What happened to a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ChangeKind {
    /// Nothing, but the file has other names, and one of those may have changed.
    Unmodified,
    /// It is new.
    Add,
    /// It is different.
    Modify,
    /// It is gone, together with everything below it.
    Delete,
}

/// One difference between two trees.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Change {
    /// What happened.
    pub kind: ChangeKind,
    /// Where: below the root, without a leading slash.
    pub path: Vec<u8>,
    /// What is there now; `None` after [`ChangeKind::Delete`].
    pub entry: Option<TreeEntry>,
}

impl Change {
    pub(super) fn deleted(path: Vec<u8>) -> Self {
        Self { kind: ChangeKind::Delete, path, entry: None }
    }

    pub(super) fn present(kind: ChangeKind, path: Vec<u8>, entry: TreeEntry) -> Self {
        Self { kind, path, entry: Some(entry) }
    }
}
