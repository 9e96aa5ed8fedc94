//! Labels as rows.

use rusqlite::{Connection, params};

use crate::error::Result;
use crate::labels::{LabelChange, Labels, apply_label_changes};
use crate::local::sql::SqlContext;

/// Whose labels: the `kind` column.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Labelled {
    Blob,
    Snapshot,
    Image,
    Lease,
}

impl Labelled {
    pub(super) fn column(self) -> &'static str {
        match self {
            Self::Blob => "content",
            Self::Snapshot => "snapshots",
            Self::Image => "images",
            Self::Lease => "leases",
        }
    }
}

pub(super) fn get(transaction: &Connection, kind: Labelled, id: &str) -> Result<Labels> {
    let mut statement =
        transaction.prepare("SELECT name, value FROM labels WHERE kind = ?1 AND id = ?2").doing("read labels")?;
    let rows =
        statement.query_map(params![kind.column(), id], |row| Ok((row.get(0)?, row.get(1)?))).doing("read labels")?;
    rows.collect::<rusqlite::Result<_>>().doing("read labels")
}

/// Gives the object exactly `labels`.
pub(super) fn replace(transaction: &Connection, kind: Labelled, id: &str, labels: &Labels) -> Result<()> {
    remove_all(transaction, kind, id)?;
    add_missing(transaction, kind, id, labels)
}

/// Adds those of `labels` that the object lacks.
pub(super) fn add_missing(transaction: &Connection, kind: Labelled, id: &str, labels: &Labels) -> Result<()> {
    let mut statement =
        transaction.prepare("INSERT OR IGNORE INTO labels VALUES (?1, ?2, ?3, ?4)").doing("write labels")?;
    for (name, value) in labels {
        statement.execute(params![kind.column(), id, name, value]).doing("write labels")?;
    }
    Ok(())
}

/// Applies `changes` and gives the outcome.
pub(super) fn change(transaction: &Connection, kind: Labelled, id: &str, changes: &[LabelChange]) -> Result<Labels> {
    let mut labels = get(transaction, kind, id)?;
    apply_label_changes(&mut labels, changes)?;
    replace(transaction, kind, id, &labels)?;
    Ok(labels)
}

pub(super) fn remove_all(transaction: &Connection, kind: Labelled, id: &str) -> Result<()> {
    transaction
        .prepare("DELETE FROM labels WHERE kind = ?1 AND id = ?2")
        .and_then(|mut statement| statement.execute(params![kind.column(), id]))
        .doing("remove labels")?;
    Ok(())
}
