//! One blob on its way in.

use std::sync::{Arc, PoisonError};

use rusqlite::params;

use crate::digest::{Algorithm, Digest, DigestHasher};
use crate::error::{Error, ErrorKind, Result};
use crate::local::begin;
use crate::local::database::Durability;
use crate::local::durable::DurableFile;
use crate::local::flock;
use crate::local::sql::SqlContext;
use crate::local::store::{Store, nanoseconds};
use crate::ports::{Expected, IngestStatus};
use crate::timestamp::Timestamp;

/// Bytes that are read at a time where a file is hashed again.
const REHASH_BYTES: usize = 1024 * 1024;

/// How far a writer is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Progress {
    pub(super) offset: u64,
    pub(super) updated_at: Timestamp,
}

/// The only writer of an ingest. Dropping it gives the key free; the bytes stay for
/// [`Start::Resume`](crate::ports::Start::Resume).
#[derive(Debug)]
pub struct Ingest {
    pub(super) store: Arc<Store>,
    pub(super) lease: String,
    pub(super) file: DurableFile,
    pub(super) status: IngestStatus,
    hasher: DigestHasher,
    ended: bool,
}

impl Ingest {
    /// Takes over the first `status.offset` bytes of `file`, whose lock is held.
    pub(super) fn resume(store: Arc<Store>, lease: String, file: DurableFile, status: IngestStatus) -> Result<Self> {
        let algorithm = status.expected.digest.map_or(Algorithm::Sha256, |digest| digest.algorithm());
        let mut ingest = Self { store, lease, file, status, hasher: DigestHasher::new(algorithm), ended: false };
        ingest.hasher = ingest.hash(algorithm)?;
        ingest.file.truncate(ingest.status.offset)?;
        ingest.store.note_progress(&ingest.status);
        Ok(ingest)
    }

    /// The key, what is expected, bytes taken so far, and when.
    pub fn status(&self) -> &IngestStatus {
        &self.status
    }

    /// Adds `bytes`.
    ///
    /// # Errors
    /// `LimitExceeded` past the expected size, `NoSpace`, …; the writer is ended then, and further calls are `Invalid`.
    pub fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.write_at(bytes, self.store.clock_now())
    }

    /// The same for bytes that were taken at another time.
    pub(super) fn write_at(&mut self, bytes: &[u8], at: Timestamp) -> Result<()> {
        self.write_unhashed(bytes, at)?;
        self.hasher.update(bytes);
        Ok(())
    }

    /// The same while somebody else hashes the bytes; see [`lend_hasher`](Self::lend_hasher).
    pub(super) fn write_unhashed(&mut self, bytes: &[u8], at: Timestamp) -> Result<()> {
        self.usable("write to ingest")?;
        self.ended = true;
        let offset = self.status.offset + bytes.len() as u64;
        if self.status.expected.size.is_some_and(|size| offset > size) {
            return Err(Error::new(ErrorKind::LimitExceeded, "write to ingest (expected size)", self.target()));
        }
        self.file.append(self.status.offset, bytes)?;
        self.status.offset = offset;
        self.status.updated_at = at;
        self.store.note_progress(&self.status);
        self.ended = false;
        Ok(())
    }

    /// Gives the key free and keeps the bytes, durably.
    ///
    /// # Errors
    /// The disk's failures.
    pub fn keep(self) -> Result<()> {
        self.usable("keep ingest")?;
        self.sync()?;
        self.store.database.write(Durability::Synced, |transaction, names| {
            names.sync_later(self.file.path());
            transaction
                .execute(
                    "UPDATE ingests SET kept = ?2, updated_at = ?3 WHERE key = ?1",
                    params![self.status.key, self.status.offset as i64, nanoseconds(self.status.updated_at)],
                )
                .doing("keep ingest")?;
            Ok(())
        })
    }

    /// Drops the bytes.
    ///
    /// # Errors
    /// The disk's failures.
    pub fn abort(self) -> Result<()> {
        self.discard()
    }

    /// The hasher, for who hashes what is written until it is given back.
    pub(super) fn lend_hasher(&mut self) -> DigestHasher {
        let other = DigestHasher::new(self.hasher.algorithm());
        std::mem::replace(&mut self.hasher, other)
    }

    /// Takes the hasher back.
    pub(super) fn return_hasher(&mut self, hasher: DigestHasher) {
        self.hasher = hasher;
    }

    /// What another thread may do while bytes follow: making durable those that are written.
    pub(super) fn flush(&self) -> Result<Flush> {
        Ok(Flush { store: Arc::clone(&self.store), key: self.status.key.clone(), file: self.file.share()? })
    }

    /// The digest of the bytes so far.
    pub(super) fn digest(&self) -> Digest {
        self.hasher.clone().finish()
    }

    /// A hasher of another algorithm that has seen the bytes so far.
    pub(super) fn hash(&self, algorithm: Algorithm) -> Result<DigestHasher> {
        let mut hasher = DigestHasher::new(algorithm);
        let mut buffer = vec![0; REHASH_BYTES.min(usize::try_from(self.status.offset).unwrap_or(usize::MAX))];
        let mut position = 0;
        while position < self.status.offset {
            let wanted = buffer.len().min(usize::try_from(self.status.offset - position).unwrap_or(usize::MAX));
            let read = self.file.read_at(&mut buffer[..wanted], position)?;
            if read == 0 {
                return Err(Error::new(ErrorKind::Corrupt, "hash ingest", self.target()));
            }
            hasher.update(&buffer[..read]);
            position += read as u64;
        }
        Ok(hasher)
    }

    /// Makes the bytes durable.
    pub(super) fn sync(&self) -> Result<()> {
        sync(&self.store, &self.status.key, &self.file)
    }

    pub(super) fn usable(&self, operation: &'static str) -> Result<()> {
        if self.ended {
            return Err(Error::new(ErrorKind::Invalid, operation, self.target())
                .with_source("a write failed; begin the ingest again"));
        }
        Ok(())
    }

    pub(super) fn expected(&self) -> Expected {
        self.status.expected
    }

    pub(super) fn target(&self) -> String {
        self.status.key.escape_debug().to_string()
    }

    fn discard(&self) -> Result<()> {
        discard(&self.store, &self.status.key, &self.file)
    }
}

/// Makes the bytes durable that an ingest has by now.
#[derive(Debug)]
pub(super) struct Flush {
    store: Arc<Store>,
    key: String,
    file: DurableFile,
}

impl Flush {
    /// Does it. After a failure the ingest is gone, and its writer must not go on.
    pub(super) fn run(self) -> Result<()> {
        sync(&self.store, &self.key, &self.file)
    }
}

/// Makes the bytes of the ingest `key` durable. After a failure nobody knows which of them are, and the kernel will not tell again: the ingest
/// is dropped, lest a later attempt takes the page cache for the disk.
fn sync(store: &Store, key: &str, file: &DurableFile) -> Result<()> {
    file.sync().inspect_err(|_| {
        if let Err(error) = discard(store, key, file) {
            tracing::warn!(%error, "an ingest whose bytes may be lost could not be dropped");
        }
    })
}

fn discard(store: &Store, key: &str, file: &DurableFile) -> Result<()> {
    let mut gate = store.gate()?;
    gate.free(Durability::Ordered, |transaction, _| begin::forget(transaction, key))?;
    store.disk.remove(gate.names(), file.path()).map(drop)
}

impl Store {
    /// Notes how far the writer of an ingest is. Bytes that were taken count before they are written, so the larger offset is
    /// the true one.
    pub(super) fn note_progress(&self, status: &IngestStatus) {
        let progress = Progress { offset: status.offset, updated_at: status.updated_at };
        self.writing
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .entry(status.key.clone())
            .and_modify(|noted| {
                if noted.offset <= progress.offset {
                    *noted = progress;
                }
            })
            .or_insert(progress);
    }
}

impl Drop for Ingest {
    fn drop(&mut self) {
        self.store.writing.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.status.key);
        flock::unlock(self.file.file());
    }
}
