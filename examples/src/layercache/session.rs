//! The opened store of one run of the tool.

use std::num::NonZeroUsize;
use std::path::Path;

use cache_blobs::embedded::{Embedded, EmbeddedOptions, SnapshotterChoice};
use cache_core::local::IfMissing;
use pollster::block_on;

use crate::args;
use crate::failure::Failure;

impl From<args::SnapshotterChoice> for SnapshotterChoice {
    fn from(choice: args::SnapshotterChoice) -> Self {
        match choice {
            args::SnapshotterChoice::Auto => Self::Auto,
            args::SnapshotterChoice::Overlayfs => Self::Overlayfs,
            args::SnapshotterChoice::Native => Self::Native,
        }
    }
}

/// Opens the store in `directory`.
pub(crate) fn open(directory: &Path) -> Result<Embedded, Failure> {
    open_with(directory, EmbeddedOptions::default())
}

/// Opens the store in `directory`, which is there: a mistyped name must not become an empty store.
pub(crate) fn open_existing(directory: &Path) -> Result<Embedded, Failure> {
    open_with(directory, EmbeddedOptions::default().with_if_missing(IfMissing::Fail))
}

/// Opens the store in `directory` with `options`.
pub(crate) fn open_with(directory: &Path, options: EmbeddedOptions) -> Result<Embedded, Failure> {
    block_on(Embedded::open(directory, options))
        .map_err(|error| Failure::while_doing(format!("open the store {}", directory.display()), error))
}

/// The options of packing that `--threads` and `--memory` give.
pub(crate) fn packing(threads: Option<usize>, memory: Option<usize>) -> Result<EmbeddedOptions, Failure> {
    let mut options = EmbeddedOptions::default();
    if let Some(threads) = threads {
        let threads = NonZeroUsize::new(threads).ok_or_else(|| Failure::usage("--threads must not be 0"))?;
        options = options.with_workers(threads);
    }
    if let Some(bytes) = memory {
        options = options.with_memory_bytes(bytes as u64);
    }
    Ok(options)
}
