//! What dropped handles leave to be done.

use std::collections::{BTreeMap, BTreeSet};
use std::mem;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::cache::core::Core;
use crate::cache::record::Record;
use crate::error::{ErrorKind, Result};
use crate::timestamp::Timestamp;

/// Drop calls no backend; it notes here what the manager's next operation does. Bounded by the number of records.
#[derive(Debug, Default)]
pub(super) struct Deferred {
    notes: Mutex<Notes>,
}

#[derive(Debug, Default)]
struct Notes {
    used: BTreeMap<String, Uses>,
    /// The writer that gave a record up, by the record's id.
    discarded: BTreeMap<String, String>,
    /// Records whose lease may hold a blob that they do not name.
    unsettled: BTreeSet<String>,
}

#[derive(Clone, Copy, Debug)]
struct Uses {
    count: u64,
    last: Timestamp,
}

impl Deferred {
    fn notes(&self) -> MutexGuard<'_, Notes> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The last handle of the record `id` was dropped at `time`.
    pub(super) fn used(&self, id: &str, time: Timestamp) {
        let mut notes = self.notes();
        let uses = notes.used.entry(id.to_owned()).or_insert(Uses { count: 0, last: time });
        uses.count += 1;
        uses.last = uses.last.max(time);
    }

    /// `writer` does not want the record `id` any more, which may be half made.
    pub(super) fn discard(&self, id: &str, writer: &str) {
        self.notes().discarded.insert(id.to_owned(), writer.to_owned());
    }

    /// The lease of the record `id` may hold a blob that the record does not name.
    pub(super) fn unsettle(&self, id: &str) {
        self.notes().unsettled.insert(id.to_owned());
    }
}

impl Core {
    /// Does what dropped handles left. What fails is logged: it concerns no caller, and recovery or pruning does it later.
    pub(super) async fn settle(&self) {
        // Looked at first: what is discarded may have left a call, which is ended then.
        let discarded = self.deferred.notes().discarded.clone();
        self.unfinished.finish().await;
        for (id, writer) in discarded {
            match self.discard(&id, &writer).await {
                Ok(Discarded::NotYet) => continue,
                Ok(Discarded::Done) => {}
                Err(error) => tracing::warn!(id, %error, "a discarded ref could not be removed"),
            }
            self.deferred.notes().discarded.remove(&id);
        }
        self.settle_leases().await;
        let used = mem::take(&mut self.deferred.notes().used);
        if let Err(error) = self.note_uses(&used).await {
            tracing::warn!(%error, "the last use of refs could not be noted");
        }
    }

    async fn settle_leases(&self) {
        let unsettled = self.deferred.notes().unsettled.clone();
        for id in unsettled {
            let settled = match self.alone(&id).await {
                // Whoever uses it may be about to give it the same blob.
                Ok(None) => continue,
                Ok(Some(alone)) => alone.release_strays().await.map(drop),
                Err(error) => Err(error),
            };
            if let Err(error) = settled {
                tracing::warn!(id, %error, "a blob that was not given to a ref could not be let go of");
            }
            self.deferred.notes().unsettled.remove(&id);
        }
    }

    async fn discard(&self, id: &str, writer: &str) -> Result<Discarded> {
        let Some(alone) = self.alone(id).await? else {
            // A mounted tree may still hold it here. In another process, somebody took it over.
            return Ok(if self.is_live(id) { Discarded::NotYet } else { Discarded::Done });
        };
        if alone.record().await?.is_none_or(|record| record.writer == writer) {
            alone.remove().await?;
        }
        Ok(Discarded::Done)
    }

    /// One batch for all, because each batch costs the disk a wait; one by one only where somebody else was quicker.
    async fn note_uses(&self, used: &BTreeMap<String, Uses>) -> Result<()> {
        let note = |record: &mut Record| {
            if let Some(uses) = used.get(&record.id) {
                record.usage_count = record.usage_count.saturating_add(uses.count);
                record.last_used_at = record.last_used_at.max(Some(uses.last));
            }
        };
        if self.records.try_update_all(used.keys().map(String::as_str), note).await? {
            return Ok(());
        }
        for id in used.keys() {
            let noted = self.records.update(id, |record| {
                note(record);
                Ok(())
            });
            match noted.await {
                Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
                Ok(_) | Err(_) => {}
            }
        }
        Ok(())
    }
}

enum Discarded {
    Done,
    NotYet,
}
