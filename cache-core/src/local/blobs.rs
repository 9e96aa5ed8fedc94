//! Committed blobs.

use std::fs::File;
use std::io;
use std::path::PathBuf;

use rusqlite::{Connection, OptionalExtension, params};

use crate::digest::Digest;
use crate::error::{Error, ErrorKind, Result};
use crate::labels::{LabelChange, Labels};
use crate::local::database::Durability;
use crate::local::labels::{self, Labelled};
use crate::local::resources;
use crate::local::sql::SqlContext;
use crate::local::store::{Store, timestamp};
use crate::local::usage;
use crate::ports::BlobInfo;

/// An open blob.
#[derive(Debug)]
pub struct BlobFile {
    /// The bytes. They stay readable when the blob is collected.
    pub file: File,
    /// Where they lie while the blob is not collected.
    pub path: PathBuf,
    /// Their length.
    pub size: u64,
}

impl Store {
    /// The disk that a blob's file takes, as du(1) counts it; nothing if there is none.
    ///
    /// # Errors
    /// The disk's failures.
    pub(super) fn blob_disk_bytes(&self, digest: &Digest) -> Result<u64> {
        match usage::of(&self.layout.blob(digest)) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(0),
            used => Ok(used?.bytes),
        }
    }

    /// Opens a blob; `None` if there is none.
    ///
    /// # Errors
    /// `Corrupt` if the blob's file was lost or has another length.
    pub fn open_blob(&self, digest: &Digest) -> Result<Option<BlobFile>> {
        let path = self.layout.blob(digest);
        let Some(size) = self.read(|transaction| size(transaction, digest))? else { return Ok(None) };
        let file = match File::open(&path) {
            Ok(file) => file,
            // Collected meanwhile, or lost.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return match self.read(|transaction| self::size(transaction, digest))? {
                    None => Ok(None),
                    Some(_) => Err(Error::new(ErrorKind::Corrupt, "open blob", digest).with_source(error)),
                };
            }
            Err(error) => return Err(Error::io("open blob", digest, error)),
        };
        let length = file.metadata().map_err(|error| Error::io("open blob", digest, error))?.len();
        if length != size {
            return Err(Error::new(ErrorKind::Corrupt, "open blob", digest)
                .with_source(format!("the file has {length} bytes, not {size}")));
        }
        Ok(Some(BlobFile { file, path, size }))
    }

    /// What is known of a blob; `None` if there is none.
    pub fn blob(&self, digest: &Digest) -> Result<Option<BlobInfo>> {
        self.read(|transaction| info(transaction, digest))
    }

    /// Changes labels key by key and gives the outcome.
    ///
    /// # Errors
    /// `NotFound` if there is no such blob; `Invalid` and `LimitExceeded` for labels that are not valid.
    pub fn change_blob_labels(&self, digest: &Digest, changes: &[LabelChange]) -> Result<BlobInfo> {
        let now = self.now();
        self.database.write(Durability::Synced, |transaction, _| {
            let updated = transaction
                .execute("UPDATE blobs SET updated_at = ?2 WHERE digest = ?1", params![digest.to_string(), now])
                .doing("change labels")?;
            if updated == 0 {
                return Err(Error::new(ErrorKind::NotFound, "change labels", digest));
            }
            labels::change(transaction, Labelled::Blob, &digest.to_string(), changes)?;
            existing(transaction, digest)
        })
    }

    /// At most `limit` blobs, those after `after` in the order of their digests' text.
    pub fn blobs_after(&self, after: Option<&Digest>, limit: usize) -> Result<Vec<BlobInfo>> {
        self.read(|transaction| {
            let after = after.map(Digest::to_string).unwrap_or_default();
            let mut statement =
                transaction.prepare("SELECT digest FROM blobs WHERE digest > ?1 LIMIT ?2").doing("list blobs")?;
            let digests = statement
                .query_map(params![after, i64::try_from(limit).unwrap_or(i64::MAX)], |row| row.get::<_, String>(0))
                .doing("list blobs")?;
            digests.map(|digest| existing(transaction, &resources::digest(&digest.doing("list blobs")?)?)).collect()
        })
    }

    /// Every blob.
    pub fn blobs(&self) -> Result<Vec<BlobInfo>> {
        self.blobs_after(None, usize::MAX)
    }
}

pub(super) fn size(transaction: &Connection, digest: &Digest) -> Result<Option<u64>> {
    let size = transaction
        .query_row("SELECT size FROM blobs WHERE digest = ?1", [digest.to_string()], |row| row.get::<_, i64>(0))
        .optional()
        .doing("read blob")?;
    Ok(size.map(i64::unsigned_abs))
}

pub(super) fn info(transaction: &Connection, digest: &Digest) -> Result<Option<BlobInfo>> {
    let text = digest.to_string();
    let row = transaction
        .query_row("SELECT size, created_at, updated_at FROM blobs WHERE digest = ?1", [&text], |row| {
            Ok((row.get::<_, i64>(0)?, row.get(1)?, row.get(2)?))
        })
        .optional()
        .doing("read blob")?;
    let Some((size, created_at, updated_at)) = row else { return Ok(None) };
    Ok(Some(BlobInfo {
        digest: *digest,
        size: size.unsigned_abs(),
        created_at: timestamp(created_at),
        updated_at: timestamp(updated_at),
        labels: labels::get(transaction, Labelled::Blob, &text)?,
    }))
}

/// What is known of a blob that this transaction has just seen.
pub(super) fn existing(transaction: &Connection, digest: &Digest) -> Result<BlobInfo> {
    info(transaction, digest)?.ok_or_else(|| Error::new(ErrorKind::NotFound, "read blob", digest))
}

pub(super) fn insert(transaction: &Connection, digest: &Digest, size: u64, labels: &Labels, now: i64) -> Result<()> {
    let size =
        i64::try_from(size).map_err(|_| Error::new(ErrorKind::LimitExceeded, "commit blob (2^63 bytes)", digest))?;
    let text = digest.to_string();
    transaction.execute("INSERT INTO blobs VALUES (?1, ?2, ?3, ?3)", params![text, size, now]).doing("commit blob")?;
    labels::replace(transaction, Labelled::Blob, &text, labels)
}
