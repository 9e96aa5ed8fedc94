//! File trees: how checks change them and what they see in them.

mod archive;
mod change;
mod compress;
mod entries;
mod observe;

use std::path::Path;

pub(super) use archive::Archive;
pub(super) use change::{Change, Ticks, apply};
pub(super) use compress::{gzip, zstd};
pub(super) use entries::{ArchiveEntry, entries};
pub(super) use observe::{Tree, observe};

use crate::conformance::check::{Outcome, Violation};

/// Whether this process may give files away and make devices.
pub(super) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Requires that the tree at `root` is `wanted`.
#[track_caller]
pub(super) fn require_tree(root: &Path, wanted: &Tree, promise: &str) -> Outcome {
    match observe(root)?.difference(wanted) {
        None => Ok(()),
        Some(difference) => Err(Violation::new(format!("{promise}: {difference}")).into()),
    }
}
