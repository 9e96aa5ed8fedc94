//! Where things lie in the store's directory.

use std::path::{Path, PathBuf};

use crate::digest::{Algorithm, Digest};

/// The names below the store's directory.
#[derive(Clone, Debug)]
pub(super) struct Layout {
    root: PathBuf,
}

impl Layout {
    pub(super) fn new(root: PathBuf) -> Self {
        Self { root }
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    pub(super) fn database(&self) -> PathBuf {
        self.root.join("cache.db")
    }

    pub(super) fn writer_lock(&self) -> PathBuf {
        self.root.join("writer.lock")
    }

    /// Held alone by whoever looks how a named lock is held.
    pub(super) fn look_lock(&self) -> PathBuf {
        self.root.join("look.lock")
    }

    pub(super) fn reserve(&self) -> PathBuf {
        self.root.join("reserve")
    }

    pub(super) fn blobs(&self) -> PathBuf {
        self.root.join("blobs")
    }

    pub(super) fn blobs_of(&self, algorithm: Algorithm) -> PathBuf {
        self.blobs().join(algorithm.name())
    }

    pub(super) fn blob(&self, digest: &Digest) -> PathBuf {
        self.blobs_of(digest.algorithm()).join(digest.hex())
    }

    pub(super) fn ingests(&self) -> PathBuf {
        self.root.join("ingest")
    }

    pub(super) fn ingest(&self, key: &str) -> PathBuf {
        self.ingests().join(ingest_file(key))
    }

    pub(super) fn snapshots(&self) -> PathBuf {
        self.root.join("snapshots")
    }

    pub(super) fn snapshot(&self, id: i64) -> PathBuf {
        self.snapshots().join(id.to_string())
    }

    pub(super) fn owners(&self) -> PathBuf {
        self.root.join("owners")
    }

    pub(super) fn owner_lock(&self, owner: &str) -> PathBuf {
        self.owners().join(format!("{owner}.lock"))
    }

    /// What one process works on before it gets a name that others see, and after it lost that name.
    pub(super) fn owner_scratch(&self, owner: &str) -> PathBuf {
        self.owners().join(owner)
    }

    pub(super) fn locks(&self) -> PathBuf {
        self.root.join("locks")
    }

    pub(super) fn named_lock(&self, name: &str) -> PathBuf {
        self.locks().join(Digest::of(name).hex())
    }

    /// Every directory that an open store has.
    pub(super) fn directories(&self) -> [PathBuf; 6] {
        [self.blobs(), self.blobs_of(Algorithm::Sha256), self.ingests(), self.snapshots(), self.owners(), self.locks()]
    }
}

/// Keys are the callers' and may hold anything, so the file is named after the key's SHA-256, as containerd does.
pub(super) fn ingest_file(key: &str) -> String {
    Digest::of(key).hex()
}
