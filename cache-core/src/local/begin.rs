//! How ingests begin.

use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension, Row, params};
use rustix::fs::FlockOperation;

use crate::error::{Error, ErrorKind, Result};
use crate::local::blobs;
use crate::local::database::Durability;
use crate::local::durable::DurableFile;
use crate::local::flock;
use crate::local::ingest::Ingest;
use crate::local::layout::ingest_file;
use crate::local::leases;
use crate::local::resources;
use crate::local::sql::SqlContext;
use crate::local::store::{Store, timestamp};
use crate::ports::{BlobInfo, Expected, IngestStatus, Resource, Start};

/// How an ingest began.
#[derive(Debug)]
pub enum BegunIngest {
    /// The store has the expected blob; the lease holds it now.
    AlreadyThere(BlobInfo),
    /// Write to it.
    Started(Box<Ingest>),
}

impl Store {
    /// Begins the ingest `key`, or answers that the expected blob is there. `lease` holds the outcome.
    ///
    /// # Errors
    /// `Busy` while another writer has the key; `Invalid` for an empty key or a dead lease.
    pub fn begin(self: &Arc<Self>, lease: &str, key: &str, expected: Expected, start: Start) -> Result<BegunIngest> {
        if key.is_empty() {
            return Err(Error::new(ErrorKind::Invalid, "begin ingest", "the empty key"));
        }
        if let Some(info) = self.hold_existing(lease, expected)? {
            return Ok(BegunIngest::AlreadyThere(info));
        }
        let now = self.now();
        // Nothing is lost with an ingest that a power cut takes back.
        let (file, row) = self.database.write(Durability::Ordered, |transaction, names| {
            leases::alive(self, transaction, lease, "begin ingest")?;
            let mut file = self.disk.create(names, &self.layout.ingest(key))?;
            if !flock::try_lock(file.file(), FlockOperation::NonBlockingLockExclusive, file.path())? {
                return Err(Error::new(ErrorKind::Busy, "begin ingest", key.escape_debug()));
            }
            let row = match row(transaction, key)? {
                Some(row) if start == Start::Resume && row.expected == expected => row,
                _ => {
                    file.truncate(0)?;
                    IngestRow { key: key.to_owned(), expected, kept: 0, started_at: now, updated_at: now }
                }
            };
            row.write(transaction, self.owner.id())?;
            resources::attach(transaction, lease, &Resource::Ingest(key.to_owned()))?;
            Ok((file, row))
        })?;
        let offset = row.resumed_length(&file)?;
        let status = row.into_status(offset);
        Ingest::resume(Arc::clone(self), lease.to_owned(), file, status)
            .map(|ingest| BegunIngest::Started(Box::new(ingest)))
    }

    /// Lets `lease` hold the expected blob, if the store has it.
    fn hold_existing(&self, lease: &str, expected: Expected) -> Result<Option<BlobInfo>> {
        let Some(digest) = expected.digest else { return Ok(None) };
        if self.read(|transaction| blobs::size(transaction, &digest))?.is_none() {
            return Ok(None);
        }
        self.database.write(self.lease_durability(lease)?, |transaction, _| {
            leases::alive(self, transaction, lease, "begin ingest")?;
            let Some(info) = blobs::info(transaction, &digest)? else { return Ok(None) };
            if expected.size.is_some_and(|size| size != info.size) {
                return Ok(None);
            }
            resources::attach(transaction, lease, &Resource::Content(digest))?;
            Ok(Some(info))
        })
    }

    /// Every ingest that is kept or under way.
    pub fn ingests(&self) -> Result<Vec<IngestStatus>> {
        let rows: Vec<IngestRow> = self.read(|transaction| {
            let mut statement = transaction.prepare(&select("")).doing("list ingests")?;
            let rows = statement.query_map([], IngestRow::read).doing("list ingests")?;
            rows.map(|row| row.doing("list ingests")?.parse()).collect()
        })?;
        let writing = self.writing.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone();
        Ok(rows
            .into_iter()
            .map(|row| match writing.get(&row.key) {
                Some(progress) => IngestStatus { updated_at: progress.updated_at, ..row.into_status(progress.offset) },
                None => {
                    let length = std::fs::metadata(self.layout.ingest(&row.key)).map_or(0, |metadata| metadata.len());
                    row.into_status(length)
                }
            })
            .collect())
    }

    /// Drops what the ingest `key` kept; whether there was one.
    ///
    /// # Errors
    /// `Busy` while a writer has the key.
    pub fn abort_ingest(&self, key: &str) -> Result<bool> {
        let mut gate = self.gate()?;
        let Some(_) = gate.read(|transaction| row(transaction, key))? else { return Ok(false) };
        let file = self.disk.create(gate.names(), &self.layout.ingest(key))?;
        if !flock::try_lock(file.file(), FlockOperation::NonBlockingLockExclusive, file.path())? {
            return Err(Error::new(ErrorKind::Busy, "abort ingest", key.escape_debug()));
        }
        gate.free(Durability::Ordered, |transaction, _| forget(transaction, key))?;
        let removed = self.disk.remove(gate.names(), file.path());
        flock::unlock(file.file());
        removed.map(|_| true)
    }
}

/// Forgets the ingest `key` and lets nobody hold it.
pub(super) fn forget(transaction: &Connection, key: &str) -> Result<()> {
    transaction.execute("DELETE FROM ingests WHERE key = ?1", [key]).doing("forget ingest")?;
    resources::forget(transaction, &Resource::Ingest(key.to_owned()))
}

/// An ingest as it is stored.
pub(super) struct IngestRow {
    pub(super) key: String,
    pub(super) expected: Expected,
    /// Bytes that are known to be on the disk.
    kept: u64,
    started_at: i64,
    updated_at: i64,
}

type Columns = (String, Option<String>, Option<i64>, i64, i64, i64);

/// A row before its digest is parsed.
pub(super) struct Unparsed(Columns);

impl Unparsed {
    pub(super) fn parse(self) -> Result<IngestRow> {
        let (key, digest, size, kept, started_at, updated_at) = self.0;
        let digest = digest.as_deref().map(resources::digest).transpose()?;
        let expected = Expected { digest, size: size.map(i64::unsigned_abs) };
        Ok(IngestRow { key, expected, kept: kept.unsigned_abs(), started_at, updated_at })
    }
}

impl IngestRow {
    pub(super) fn read(row: &Row<'_>) -> rusqlite::Result<Unparsed> {
        Ok(Unparsed((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?, row.get(5)?)))
    }

    fn write(&self, transaction: &Connection, owner: &str) -> Result<()> {
        let size =
            self.expected.size.map(i64::try_from).transpose().map_err(|_| {
                Error::new(ErrorKind::LimitExceeded, "begin ingest (2^63 bytes)", self.key.escape_debug())
            })?;
        transaction
            .execute(
                "INSERT OR REPLACE INTO ingests
                 (key, file, owner, expected_digest, expected_size, kept, started_at, updated_at)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
                params![
                    self.key,
                    ingest_file(&self.key),
                    owner,
                    self.expected.digest.map(|digest| digest.to_string()),
                    size,
                    self.kept as i64,
                    self.started_at,
                    self.updated_at
                ],
            )
            .doing("begin ingest")?;
        Ok(())
    }

    /// How many of the file's bytes are resumed. A power cut may have left others in place of those that were not kept; where
    /// a digest is expected, that comes out at the commit, else only kept bytes are trusted.
    fn resumed_length(&self, file: &DurableFile) -> Result<u64> {
        let length = file.length()?;
        Ok(if self.expected.digest.is_some() { length } else { length.min(self.kept) })
    }

    fn into_status(self, offset: u64) -> IngestStatus {
        IngestStatus {
            key: self.key,
            offset,
            expected: self.expected,
            started_at: timestamp(self.started_at),
            updated_at: timestamp(self.updated_at),
        }
    }
}

pub(super) fn select(condition: &str) -> String {
    format!("SELECT key, expected_digest, expected_size, kept, started_at, updated_at FROM ingests {condition}")
}

fn row(transaction: &Connection, key: &str) -> Result<Option<IngestRow>> {
    transaction
        .query_row(&select("WHERE key = ?1"), [key], IngestRow::read)
        .optional()
        .doing("read ingest")?
        .map(Unparsed::parse)
        .transpose()
}
