//! Why changes could not be found.

use std::fmt;
use std::io;
use std::sync::Arc;

use crate::tar;

/// Failure while a tree is read or two trees are compared.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The file system failed.
    #[error("cannot {operation} {}", Shown(.path))]
    Io {
        /// What was tried.
        operation: Operation,
        /// Path below the tree's root.
        path: Vec<u8>,
        /// The system's error.
        source: Arc<io::Error>,
    },
    /// The file is not what it was a moment before, so somebody writes to the tree.
    #[error("{} changed while it was read", Shown(.path))]
    Changed {
        /// Path below the tree's root.
        path: Vec<u8>,
    },
    /// An overlay directory whose meaning only the kernel knows. Mount it and use the
    /// [`double_walk`](super::double_walk()) instead.
    #[error("{} uses {feature}, which only a mounted overlay can resolve", Shown(.path))]
    Unsupported {
        /// Path below the overlay's directory.
        path: Vec<u8>,
        /// The feature.
        feature: OverlayFeature,
    },
    /// A path that a tree cannot hold, such as one with `..` in it, or a hard link to nothing.
    #[error("{} cannot be part of a tree", Shown(.path))]
    Invalid {
        /// The path.
        path: Vec<u8>,
    },
    /// The archive that a tree is read from is unusable.
    #[error("cannot read a tree from an archive")]
    Archive(#[source] tar::Error),
}

impl Error {
    pub(crate) fn io(operation: Operation, path: &[u8], source: impl Into<io::Error>) -> Self {
        Self::Io { operation, path: path.to_vec(), source: Arc::new(source.into()) }
    }
}

/// What was tried on a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum Operation {
    /// Opening it.
    #[error("open")]
    Open,
    /// Reading its contents or, for a directory, its names.
    #[error("read")]
    Read,
    /// Asking for its metadata.
    #[error("inspect")]
    Inspect,
    /// Reading a symbolic link's target.
    #[error("read the link")]
    ReadLink,
    /// Reading extended attributes.
    #[error("read attributes of")]
    ReadXattrs,
}

/// A feature of overlayfs that cannot be resolved outside the kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum OverlayFeature {
    /// A directory that was renamed in place (`overlay.redirect`).
    #[error("a redirect")]
    Redirect,
    /// A file whose contents stayed in a lower layer (`overlay.metacopy`).
    #[error("a metadata-only copy")]
    Metacopy,
}

struct Shown<'a>(&'a [u8]);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "/{}", String::from_utf8_lossy(self.0).escape_debug())
    }
}
