//! Metadata records as rows.

use bytes::Bytes;
use rusqlite::{Connection, OptionalExtension, params};

use crate::error::{Error, ErrorKind, Result};
use crate::local::database::Durability;
use crate::local::sql::SqlContext;
use crate::local::store::Store;
use crate::ports::{BatchOutcome, IndexEntry, IndexQuery, MetadataChange, MetadataRecord, Precondition, Uniqueness};

impl Store {
    /// The record `key`; `None` if there is none.
    pub fn record(&self, key: &str) -> Result<Option<MetadataRecord>> {
        self.read(|transaction| record(transaction, key))
    }

    /// The records that `query` finds, sorted by key.
    pub fn find_records(&self, query: &IndexQuery) -> Result<Vec<MetadataRecord>> {
        self.read(|transaction| {
            let mut keys = match query {
                IndexQuery::Exact { index, value } => exact(transaction, index, value)?,
                IndexQuery::Prefix { index, prefix } => starting_with(
                    transaction,
                    "SELECT value, key FROM record_indexes WHERE name = ?1 AND value >= ?2 ORDER BY value",
                    index,
                    prefix,
                )?,
                IndexQuery::Keys { prefix } => starting_with(
                    transaction,
                    "SELECT key, key FROM records WHERE ?1 = '' AND key >= ?2 ORDER BY key",
                    "",
                    prefix,
                )?,
            };
            keys.sort_unstable();
            keys.dedup();
            let mut records = Vec::with_capacity(keys.len());
            for key in keys {
                records.extend(record(transaction, &key)?);
            }
            Ok(records)
        })
    }

    /// Makes all `changes` in their order, or none.
    pub fn change_records(&self, changes: &[MetadataChange]) -> Result<BatchOutcome> {
        let mut refused = None;
        let mut make = |transaction: &Connection| {
            for change in changes {
                if let Step::Refused = apply(transaction, change)? {
                    refused = Some(key(change).to_owned());
                    // An error is how a transaction is rolled back; it does not leave this function.
                    return Err(Error::new(ErrorKind::Invalid, "change records", key(change).escape_debug()));
                }
            }
            Ok(BatchOutcome::Applied)
        };
        let only_frees = changes.iter().all(|change| !matches!(change, MetadataChange::Put { .. }));
        let outcome = if only_frees {
            self.database.free(Durability::Synced, make)
        } else {
            self.database.write(Durability::Synced, |connection, _| make(connection))
        };
        match refused {
            Some(key) => Ok(BatchOutcome::Refused { key }),
            None => outcome,
        }
    }
}

enum Step {
    Done,
    Refused,
}

fn key(change: &MetadataChange) -> &str {
    match change {
        MetadataChange::Put { key, .. } | MetadataChange::Delete { key, .. } | MetadataChange::Check { key, .. } => key,
    }
}

fn apply(transaction: &Connection, change: &MetadataChange) -> Result<Step> {
    let (MetadataChange::Put { key, precondition, .. }
    | MetadataChange::Delete { key, precondition }
    | MetadataChange::Check { key, precondition }) = change;
    let revision = revision(transaction, key)?;
    let holds = match precondition {
        Precondition::Any => true,
        Precondition::Absent => revision.is_none(),
        Precondition::Present => revision.is_some(),
        Precondition::Revision(wanted) => revision == Some(*wanted),
    };
    if !holds {
        return Ok(Step::Refused);
    }
    match change {
        MetadataChange::Put { key, value, indexes, .. } => put(transaction, key, value, indexes),
        MetadataChange::Delete { key, .. } => {
            transaction.execute("DELETE FROM records WHERE key = ?1", [key]).doing("delete record")?;
            Ok(Step::Done)
        }
        MetadataChange::Check { .. } => Ok(Step::Done),
    }
}

fn put(transaction: &Connection, key: &str, value: &Bytes, indexes: &[IndexEntry]) -> Result<Step> {
    transaction.execute("DELETE FROM record_indexes WHERE key = ?1", [key]).doing("write record")?;
    // One sequence for all records, so that a record that was deleted and made again never repeats a revision.
    let revision: i64 = transaction
        .query_row("UPDATE revisions SET last = last + 1 RETURNING last", [], |row| row.get(0))
        .doing("write record")?;
    transaction
        .execute(
            "INSERT INTO records VALUES (?1, ?2, ?3)
             ON CONFLICT (key) DO UPDATE SET revision = excluded.revision, value = excluded.value",
            params![key, revision, &value[..]],
        )
        .doing("write record")?;
    let mut taken = transaction
        .prepare("SELECT 1 FROM record_indexes WHERE name = ?1 AND value = ?2 AND key != ?3 AND (is_unique OR ?4)")
        .doing("write record")?;
    let mut insert =
        transaction.prepare("INSERT OR REPLACE INTO record_indexes VALUES (?1, ?2, ?3, ?4)").doing("write record")?;
    for IndexEntry { index, value, uniqueness } in indexes {
        let is_unique = *uniqueness == Uniqueness::Unique;
        if taken.exists(params![index, value, key, is_unique]).doing("write record")? {
            return Ok(Step::Refused);
        }
        insert.execute(params![index, value, key, is_unique]).doing("write record")?;
    }
    Ok(Step::Done)
}

fn revision(transaction: &Connection, key: &str) -> Result<Option<u64>> {
    let revision = transaction
        .query_row("SELECT revision FROM records WHERE key = ?1", [key], |row| row.get::<_, i64>(0))
        .optional()
        .doing("read record")?;
    Ok(revision.map(i64::unsigned_abs))
}

fn record(transaction: &Connection, key: &str) -> Result<Option<MetadataRecord>> {
    let row = transaction
        .query_row("SELECT revision, value FROM records WHERE key = ?1", [key], |row| {
            Ok((row.get::<_, i64>(0)?, row.get::<_, Vec<u8>>(1)?))
        })
        .optional()
        .doing("read record")?;
    let Some((revision, value)) = row else { return Ok(None) };
    let mut statement = transaction
        .prepare("SELECT name, value, is_unique FROM record_indexes WHERE key = ?1 ORDER BY name, value")
        .doing("read record")?;
    let indexes = statement
        .query_map([key], |row| {
            let is_unique: bool = row.get(2)?;
            let uniqueness = if is_unique { Uniqueness::Unique } else { Uniqueness::Shared };
            Ok(IndexEntry { index: row.get(0)?, value: row.get(1)?, uniqueness })
        })
        .and_then(Iterator::collect)
        .doing("read record")?;
    Ok(Some(MetadataRecord { key: key.to_owned(), value: value.into(), revision: revision.unsigned_abs(), indexes }))
}

fn exact(transaction: &Connection, index: &str, value: &str) -> Result<Vec<String>> {
    let mut statement =
        transaction.prepare("SELECT key FROM record_indexes WHERE name = ?1 AND value = ?2").doing("find records")?;
    statement.query_map([index, value], |row| row.get(0)).and_then(Iterator::collect).doing("find records")
}

/// The keys of the rows of `sql`, which are sorted by their first column, as long as that starts with `prefix`.
fn starting_with(transaction: &Connection, sql: &str, index: &str, prefix: &str) -> Result<Vec<String>> {
    let mut statement = transaction.prepare(sql).doing("find records")?;
    let mut rows = statement.query([index, prefix]).doing("find records")?;
    let mut keys = Vec::new();
    while let Some(row) = rows.next().doing("find records")? {
        let value: String = row.get(0).doing("find records")?;
        if !value.starts_with(prefix) {
            break;
        }
        keys.push(row.get(1).doing("find records")?);
    }
    Ok(keys)
}
