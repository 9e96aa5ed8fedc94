//! Recovery from what earlier processes left half done.

use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};

use crate::cache::core::Core;
use crate::cache::create::LEASE_LABEL;
use crate::cache::finalize::finalize;
use crate::cache::options::Retention;
use crate::cache::record::{Phase, Record};
use crate::cache::records::Listed;
use crate::cache::remove::Alone;
use crate::error::Result;

/// What is to be done about a record that nobody uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Remedy {
    Leave,
    Remove,
    Finalize,
}

impl Core {
    /// Goes on with removals, removes what only dead processes wanted and what can never be used, and notes finished
    /// commits. What another process uses is left alone.
    pub(super) async fn recover(&self) -> Result<()> {
        let listed = self.records.list().await?;
        for unreadable in &listed {
            if let Err(error) = &unreadable.record {
                tracing::warn!(id = unreadable.id, %error, "a ref cannot be read; it and what is under it are kept");
            }
        }
        let family = Family::new(&listed);
        let mut records: Vec<_> = listed.iter().filter_map(|listed| listed.record.as_ref().ok()).collect();
        // A child keeps its parent and so has to go first.
        records.sort_by_key(|record| Reverse(family.ancestors(&record.id).len()));
        for record in records {
            let is_broken = family.is_broken(&record.id);
            if (is_broken || self.remedy(record).await? != Remedy::Leave)
                && let Some(alone) = self.alone(&record.id).await?
            {
                self.cure(alone).await?;
            }
        }
        self.recover_leases(&listed).await
    }

    /// Does what the record needs now that nobody can use it.
    async fn cure(&self, alone: Alone<'_>) -> Result<()> {
        let Some(record) = alone.record().await? else { return Ok(()) };
        let is_broken = Family::new(&self.records.list().await?).is_broken(&record.id);
        match if is_broken { Remedy::Remove } else { self.remedy(&record).await? } {
            Remedy::Leave => {}
            Remedy::Finalize => alone.update(finalize).await?,
            Remedy::Remove => {
                tracing::debug!(id = record.id, "a ref that an earlier process left is removed");
                alone.remove().await?;
            }
        }
        Ok(())
    }

    async fn remedy(&self, record: &Record) -> Result<Remedy> {
        if record.deleted || (record.phase == Phase::Mutable && record.retention == Retention::Discard) {
            return Ok(Remedy::Remove);
        }
        if !matches!(record.phase, Phase::Mutable | Phase::Committed) {
            return Ok(Remedy::Leave);
        }
        let snapshotter = &self.backends.snapshotter;
        if snapshotter.stat(&record.active_key()).await?.is_some() {
            return Ok(Remedy::Leave);
        }
        let is_committed = record.phase == Phase::Committed && snapshotter.stat(&record.snapshot).await?.is_some();
        Ok(if is_committed { Remedy::Finalize } else { Remedy::Remove })
    }

    /// Removes the leases whose record was never stored.
    async fn recover_leases(&self, listed: &[Listed]) -> Result<()> {
        let known: HashSet<_> = listed.iter().map(|listed| listed.id.as_str()).collect();
        for lease in self.backends.leases.list().await? {
            let Some(id) = lease.labels.get(LEASE_LABEL).filter(|id| !known.contains(id.as_str())) else { continue };
            if let Some(alone) = self.alone(id).await?
                && let Ok(None) = alone.record().await
            {
                alone.remove().await?;
            }
        }
        Ok(())
    }
}

/// Who stands on whom, unreadable records included.
struct Family<'a> {
    parents: HashMap<&'a str, &'a [String]>,
}

impl<'a> Family<'a> {
    fn new(listed: &'a [Listed]) -> Self {
        Self { parents: listed.iter().map(|listed| (listed.id.as_str(), listed.parents.as_slice())).collect() }
    }

    /// All records under this one, also those that are missing.
    fn ancestors(&self, id: &'a str) -> HashSet<&'a str> {
        let mut found = HashSet::new();
        let mut waiting = vec![id];
        while let Some(id) = waiting.pop() {
            let parents = self.parents.get(id).into_iter().copied().flatten();
            waiting.extend(parents.map(String::as_str).filter(|parent| found.insert(*parent)));
        }
        found
    }

    fn is_broken(&self, id: &'a str) -> bool {
        self.ancestors(id).iter().any(|ancestor| !self.parents.contains_key(ancestor))
    }
}
