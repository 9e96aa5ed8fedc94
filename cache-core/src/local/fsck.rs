//! Whether rows, files and bytes agree.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::PathBuf;

use rusqlite::Connection;

use crate::digest::{Algorithm, Digest, DigestHasher};
use crate::error::{Error, Result};
use crate::local::database::Durability;
use crate::local::labels::{self, Labelled};
use crate::local::resources;
use crate::local::sql::SqlContext;
use crate::local::store::Store;
use crate::local::sweep::{Extent, names};
use crate::ports::Resource;

/// Bytes that are hashed at a time.
const HASH_BYTES: usize = 1024 * 1024;

/// How far a check goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Depth {
    /// Rows, files and lengths.
    #[default]
    Names,
    /// Every byte of every blob too.
    Bytes,
}

/// What is done about damage.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Repair {
    /// Nothing.
    #[default]
    Report,
    /// Lost and altered blobs are forgotten, so that they are fetched or made again.
    Forget,
}

/// What should not be.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Damage {
    /// SQLite finds its file inconsistent.
    Database(String),
    /// A blob has no file.
    LostBlob(Digest),
    /// A blob's file has another length.
    WrongLength(Digest),
    /// A blob's file has other bytes.
    WrongBytes(Digest),
    /// A snapshot has no directory, although its snapshotter gave it one.
    LostSnapshot {
        /// The snapshotter.
        snapshotter: String,
        /// The snapshot's key.
        key: String,
    },
}

/// What the next collection removes, or what names nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Garbage {
    /// A file or directory without a row.
    Name(PathBuf),
    /// A lease holds a blob, an ingest or a snapshot that is not there. That may be intended: a lease can hold what is yet to come.
    Dangling {
        /// The lease.
        lease: String,
        /// What it holds.
        resource: Resource,
    },
}

/// What a check found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CheckReport {
    /// What should not be.
    pub damage: Vec<Damage>,
    /// What is harmless.
    pub garbage: Vec<Garbage>,
}

impl Store {
    /// Compares rows, files and, if asked, bytes, while others use the store.
    ///
    /// # Errors
    /// The disk's and the database's failures.
    pub fn check(&self, depth: Depth, repair: Repair) -> Result<CheckReport> {
        let mut report = CheckReport::default();
        let mut gate = self.gate()?;
        gate.read(|transaction| {
            self.check_database(transaction, &mut report)?;
            self.check_blob_files(transaction, &mut report)?;
            self.check_snapshots(transaction, &mut report)?;
            self.check_leases(transaction, &mut report)
        })?;
        drop(gate);
        report.garbage.extend(self.garbage()?.into_iter().map(Garbage::Name));
        if depth == Depth::Bytes {
            self.check_bytes(&mut report)?;
        }
        if repair == Repair::Forget {
            self.forget_damaged(&report.damage)?;
        }
        Ok(report)
    }

    fn check_database(&self, transaction: &Connection, report: &mut CheckReport) -> Result<()> {
        for pragma in ["PRAGMA integrity_check", "PRAGMA foreign_key_check"] {
            let mut statement = transaction.prepare(pragma).doing("check database")?;
            let mut rows = statement.query([]).doing("check database")?;
            while let Some(row) = rows.next().doing("check database")? {
                let finding: String = row.get(0).doing("check database")?;
                if finding != "ok" {
                    report.damage.push(Damage::Database(finding));
                }
            }
        }
        Ok(())
    }

    fn check_blob_files(&self, transaction: &Connection, report: &mut CheckReport) -> Result<()> {
        let mut statement = transaction.prepare("SELECT digest, size FROM blobs").doing("check blobs")?;
        let mut rows = statement.query([]).doing("check blobs")?;
        while let Some(row) = rows.next().doing("check blobs")? {
            let digest = resources::digest(&row.get::<_, String>(0).doing("check blobs")?)?;
            let size = row.get::<_, i64>(1).doing("check blobs")?.unsigned_abs();
            let path = self.layout.blob(&digest);
            match fs::symlink_metadata(&path) {
                Ok(metadata) if metadata.is_file() && metadata.len() == size => {}
                Ok(_) => report.damage.push(Damage::WrongLength(digest)),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    report.damage.push(Damage::LostBlob(digest));
                }
                Err(error) => return Err(Error::io("check blob", path.display(), error)),
            }
        }
        Ok(())
    }

    fn check_snapshots(&self, transaction: &Connection, report: &mut CheckReport) -> Result<()> {
        let mut statement = transaction
            .prepare("SELECT id, snapshotter, key FROM snapshots WHERE has_directory")
            .doing("check snapshots")?;
        let mut rows = statement.query([]).doing("check snapshots")?;
        while let Some(row) = rows.next().doing("check snapshots")? {
            let path = self.layout.snapshot(row.get(0).doing("check snapshots")?);
            if !path.is_dir() {
                let snapshotter = row.get(1).doing("check snapshots")?;
                let key = row.get(2).doing("check snapshots")?;
                report.damage.push(Damage::LostSnapshot { snapshotter, key });
            }
        }
        Ok(())
    }

    fn check_leases(&self, transaction: &Connection, report: &mut CheckReport) -> Result<()> {
        let mut statement = transaction
            .prepare(
                "SELECT lease, kind, id FROM resources WHERE CASE
                     WHEN kind = 'content' THEN id NOT IN (SELECT digest FROM blobs)
                     WHEN kind = 'ingests' THEN id NOT IN (SELECT key FROM ingests)
                     WHEN kind = 'images' THEN id NOT IN (SELECT name FROM images)
                     ELSE NOT EXISTS (SELECT 1 FROM snapshots
                         WHERE resources.kind = 'snapshots/' || snapshotter AND resources.id = key)
                 END",
            )
            .doing("check leases")?;
        let mut rows = statement.query([]).doing("check leases")?;
        while let Some(row) = rows.next().doing("check leases")? {
            let kind: String = row.get(1).doing("check leases")?;
            let resource = resources::resource(&kind, row.get(2).doing("check leases")?)?;
            report.garbage.push(Garbage::Dangling { lease: row.get(0).doing("check leases")?, resource });
        }
        Ok(())
    }

    fn check_bytes(&self, report: &mut CheckReport) -> Result<()> {
        for algorithm in Algorithm::ALL {
            for name in names(&self.layout.blobs_of(algorithm))? {
                let Ok(digest) = format!("{algorithm}:{name}").parse::<Digest>() else { continue };
                // A blob that was collected meanwhile is none; lost ones were reported.
                let Ok(Some(blob)) = self.open_blob(&digest) else { continue };
                let actual =
                    hash(blob.file, algorithm).map_err(|error| Error::io("check blob", blob.path.display(), error))?;
                if actual != digest {
                    report.damage.push(Damage::WrongBytes(digest));
                }
            }
        }
        Ok(())
    }

    fn forget_damaged(&self, damage: &[Damage]) -> Result<()> {
        self.database.free(Durability::Synced, |transaction| {
            for damage in damage {
                if let Damage::LostBlob(digest) | Damage::WrongLength(digest) | Damage::WrongBytes(digest) = damage {
                    let text = digest.to_string();
                    transaction.execute("DELETE FROM blobs WHERE digest = ?1", [&text]).doing("repair")?;
                    labels::remove_all(transaction, Labelled::Blob, &text)?;
                }
            }
            Ok(())
        })?;
        if damage.is_empty() { Ok(()) } else { self.sweep(Extent::Everything, &mut Default::default()) }
    }
}

fn hash(mut file: File, algorithm: Algorithm) -> io::Result<Digest> {
    let mut hasher = DigestHasher::new(algorithm);
    let mut buffer = vec![0; HASH_BYTES];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(hasher.finish()),
            read => hasher.update(&buffer[..read]),
        }
    }
}
