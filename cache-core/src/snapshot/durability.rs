//! What a commit promises about the files of a snapshot.

use std::fs::File;
use std::path::Path;

use crate::error::{Error, Result};

/// Whether a committed snapshot survives a power cut.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Durability {
    /// Its files are on the disk before its row says that it is committed. The whole file system is flushed (syncfs), which is
    /// one journal commit plus everything dirty on it, other programs' writes included: on an idle disk the time that the
    /// layer's own bytes need, on a busy one more. containerd leaves this out.
    #[default]
    Synced,
    /// The kernel writes the files when it likes, usually within 30 seconds. A power cut before that can leave a committed
    /// snapshot with empty or missing files that nobody notices; a killed process cannot. For stores that can be thrown away.
    Relaxed,
}

impl Durability {
    /// Does what is promised for everything on the file system of `directory`.
    pub(super) fn apply(self, directory: &Path) -> Result<()> {
        match self {
            Self::Relaxed => Ok(()),
            Self::Synced => File::open(directory)
                .and_then(|file| rustix::fs::syncfs(&file).map_err(Into::into))
                .map_err(|error| Error::io("sync file system", directory.display(), error)),
        }
    }
}
