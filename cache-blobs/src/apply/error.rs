//! Why a layer could not be unpacked.

use std::fmt;
use std::io;
use std::sync::Arc;

use crate::{changes, tar};

/// Failure of [`unpack`](super::unpack()). What was unpacked before stays.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The archive is unusable.
    #[error("cannot read the layer")]
    Archive(#[from] tar::Error),
    /// The archive asks for something that must not be done.
    #[error("{problem}: {}", Shown(.path))]
    Invalid {
        /// Path of the entry.
        path: Vec<u8>,
        /// What it asks for.
        problem: Problem,
    },
    /// The layer is larger than the named limit allows.
    #[error("{limit} above the limit of {maximum}: {}", Shown(.path))]
    LimitExceeded {
        /// Path of the entry.
        path: Vec<u8>,
        /// Which limit to raise.
        limit: ApplyLimit,
        /// Its current value.
        maximum: u64,
    },
    /// The file system failed.
    #[error("cannot {operation} {}", Shown(.path))]
    Io {
        /// What was tried.
        operation: Operation,
        /// Path of the entry.
        path: Vec<u8>,
        /// The system's error.
        source: Arc<io::Error>,
    },
    /// A tree that gives attributes to missing directories could not be read.
    #[error("cannot read the layers below")]
    Parents(#[from] changes::Error),
}

impl Error {
    pub(super) fn io(operation: Operation, path: &[u8], source: impl Into<io::Error>) -> Self {
        Self::Io { operation, path: path.to_vec(), source: Arc::new(source.into()) }
    }

    pub(super) fn invalid(path: &[u8], problem: Problem) -> Self {
        Self::Invalid { path: path.to_vec(), problem }
    }
}

/// What an archive must not ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// A whiteout of nothing, of its own directory or of the one above.
    #[error("invalid whiteout name")]
    WhiteoutName,
    /// An owner that the system cannot store, or that means something else to it.
    #[error("owner out of range")]
    Owner,
    /// A hard link to a directory such as `..`.
    #[error("invalid hard link target")]
    LinkTarget,
    /// Something below a file.
    #[error("a parent is not a directory")]
    ParentNotDirectory,
    /// More than 255 symbolic links on the way.
    #[error("too many symbolic links")]
    TooManyLinks,
}

/// Which of the [`ApplyLimits`](super::ApplyLimits) was exceeded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum ApplyLimit {
    /// [`ApplyLimits::entries`](super::ApplyLimits::entries).
    #[error("number of entries")]
    Entries,
    /// [`ApplyLimits::bytes`](super::ApplyLimits::bytes).
    #[error("uncompressed size")]
    Bytes,
    /// [`ApplyLimits::ratio`](super::ApplyLimits::ratio).
    #[error("ratio of compression")]
    Ratio,
    /// [`ApplyLimits::depth`](super::ApplyLimits::depth).
    #[error("depth of directories")]
    Depth,
}

/// What was tried on a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum Operation {
    /// Finding its parent directory.
    #[error("find the directory of")]
    Resolve,
    /// Creating it.
    #[error("create")]
    Create,
    /// Linking it.
    #[error("link")]
    Link,
    /// Writing its contents.
    #[error("write")]
    Write,
    /// Removing what was there before.
    #[error("remove")]
    Remove,
    /// Asking for its metadata.
    #[error("inspect")]
    Inspect,
    /// Setting its owner.
    #[error("set the owner of")]
    SetOwner,
    /// Setting its mode.
    #[error("set the mode of")]
    SetMode,
    /// Setting its times.
    #[error("set the times of")]
    SetTimes,
    /// Setting an extended attribute.
    #[error("set an attribute of")]
    SetXattr,
    /// Flushing the file system that it is on. The path is empty: it concerns all files.
    #[error("sync the file system of")]
    Sync,
}

struct Shown<'a>(&'a [u8]);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", String::from_utf8_lossy(self.0).escape_debug())
    }
}
