//! What a lease holds, as rows.

use rusqlite::{Connection, params};

use crate::digest::Digest;
use crate::error::Result;
use crate::local::sql::{SqlContext, corrupt_row};
use crate::ports::Resource;

pub(super) const CONTENT: &str = "content";
pub(super) const INGESTS: &str = "ingests";
pub(super) const IMAGES: &str = "images";
/// Followed by the snapshotter's name.
pub(super) const SNAPSHOTS: &str = "snapshots/";

/// The resource's two columns. Kinds are spelt as in containerd's API.
pub(super) fn columns(resource: &Resource) -> (String, String) {
    match resource {
        Resource::Content(digest) => (CONTENT.to_owned(), digest.to_string()),
        Resource::Ingest(key) => (INGESTS.to_owned(), key.clone()),
        Resource::Snapshot { snapshotter, key } => (format!("{SNAPSHOTS}{snapshotter}"), key.clone()),
        Resource::Image(name) => (IMAGES.to_owned(), name.clone()),
    }
}

/// The resource of two columns.
pub(super) fn resource(kind: &str, id: String) -> Result<Resource> {
    let unexpected = || corrupt_row("read resources", "resource kind");
    Ok(match kind {
        CONTENT => Resource::Content(digest(&id)?),
        INGESTS => Resource::Ingest(id),
        IMAGES => Resource::Image(id),
        kind => {
            let snapshotter = kind.strip_prefix(SNAPSHOTS).ok_or_else(unexpected)?.to_owned();
            Resource::Snapshot { snapshotter, key: id }
        }
    })
}

/// A digest that this store wrote.
pub(super) fn digest(text: &str) -> Result<Digest> {
    text.parse().map_err(|_| corrupt_row("read digest", "digest"))
}

pub(super) fn attach(transaction: &Connection, lease: &str, resource: &Resource) -> Result<()> {
    let (kind, id) = columns(resource);
    transaction
        .execute("INSERT OR IGNORE INTO resources VALUES (?1, ?2, ?3)", params![lease, kind, id])
        .doing("attach resource")?;
    Ok(())
}

pub(super) fn detach(transaction: &Connection, lease: &str, resource: &Resource) -> Result<()> {
    let (kind, id) = columns(resource);
    transaction
        .execute("DELETE FROM resources WHERE lease = ?1 AND kind = ?2 AND id = ?3", params![lease, kind, id])
        .doing("detach resource")?;
    Ok(())
}

/// Lets whoever holds `before` hold `after`, and nobody `before`.
pub(super) fn replace(transaction: &Connection, before: &Resource, after: &Resource) -> Result<()> {
    let ((old_kind, old_id), (kind, id)) = (columns(before), columns(after));
    transaction
        .execute(
            "INSERT OR IGNORE INTO resources SELECT lease, ?3, ?4 FROM resources WHERE kind = ?1 AND id = ?2",
            params![old_kind, old_id, kind, id],
        )
        .doing("replace resource")?;
    forget(transaction, before)
}

/// Lets nobody hold `resource`.
pub(super) fn forget(transaction: &Connection, resource: &Resource) -> Result<()> {
    let (kind, id) = columns(resource);
    transaction
        .execute("DELETE FROM resources WHERE kind = ?1 AND id = ?2", params![kind, id])
        .doing("forget resource")?;
    Ok(())
}

pub(super) fn list(transaction: &Connection, lease: &str) -> Result<Vec<Resource>> {
    let mut statement =
        transaction.prepare("SELECT kind, id FROM resources WHERE lease = ?1").doing("read resources")?;
    let rows = statement
        .query_map([lease], |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?)))
        .doing("read resources")?;
    rows.map(|row| row.doing("read resources").and_then(|(kind, id)| resource(&kind, id))).collect()
}
