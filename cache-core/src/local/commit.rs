//! How an ingest becomes a blob.

use rusqlite::Transaction;

use crate::digest::{Algorithm, Digest};
use crate::error::{Error, ErrorKind, Result};
use crate::labels::{Labels, validate_labels};
use crate::local::begin;
use crate::local::blobs;
use crate::local::database::{Durability, Names};
use crate::local::ingest::Ingest;
use crate::local::labels::{self, Labelled};
use crate::local::leases;
use crate::local::resources;
use crate::ports::{Committed, Resource};

/// How far a commit got before it failed.
#[derive(Clone, Copy, Default)]
struct Reached {
    /// The file got the blob's name.
    name: bool,
    /// SQLite was asked to commit.
    commit: bool,
}

impl Ingest {
    /// Makes the bytes a blob, durably, with `labels`.
    ///
    /// # Errors
    /// `Corrupt` if digest or size are not the expected ones, `Invalid` if the writer was ended or the lease is dead; the bytes
    /// stay for [`Start::Resume`](crate::ports::Start::Resume) then, as they do when the disk is full.
    pub fn commit(self, expected: Option<Digest>, labels: &Labels) -> Result<Committed> {
        validate_labels(labels)?;
        self.usable("commit ingest")?;
        let digest = match self.verify(expected) {
            Ok(digest) => digest,
            Err(error) => {
                self.keep()?;
                return Err(error);
            }
        };
        self.file.protect()?;
        self.sync()?;

        let store = &self.store;
        let mut gate = store.gate()?;
        let mut reached = Reached::default();
        let committed = gate.write(Durability::Synced, |transaction, names| {
            let committed = self.take_name(transaction, names, &digest, labels, &mut reached)?;
            reached.commit = true;
            Ok(committed)
        });
        match &committed {
            Ok(Committed::New(_)) => {}
            Ok(Committed::AlreadyThere(_)) => {
                if let Err(error) = store.disk.remove(gate.names(), self.file.path()) {
                    tracing::warn!(%error, "the bytes of a blob that was there already wait for the next collection");
                }
            }
            // After another failure of the commit itself a power cut may yet bring the row back, so the file stays with it.
            Err(error) if reached.name && (!reached.commit || error.kind() == ErrorKind::NoSpace) => {
                self.give_name_back(gate.names(), &digest);
            }
            Err(_) => {}
        }
        committed
    }

    /// The blob's name, if the bytes are what was expected.
    fn verify(&self, expected: Option<Digest>) -> Result<Digest> {
        let corrupt = |why: String| Error::new(ErrorKind::Corrupt, "commit ingest", self.target()).with_source(why);
        let (offset, length) = (self.status.offset, self.file.length()?);
        if length != offset {
            return Err(corrupt(format!("the file has {length} bytes, of which {offset} were hashed")));
        }
        if let Some(size) = self.expected().size.filter(|size| *size != offset) {
            return Err(corrupt(format!("it has {offset} bytes, not {size}")));
        }
        let mut name = self.digest();
        for wanted in [self.expected().digest, expected].into_iter().flatten() {
            let actual =
                if wanted.algorithm() == name.algorithm() { name } else { self.hash(wanted.algorithm())?.finish() };
            if actual != wanted {
                return Err(corrupt(format!("it is {actual}, not {wanted}")));
            }
            name = actual;
        }
        Ok(name)
    }

    /// The part of a commit that happens in its transaction.
    fn take_name(
        &self,
        transaction: &Transaction<'_>,
        names: &Names,
        digest: &Digest,
        labels: &Labels,
        reached: &mut Reached,
    ) -> Result<Committed> {
        let store = &self.store;
        leases::alive(store, transaction, &self.lease, "commit ingest")?;
        let is_new = blobs::size(transaction, digest)?.is_none();
        if is_new {
            let directory = store.layout.blobs_of(digest.algorithm());
            if digest.algorithm() != Algorithm::Sha256 {
                // An earlier process may have died before it synced the directory's name, so this is not only for the first.
                store.disk.make_directory(&directory)?;
                store.disk.sync_directory(&store.layout.blobs())?;
            }
            // A file without a row may lie there: garbage, and of the same bytes.
            store.disk.rename(names, self.file.path(), &store.layout.blob(digest))?;
            reached.name = true;
            store.disk.sync_directory(&directory)?;
            blobs::insert(transaction, digest, self.status.offset, labels, store.now())?;
        } else {
            labels::add_missing(transaction, Labelled::Blob, &digest.to_string(), labels)?;
        }
        let (ingest, content) = (Resource::Ingest(self.status.key.clone()), Resource::Content(*digest));
        resources::replace(transaction, &ingest, &content)?;
        resources::attach(transaction, &self.lease, &content)?;
        begin::forget(transaction, &self.status.key)?;
        let info = blobs::existing(transaction, digest)?;
        Ok(if is_new { Committed::New(info) } else { Committed::AlreadyThere(info) })
    }

    fn give_name_back(&self, names: &Names, digest: &Digest) {
        if let Err(error) = self.store.disk.rename(names, &self.store.layout.blob(digest), self.file.path()) {
            tracing::warn!(%error, "the bytes of a failed commit wait for the next collection");
        }
    }
}
