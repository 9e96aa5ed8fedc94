//! Connections to `cache.db`.

use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, TransactionBehavior};

use crate::error::{Error, ErrorKind, Result};
use crate::local::durable::{Disk, Step};
use crate::local::schema;
use crate::local::sql::SqlContext;

/// The first SQLite whose WAL several processes can write without the danger of corrupting it: the WAL-reset bug was fixed in
/// 3.51.3 (sqlite.org/wal.html, "The WAL-Reset Bug").
const OLDEST_SQLITE: i32 = 3_051_003;

/// How long a connection waits for a lock of SQLite's own. Writers queue before the gate, so only recovery after a crash and the
/// checkpoint of a process that closes the store are ever waited for.
const BUSY_TIMEOUT: Duration = Duration::from_secs(60);

/// Bytes to which the WAL file is cut after a checkpoint.
const WAL_BYTES: i64 = 16 * 1024 * 1024;

/// Refuses a SQLite that may not be shared.
pub(super) fn check_library(root: &Path) -> Result<()> {
    if rusqlite::version_number() >= OLDEST_SQLITE {
        return Ok(());
    }
    let version = rusqlite::version();
    Err(Error::new(ErrorKind::Unsupported, "open store", root.display())
        .with_source(format!("SQLite {version} can corrupt a database that several processes write; 3.51.3 is needed")))
}

/// Opens the database, and creates it if it is missing. Nobody else does so at the same time.
pub(super) fn open_writer(path: &Path, root: &Path, disk: &Disk) -> Result<Connection> {
    if path.exists() {
        // Read-only, so that a store of a newer release stays as it is.
        check_version(&open_reader(path)?, root)?;
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(path, flags).doing("open database")?;
    connection.busy_timeout(BUSY_TIMEOUT).doing("open database")?;
    let mode: String =
        connection.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0)).doing("open database")?;
    if mode != "wal" {
        return Err(Error::new(ErrorKind::Unsupported, "open store", root.display())
            .with_source(format!("the file system has no shared memory: journal mode {mode}")));
    }
    connection
        .execute_batch(&format!(
            "PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; PRAGMA journal_size_limit = {WAL_BYTES};"
        ))
        .doing("open database")?;
    if check_version(&connection, root)? == 0 {
        create_tables(&mut connection, disk)?;
        disk.sync_directory(root)?;
    }
    Ok(connection)
}

/// Opens the database for reading.
pub(super) fn open_reader(path: &Path) -> Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).doing("open database")?;
    connection.busy_timeout(BUSY_TIMEOUT).doing("open database")?;
    Ok(connection)
}

fn create_tables(connection: &mut Connection, disk: &Disk) -> Result<()> {
    const OPERATION: &str = "create tables";
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate).doing(OPERATION)?;
    transaction.execute_batch(schema::TABLES).doing(OPERATION)?;
    let (application, version) = (schema::APPLICATION_ID, schema::VERSION);
    transaction
        .execute_batch(&format!("PRAGMA application_id = {application}; PRAGMA user_version = {version};"))
        .doing(OPERATION)?;
    disk.before(Step::Commit { synced: true }).map_err(|error| Error::io(OPERATION, "cache.db", error))?;
    transaction.commit().doing(OPERATION)
}

/// The schema's version; zero for an empty database.
fn check_version(connection: &Connection, root: &Path) -> Result<i64> {
    let pragma = |sql| connection.query_row(sql, [], |row| row.get::<_, i64>(0)).doing("read schema version");
    let (application, version) = (pragma("PRAGMA application_id")?, pragma("PRAGMA user_version")?);
    let refuse = |why: String| Err(Error::new(ErrorKind::Unsupported, "open store", root.display()).with_source(why));
    match (application, version) {
        (schema::APPLICATION_ID, schema::VERSION) => Ok(version),
        (0, 0) => Ok(0),
        (schema::APPLICATION_ID, newer) => {
            refuse(format!("the store has schema version {newer}; this release knows up to {}", schema::VERSION))
        }
        _ => refuse("cache.db is not a database of layercache".to_owned()),
    }
}
