//! Faulty metadata stores.

use async_trait::async_trait;

use crate::conformance::executor::pause;
use crate::conformance::faulty::{Fault, Faulty};
use crate::error::Result;
use crate::ports::{BatchOutcome, IndexQuery, MetadataChange, MetadataRecord, MetadataStore, Precondition, Uniqueness};

impl<T: MetadataStore + ?Sized> Faulty<T> {
    fn changed_record(&self, mut record: MetadataRecord) -> MetadataRecord {
        match self.fault {
            Fault::RevisionStandsStill => record.revision = 1,
            Fault::RevisionCountsDown => record.revision = u64::MAX - record.revision,
            Fault::ForgetsIndexEntries => record.indexes.clear(),
            Fault::CutsValues => record.value.truncate(1 << 16),
            Fault::ValuesAreText => record.value = String::from_utf8_lossy(&record.value).into_owned().into(),
            _ => {}
        }
        record
    }

    /// A key as a store that is careless with them has it.
    fn key(&self, key: String) -> String {
        if self.has(Fault::FoldsCaseOfKeys) { key.to_lowercase() } else { key }
    }

    async fn changed(&self, change: MetadataChange) -> Result<MetadataChange> {
        let loose = |precondition| if self.has(Fault::IgnoresPreconditions) { Precondition::Any } else { precondition };
        Ok(match change {
            MetadataChange::Put { key, value, mut indexes, precondition } => {
                let key = self.key(key);
                match self.fault {
                    Fault::PutKeepsIndexEntries => {
                        indexes.extend(self.inner.get(&key).await?.into_iter().flat_map(|record| record.indexes));
                    }
                    Fault::IgnoresUniqueness => {
                        indexes.iter_mut().for_each(|entry| entry.uniqueness = Uniqueness::Shared);
                    }
                    Fault::UniquenessForgetsShared => {
                        // Only unique values exclude each other: they are kept apart from the shared ones.
                        for entry in indexes.iter_mut().filter(|entry| entry.uniqueness == Uniqueness::Unique) {
                            entry.index.push_str(" (unique)");
                        }
                    }
                    _ => {}
                }
                MetadataChange::Put { key, value, indexes, precondition: loose(precondition) }
            }
            MetadataChange::Delete { key, .. } if self.has(Fault::DeletesNoRecord) => {
                MetadataChange::Check { key, precondition: Precondition::Any }
            }
            MetadataChange::Delete { key, precondition } => {
                let precondition = match self.fault {
                    Fault::DeleteNeedsRecord => Precondition::Present,
                    _ => loose(precondition),
                };
                MetadataChange::Delete { key: self.key(key), precondition }
            }
            MetadataChange::Check { key, precondition } => {
                MetadataChange::Check { key: self.key(key), precondition: loose(precondition) }
            }
        })
    }

    /// Whether a precondition of `changes` does not hold before all of them; the key, if so.
    async fn refused_beforehand(&self, changes: &[MetadataChange]) -> Result<Option<String>> {
        for change in changes {
            let (MetadataChange::Put { key, precondition, .. }
            | MetadataChange::Delete { key, precondition }
            | MetadataChange::Check { key, precondition }) = change;
            let check = MetadataChange::Check { key: key.clone(), precondition: *precondition };
            if self.inner.apply(vec![check]).await? != BatchOutcome::Applied {
                return Ok(Some(key.clone()));
            }
        }
        Ok(None)
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl<T: MetadataStore + ?Sized> MetadataStore for Faulty<T> {
    async fn get(&self, key: &str) -> Result<Option<MetadataRecord>> {
        let found = self.inner.get(&self.key(key.to_owned())).await?;
        Ok(found.map(|record| self.changed_record(record)))
    }

    async fn find(&self, query: &IndexQuery) -> Result<Vec<MetadataRecord>> {
        let mut query = query.clone();
        match (&mut query, self.fault) {
            (IndexQuery::Prefix { prefix, .. } | IndexQuery::Keys { prefix }, Fault::PrefixesArePatterns) => {
                let end = prefix.find(['%', '_', '*']).unwrap_or(prefix.len());
                prefix.truncate(end);
            }
            (IndexQuery::Prefix { index, prefix }, Fault::PrefixMeansExact) => {
                query = IndexQuery::Exact { index: std::mem::take(index), value: std::mem::take(prefix) };
            }
            (IndexQuery::Exact { index, value }, Fault::ExactMeansPrefix) => {
                query = IndexQuery::Prefix { index: std::mem::take(index), prefix: std::mem::take(value) };
            }
            _ => {}
        }
        let mut found = self.inner.find(&query).await?;
        match self.fault {
            Fault::OmitsFound => drop(found.pop()),
            Fault::FindsUnsorted => found.reverse(),
            Fault::FindsTwice => found.extend(found.clone()),
            _ => {}
        }
        Ok(found.into_iter().map(|record| self.changed_record(record)).collect())
    }

    async fn apply(&self, changes: Vec<MetadataChange>) -> Result<BatchOutcome> {
        let mut wanted = Vec::new();
        for change in changes {
            wanted.push(self.changed(change).await?);
        }
        match self.fault {
            Fault::BatchNotAtomic => {
                for change in wanted {
                    match self.inner.apply(vec![change]).await? {
                        BatchOutcome::Applied => pause().await,
                        refused => return Ok(refused),
                    }
                }
                Ok(BatchOutcome::Applied)
            }
            Fault::BatchBackwards => {
                wanted.reverse();
                self.inner.apply(wanted).await
            }
            Fault::ChecksBeforeBatch => match self.refused_beforehand(&wanted).await? {
                Some(key) => Ok(BatchOutcome::Refused { key }),
                None => self.inner.apply(wanted).await,
            },
            Fault::RefusesEmptyBatch if wanted.is_empty() => Ok(BatchOutcome::Refused { key: String::new() }),
            Fault::RefusalNamesNoKey => match self.inner.apply(wanted).await? {
                BatchOutcome::Refused { .. } => Ok(BatchOutcome::Refused { key: String::new() }),
                applied => Ok(applied),
            },
            _ => self.inner.apply(wanted).await,
        }
    }
}
