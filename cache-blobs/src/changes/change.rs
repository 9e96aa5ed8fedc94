//! One difference between two trees.

use std::sync::Arc;

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
    /// The directory that it is or was in; `None` below the root.
    pub(crate) parent: Option<Arc<Parent>>,
}

/// A directory that holds a change, as it was found on the way to that, so that nobody looks at it again.
#[derive(Debug)]
pub(crate) struct Parent {
    pub(crate) entry: TreeEntry,
    /// The one above it; `None` below the root.
    pub(crate) parent: Option<Arc<Parent>>,
}

impl Change {
    pub(super) fn deleted(path: Vec<u8>, parent: Option<Arc<Parent>>) -> Self {
        Self { kind: ChangeKind::Delete, path, entry: None, parent }
    }

    pub(super) fn present(kind: ChangeKind, path: Vec<u8>, entry: TreeEntry, parent: Option<Arc<Parent>>) -> Self {
        Self { kind, path, entry: Some(entry), parent }
    }
}
