//! Why a layer could not be written.

use crate::{changes, tar};

/// Failure while a layer is written.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The tree that is packed could not be read.
    #[error("cannot read what changed")]
    Changes(#[from] changes::Error),
    /// The archive could not be written, or an entry does not fit into one.
    #[error("cannot write the layer")]
    Archive(#[from] tar::Error),
    /// An entry that no layer can hold, or not this one.
    #[error("{problem}: {}", String::from_utf8_lossy(.path).escape_debug())]
    Entry {
        /// Path of the entry.
        path: Vec<u8>,
        /// What is wrong with it.
        problem: EntryProblem,
    },
}

/// What is wrong with an entry that was added to a layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum EntryProblem {
    /// Its path is the root or has `..` in it.
    #[error("path outside of a layer")]
    Path,
    /// A component of its path starts with `.wh.`, which would make it a whiteout.
    #[error("name reserved for whiteouts")]
    Reserved,
    /// The layer has the path already.
    #[error("path added twice")]
    Duplicate,
    /// It lies below something that the layer holds and that is no directory.
    #[error("a parent is not a directory")]
    ParentNotDirectory,
    /// It is a hard link to something that the layer does not hold, or to a directory.
    #[error("hard link to nothing in the layer")]
    LinkTarget,
}
