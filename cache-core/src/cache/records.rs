//! The stored records: reading, finding, changing.

use std::sync::Arc;

use serde::Deserialize;

use crate::cache::record::{PARENT_INDEX, Record, SCHEMA};
use crate::digest::Digest;
use crate::error::{Error, ErrorKind, Result};
use crate::ports::{BatchOutcome, IndexQuery, MetadataChange, MetadataRecord, MetadataStore, Precondition};

/// What the keys of all records start with.
const PREFIX: &str = "ref/";

/// How often a change is tried again when other writers change the record first. Each refusal means that another one got
/// on, so more than a few in a row mean a broken store.
const MAX_ATTEMPTS: u32 = 100;

/// A record with its age: which revision it was read in, and whether it was changed since.
#[derive(Clone, Debug)]
pub(super) struct Loaded {
    pub(super) record: Record,
    pub(super) age: Age,
}

/// Orders what was read and written of one record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Age {
    revision: u64,
    changed: bool,
}

/// A record in a listing. One that this code cannot read still has its place and its parents.
#[derive(Debug)]
pub(super) struct Listed {
    pub(super) id: String,
    pub(super) parents: Vec<String>,
    pub(super) record: Result<Record>,
}

/// The records in a metadata store.
#[derive(Clone, Debug)]
pub(super) struct Records {
    store: Arc<dyn MetadataStore>,
}

impl Records {
    pub(super) fn new(store: Arc<dyn MetadataStore>) -> Self {
        Self { store }
    }

    /// The record `id`, also while it is being removed.
    pub(super) async fn load(&self, id: &str) -> Result<Option<Loaded>> {
        let Some(stored) = self.store.get(&key(id)).await? else { return Ok(None) };
        Ok(Some(Loaded { record: decode(&stored)?, age: Age { revision: stored.revision, changed: false } }))
    }

    /// As [`load`](Self::load), but a record that is being removed is `NotFound` too.
    pub(super) async fn require(&self, id: &str) -> Result<Loaded> {
        let loaded = self.load(id).await?.filter(|loaded| !loaded.record.deleted);
        loaded.ok_or_else(|| Error::new(ErrorKind::NotFound, "get ref", id.escape_debug()))
    }

    pub(super) async fn list(&self) -> Result<Vec<Listed>> {
        let stored = self.store.find(&IndexQuery::Keys { prefix: PREFIX.to_owned() }).await?;
        Ok(stored.iter().map(list).collect())
    }

    pub(super) async fn has_children(&self, id: &str) -> Result<bool> {
        let query = IndexQuery::Exact { index: PARENT_INDEX.to_owned(), value: id.to_owned() };
        Ok(!self.store.find(&query).await?.is_empty())
    }

    /// The ids of the records with `digest` in `index`.
    pub(super) async fn ids_by(&self, index: &str, digest: Digest) -> Result<Vec<String>> {
        let query = IndexQuery::Exact { index: index.to_owned(), value: digest.to_string() };
        Ok(self.store.find(&query).await?.iter().map(|stored| id_of(&stored.key)).collect())
    }

    /// Stores a new record whose parent must be there.
    pub(super) async fn create(&self, record: Record) -> Result<Loaded> {
        let parent = record
            .lineage
            .parent()
            .map(|parent| MetadataChange::Check { key: key(parent), precondition: Precondition::Present });
        let put = put(&record, Precondition::Absent)?;
        match self.store.apply(parent.into_iter().chain([put]).collect()).await? {
            BatchOutcome::Applied => Ok(Loaded { record, age: Age { revision: 0, changed: true } }),
            BatchOutcome::Refused { key: refused } if refused == key(&record.id) => {
                Err(Error::new(ErrorKind::AlreadyExists, "create ref", record.id))
            }
            BatchOutcome::Refused { key } => Err(Error::new(ErrorKind::NotFound, "create ref over", id_of(&key))),
        }
    }

    /// Changes the record, whatever others do to it meanwhile; `NotFound` if it is gone or being removed. A `change` that
    /// changes nothing writes nothing.
    pub(super) async fn update<F>(&self, id: &str, change: F) -> Result<Loaded>
    where
        F: Fn(&mut Record) -> Result<()> + Send + Sync,
    {
        for _ in 0..MAX_ATTEMPTS {
            let loaded = self.require(id).await?;
            let mut record = loaded.record.clone();
            change(&mut record)?;
            if record == loaded.record {
                return Ok(loaded);
            }
            let put = put(&record, Precondition::Revision(loaded.age.revision))?;
            if self.store.apply(vec![put]).await? == BatchOutcome::Applied {
                return Ok(Loaded { record, age: Age { changed: true, ..loaded.age } });
            }
        }
        Err(Error::new(ErrorKind::Busy, "change ref", id))
    }

    /// Writes the record as it is, and gives what it says: changes of what was read before are refused from now on.
    pub(super) async fn fence(&self, id: &str) -> Result<Loaded> {
        for _ in 0..MAX_ATTEMPTS {
            let loaded = self.require(id).await?;
            let put = put(&loaded.record, Precondition::Revision(loaded.age.revision))?;
            if self.store.apply(vec![put]).await? == BatchOutcome::Applied {
                return Ok(Loaded { age: Age { changed: true, ..loaded.age }, ..loaded });
            }
        }
        Err(Error::new(ErrorKind::Busy, "change ref", id))
    }

    /// Changes many records in one batch; records that are gone are left out. Whether it was done: another writer may have
    /// changed one of them first.
    pub(super) async fn try_update_all<F>(&self, ids: impl IntoIterator<Item = &str>, change: F) -> Result<bool>
    where
        F: Fn(&mut Record),
    {
        let mut puts = Vec::new();
        for id in ids {
            let Some(mut loaded) = self.load(id).await?.filter(|loaded| !loaded.record.deleted) else { continue };
            change(&mut loaded.record);
            puts.push(put(&loaded.record, Precondition::Revision(loaded.age.revision))?);
        }
        Ok(puts.is_empty() || self.store.apply(puts).await? == BatchOutcome::Applied)
    }

    pub(super) async fn delete(&self, id: &str) -> Result<()> {
        self.store.apply(vec![MetadataChange::Delete { key: key(id), precondition: Precondition::Any }]).await?;
        Ok(())
    }
}

fn key(id: &str) -> String {
    format!("{PREFIX}{id}")
}

fn id_of(key: &str) -> String {
    key.strip_prefix(PREFIX).unwrap_or(key).to_owned()
}

fn put(record: &Record, precondition: Precondition) -> Result<MetadataChange> {
    let value = serde_json::to_vec(record)
        .map_err(|error| Error::new(ErrorKind::Invalid, "encode ref", &record.id).with_source(error))?;
    Ok(MetadataChange::Put { key: key(&record.id), value: value.into(), indexes: record.indexes(), precondition })
}

fn list(stored: &MetadataRecord) -> Listed {
    let parents = stored.indexes.iter().filter(|entry| entry.index == PARENT_INDEX);
    Listed {
        id: id_of(&stored.key),
        parents: parents.map(|entry| entry.value.clone()).collect(),
        record: decode(stored),
    }
}

#[derive(Deserialize)]
struct Header {
    schema: u32,
}

fn decode(stored: &MetadataRecord) -> Result<Record> {
    let corrupt = |error| Error::new(ErrorKind::Corrupt, "read ref", &stored.key).with_source(Box::new(error));
    let unsupported = || Error::new(ErrorKind::Unsupported, "read ref of a newer release", &stored.key);
    let header: Header = serde_json::from_slice(&stored.value).map_err(corrupt)?;
    if header.schema > SCHEMA {
        return Err(unsupported());
    }
    let record: Record = serde_json::from_slice(&stored.value).map_err(corrupt)?;
    if !record.is_supported() {
        return Err(unsupported());
    }
    if key(&record.id) != stored.key {
        return Err(Error::new(ErrorKind::Corrupt, "read ref under the name of another", &stored.key));
    }
    Ok(record)
}
