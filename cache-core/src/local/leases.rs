//! Leases as rows.

use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::error::{Error, ErrorKind, Result};
use crate::labels::validate_labels;
use crate::local::database::Durability;
use crate::local::labels::{self, Labelled};
use crate::local::resources;
use crate::local::sql::{SqlContext, corrupt_row};
use crate::local::store::{Store, timestamp};
use crate::ports::{LeaseInfo, LeaseKind, LeaseOptions, Resource};

impl Store {
    /// Creates a lease and gives its name.
    ///
    /// # Errors
    /// `AlreadyExists` if the wanted name is taken.
    pub fn create_lease(&self, options: &LeaseOptions) -> Result<String> {
        validate_labels(&options.labels)?;
        if options.id.as_deref() == Some("") {
            return Err(Error::new(ErrorKind::Invalid, "create lease", "the empty name"));
        }
        let now = self.now();
        let lifetime = options.expires_after.map(lifetime);
        // What dies with this process need not survive a power cut.
        let (owner, durability) = match options.kind {
            LeaseKind::Temporary => (Some(self.owner.id()), Durability::Ordered),
            LeaseKind::Permanent | LeaseKind::Flat => (None, Durability::Synced),
        };
        self.database.write(durability, |transaction, _| {
            if let Some(id) = &options.id {
                match life(self, transaction, id)? {
                    Life::Alive(_) => return Err(Error::new(ErrorKind::AlreadyExists, "create lease", id)),
                    Life::Dead => drop(delete(transaction, id)?),
                    Life::None => {}
                }
            }
            let id: String = transaction
                .query_row(
                    "INSERT INTO leases (id, kind, owner, created_at, lifetime, expires_at)
                     VALUES (coalesce(?1, lower(hex(randomblob(16)))), ?2, ?3, ?4, ?5, ?6) RETURNING id",
                    params![
                        options.id,
                        kind_column(options.kind),
                        owner,
                        now,
                        lifetime,
                        lifetime.map(|lifetime| now.saturating_add(lifetime))
                    ],
                    |row| row.get(0),
                )
                .doing("create lease")?;
            labels::replace(transaction, Labelled::Lease, &id, &options.labels)?;
            Ok(id)
        })
    }

    /// What is known of the lease `id`; `None` if there is none or it is dead.
    pub fn lease(&self, id: &str) -> Result<Option<LeaseInfo>> {
        self.read(|transaction| match life(self, transaction, id)? {
            Life::Alive(row) => row.info(transaction).map(Some),
            Life::Dead | Life::None => Ok(None),
        })
    }

    /// Every live lease.
    pub fn leases(&self) -> Result<Vec<LeaseInfo>> {
        self.read(|transaction| {
            let mut statement = transaction.prepare(&select("")).doing("list leases")?;
            let rows = statement.query_map([], LeaseRow::read).doing("list leases")?;
            let mut leases = Vec::new();
            for row in rows {
                let row = row.doing("list leases")?;
                if row.is_alive(self)? {
                    leases.push(row.info(transaction)?);
                }
            }
            Ok(leases)
        })
    }

    /// Lets `lease` hold `resources`.
    ///
    /// # Errors
    /// `Invalid` if the lease is dead.
    pub fn attach(&self, lease: &str, resources: &[Resource]) -> Result<()> {
        self.change_lease(lease, "attach resources", |transaction| {
            resources.iter().try_for_each(|resource| resources::attach(transaction, lease, resource))
        })
    }

    /// Lets `lease` no longer hold `resources`.
    ///
    /// # Errors
    /// `Invalid` if the lease is dead.
    pub fn detach(&self, lease: &str, resources: &[Resource]) -> Result<()> {
        self.database.free(self.lease_durability(lease)?, |transaction| {
            alive(self, transaction, lease, "detach resources")?;
            resources.iter().try_for_each(|resource| resources::detach(transaction, lease, resource))
        })
    }

    /// What `lease` holds.
    ///
    /// # Errors
    /// `Invalid` if the lease is dead.
    pub fn resources(&self, lease: &str) -> Result<Vec<Resource>> {
        self.read(|transaction| {
            alive(self, transaction, lease, "list resources")?;
            resources::list(transaction, lease)
        })
    }

    /// Counts the expiry of `lease` from now.
    ///
    /// # Errors
    /// `Invalid` if the lease is dead.
    pub fn renew_lease(&self, lease: &str) -> Result<()> {
        let now = self.now();
        self.change_lease(lease, "renew lease", |transaction| {
            transaction
                .execute(
                    "UPDATE leases SET expires_at = ?2 + lifetime WHERE id = ?1 AND lifetime IS NOT NULL",
                    params![lease, now],
                )
                .doing("renew lease")?;
            Ok(())
        })
    }

    /// Ends the lease `id`; whether there was a live one.
    pub fn delete_lease(&self, id: &str) -> Result<bool> {
        self.database.free(self.lease_durability(id)?, |transaction| {
            let was_alive = matches!(life(self, transaction, id)?, Life::Alive(_));
            delete(transaction, id)?;
            Ok(was_alive)
        })
    }

    fn change_lease(
        &self,
        lease: &str,
        operation: &'static str,
        change: impl FnOnce(&Connection) -> Result<()>,
    ) -> Result<()> {
        self.database.write(self.lease_durability(lease)?, |transaction, _| {
            alive(self, transaction, lease, operation)?;
            change(transaction)
        })
    }

    /// What a temporary lease holds is free after a power cut, so what happens to it need not survive one.
    pub(super) fn lease_durability(&self, lease: &str) -> Result<Durability> {
        let owner: Option<Option<String>> = self.read(|transaction| {
            transaction
                .query_row("SELECT owner FROM leases WHERE id = ?1", [lease], |row| row.get(0))
                .optional()
                .doing("read lease")
        })?;
        Ok(if owner.flatten().is_some() { Durability::Ordered } else { Durability::Synced })
    }
}

/// Refuses a lease that is dead or was never there.
pub(super) fn alive(store: &Store, transaction: &Connection, lease: &str, operation: &'static str) -> Result<()> {
    match life(store, transaction, lease)? {
        Life::Alive(_) => Ok(()),
        Life::Dead | Life::None => {
            Err(Error::new(ErrorKind::Invalid, operation, lease).with_source("the lease is dead"))
        }
    }
}

/// Forgets every lease whose time is over.
pub(super) fn expire(transaction: &Connection, now: i64) -> Result<()> {
    for sql in [
        "DELETE FROM labels WHERE kind = 'leases' AND id IN (SELECT id FROM leases WHERE expires_at <= ?1)",
        "DELETE FROM leases WHERE expires_at <= ?1",
    ] {
        transaction.execute(sql, [now]).doing("expire leases")?;
    }
    Ok(())
}

fn delete(transaction: &Connection, id: &str) -> Result<bool> {
    labels::remove_all(transaction, Labelled::Lease, id)?;
    Ok(transaction.execute("DELETE FROM leases WHERE id = ?1", [id]).doing("delete lease")? > 0)
}

enum Life {
    Alive(LeaseRow),
    Dead,
    None,
}

fn life(store: &Store, transaction: &Connection, id: &str) -> Result<Life> {
    let row = transaction.query_row(&select("WHERE id = ?1"), [id], LeaseRow::read).optional().doing("read lease")?;
    Ok(match row {
        Some(row) if row.is_alive(store)? => Life::Alive(row),
        Some(_) => Life::Dead,
        None => Life::None,
    })
}

fn select(condition: &str) -> String {
    format!("SELECT id, kind, owner, created_at, expires_at FROM leases {condition}")
}

struct LeaseRow {
    id: String,
    kind: String,
    owner: Option<String>,
    created_at: i64,
    expires_at: Option<i64>,
}

impl LeaseRow {
    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            id: row.get(0)?,
            kind: row.get(1)?,
            owner: row.get(2)?,
            created_at: row.get(3)?,
            expires_at: row.get(4)?,
        })
    }

    fn is_alive(&self, store: &Store) -> Result<bool> {
        if self.expires_at.is_some_and(|expires_at| expires_at <= store.now()) {
            return Ok(false);
        }
        match &self.owner {
            Some(owner) => store.owner.is_alive(&store.layout, owner),
            None => Ok(true),
        }
    }

    fn info(self, transaction: &Connection) -> Result<LeaseInfo> {
        let kind = match self.kind.as_str() {
            "permanent" => LeaseKind::Permanent,
            "flat" => LeaseKind::Flat,
            "temporary" => LeaseKind::Temporary,
            _ => return Err(corrupt_row("read lease", "lease kind")),
        };
        Ok(LeaseInfo {
            labels: labels::get(transaction, Labelled::Lease, &self.id)?,
            id: self.id,
            kind,
            created_at: timestamp(self.created_at),
            expires_at: self.expires_at.map(timestamp),
        })
    }
}

fn kind_column(kind: LeaseKind) -> &'static str {
    match kind {
        LeaseKind::Permanent => "permanent",
        LeaseKind::Flat => "flat",
        LeaseKind::Temporary => "temporary",
    }
}

fn lifetime(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)
}
