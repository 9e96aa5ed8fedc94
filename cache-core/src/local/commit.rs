//! How an ingest becomes a blob.

use rusqlite::Connection;

use crate::digest::{Algorithm, Digest};
use crate::error::{Error, ErrorKind, Result};
use crate::labels::{Labels, validate_labels};
use crate::local::begin;
use crate::local::blobs;
use crate::local::database::Durability;
use crate::local::ingest::Ingest;
use crate::local::labels::{self, Labelled};
use crate::local::leases;
use crate::local::names::Names;
use crate::local::resources;
use crate::ports::{Committed, Resource};

impl Ingest {
    /// Makes the bytes a blob, durably, with `labels`.
    ///
    /// # Errors
    /// `Corrupt` if digest or size are not the expected ones; the bytes are dropped then if they are as many as expected.
    /// `Invalid` if the writer was ended or the lease is dead; the bytes stay for
    /// [`Start::Resume`](crate::ports::Start::Resume) then, as they do when the disk is full.
    pub fn commit(self, expected: Option<Digest>, labels: &Labels) -> Result<Committed> {
        validate_labels(labels)?;
        self.usable("commit ingest")?;
        let digest = match self.verify(expected) {
            Ok(digest) => digest,
            Err(error) => {
                if error.kind() == ErrorKind::Corrupt && self.status.is_full() {
                    self.abort()?;
                } else {
                    self.keep()?;
                }
                return Err(error);
            }
        };
        self.file.protect()?;
        self.sync()?;

        let committed = self
            .store
            .database
            .write(Durability::Synced, |connection, names| self.take_name(connection, names, &digest, labels))?;
        if let Committed::AlreadyThere(_) = committed {
            self.remove_bytes();
        }
        Ok(committed)
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
    fn take_name(&self, connection: &Connection, names: &Names, digest: &Digest, labels: &Labels) -> Result<Committed> {
        let store = &self.store;
        leases::alive(store, connection, &self.lease, "commit ingest")?;
        let is_new = blobs::size(connection, digest)?.is_none();
        if is_new {
            let directory = store.layout.blobs_of(digest.algorithm());
            if digest.algorithm() != Algorithm::Sha256 {
                // An earlier process may have died before it synced the directory's name, so this is not only for the first.
                store.disk.make_directory(&directory)?;
                store.disk.sync_directory(&store.layout.blobs())?;
            }
            // A file without a row may lie there: garbage, and of the same bytes.
            names.rename(&store.disk, self.file.path(), &store.layout.blob(digest))?;
            blobs::insert(connection, digest, self.status.offset, labels, store.now())?;
        } else {
            labels::add_missing(connection, Labelled::Blob, &digest.to_string(), labels)?;
        }
        let (ingest, content) = (Resource::Ingest(self.status.key.clone()), Resource::Content(*digest));
        resources::replace(connection, &ingest, &content)?;
        resources::attach(connection, &self.lease, &content)?;
        begin::forget(connection, &self.status.key)?;
        let info = blobs::existing(connection, digest)?;
        Ok(if is_new { Committed::New(info) } else { Committed::AlreadyThere(info) })
    }

    fn remove_bytes(&self) {
        let removed = self.store.gate().and_then(|gate| self.store.disk.remove(gate.names(), self.file.path()));
        if let Err(error) = removed {
            tracing::warn!(%error, "the bytes of a blob that was there already wait for the next collection");
        }
    }
}
