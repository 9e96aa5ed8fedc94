//! The memory metadata store.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;

use crate::error::Result;
use crate::ports::{
    BatchOutcome, IndexEntry, IndexQuery, MetadataChange, MetadataRecord, MetadataStore, Precondition, Uniqueness,
};

/// Records in memory.
#[derive(Debug, Default)]
pub struct MemoryMetadata {
    table: Mutex<Table>,
}

#[derive(Debug, Default)]
struct Table {
    records: BTreeMap<String, MetadataRecord>,
    /// Index and value to the keys of the records that have it.
    index: BTreeMap<(String, String), BTreeSet<String>>,
    /// The newest revision of all records, so that a key that comes back never repeats one.
    revision: u64,
}

/// What a change replaced: the key and the record that it had.
type Undo = (String, Option<MetadataRecord>);

impl MemoryMetadata {
    /// Nothing panics under the lock, so a poisoned one guards a sound state.
    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl MetadataStore for MemoryMetadata {
    async fn get(&self, key: &str) -> Result<Option<MetadataRecord>> {
        Ok(self.lock().records.get(key).cloned())
    }

    async fn find(&self, query: &IndexQuery) -> Result<Vec<MetadataRecord>> {
        let table = self.lock();
        let keys: BTreeSet<&String> = match query {
            IndexQuery::Exact { index, value } => {
                table.index.get(&(index.clone(), value.clone())).into_iter().flatten().collect()
            }
            IndexQuery::Prefix { index, prefix } => table
                .index
                .range((index.clone(), prefix.clone())..)
                .take_while(|((name, value), _)| name == index && value.starts_with(prefix.as_str()))
                .flat_map(|(_, keys)| keys)
                .collect(),
            IndexQuery::Keys { prefix } => {
                let from = table.records.range(prefix.clone()..).map(|(key, _)| key);
                from.take_while(|key| key.starts_with(prefix.as_str())).collect()
            }
        };
        Ok(keys.into_iter().filter_map(|key| table.records.get(key).cloned()).collect())
    }

    async fn apply(&self, changes: Vec<MetadataChange>) -> Result<BatchOutcome> {
        let mut table = self.lock();
        let mut done: Vec<Undo> = Vec::with_capacity(changes.len());
        for change in changes {
            match table.make(change) {
                Ok(undo) => done.extend(undo),
                Err(Refused(key)) => {
                    for (key, record) in done.into_iter().rev() {
                        table.replace(&key, record);
                    }
                    return Ok(BatchOutcome::Refused { key });
                }
            }
        }
        Ok(BatchOutcome::Applied)
    }
}

/// The key of a change whose precondition does not hold, or whose unique value is taken.
struct Refused(String);

impl Table {
    fn make(&mut self, change: MetadataChange) -> Result<Option<Undo>, Refused> {
        match change {
            MetadataChange::Put { key, value, mut indexes, precondition } => {
                indexes.sort();
                indexes.dedup();
                if !self.holds(&key, precondition) || indexes.iter().any(|entry| self.is_taken(entry, &key)) {
                    return Err(Refused(key));
                }
                self.revision += 1;
                let record = MetadataRecord { key: key.clone(), value, revision: self.revision, indexes };
                let before = self.replace(&key, Some(record));
                Ok(Some((key, before)))
            }
            MetadataChange::Delete { key, precondition } if self.holds(&key, precondition) => {
                let before = self.replace(&key, None);
                Ok(Some((key, before)))
            }
            MetadataChange::Check { key, precondition } if self.holds(&key, precondition) => Ok(None),
            MetadataChange::Delete { key, .. } | MetadataChange::Check { key, .. } => Err(Refused(key)),
        }
    }

    fn holds(&self, key: &str, precondition: Precondition) -> bool {
        let record = self.records.get(key);
        match precondition {
            Precondition::Any => true,
            Precondition::Absent => record.is_none(),
            Precondition::Present => record.is_some(),
            Precondition::Revision(revision) => record.is_some_and(|record| record.revision == revision),
        }
    }

    /// Whether another record keeps `key` from having `entry`: one of the two says that the value is unique.
    fn is_taken(&self, entry: &IndexEntry, key: &str) -> bool {
        let Some(holders) = self.index.get(&(entry.index.clone(), entry.value.clone())) else { return false };
        holders.iter().filter(|holder| *holder != key).any(|holder| {
            entry.uniqueness == Uniqueness::Unique
                || self.records.get(holder).is_some_and(|record| record.indexes.binary_search(&entry.unique()).is_ok())
        })
    }

    /// Puts `record`, or nothing, in the place of the record `key`, and gives what was there.
    fn replace(&mut self, key: &str, record: Option<MetadataRecord>) -> Option<MetadataRecord> {
        let before = self.records.remove(key);
        for entry in before.iter().flat_map(|record| &record.indexes) {
            let place = (entry.index.clone(), entry.value.clone());
            if let Some(keys) = self.index.get_mut(&place) {
                keys.remove(key);
                if keys.is_empty() {
                    self.index.remove(&place);
                }
            }
        }
        if let Some(record) = record {
            for entry in &record.indexes {
                let place = (entry.index.clone(), entry.value.clone());
                self.index.entry(place).or_default().insert(key.to_owned());
            }
            self.records.insert(key.to_owned(), record);
        }
        before
    }
}

impl IndexEntry {
    /// The same entry as a unique one.
    fn unique(&self) -> Self {
        Self { uniqueness: Uniqueness::Unique, ..self.clone() }
    }
}
