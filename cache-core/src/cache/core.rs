//! What a manager and all its refs share.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use crate::backends::Backends;
use crate::cache::deferred::Deferred;
use crate::cache::entry::Entry;
use crate::cache::immutable::ImmutableRef;
use crate::cache::record::Phase;
use crate::cache::records::{Loaded, Records};
use crate::cache::unfinished::Unfinished;
use crate::digest::Digest;
use crate::error::{Error, ErrorKind, Result};
use crate::flight::Group;
use crate::ports::{Lease, LeaseManager, LockGuard, LockMode};

/// Work on one record that all who want it share.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Task {
    /// Commits the active snapshot of the record.
    Finalize(String),
    /// Unpacks the snapshot of this name.
    Extract(String),
    /// Makes the view of the record.
    View(String),
    /// Brings the blob into the store.
    Pull(Digest),
}

#[derive(Debug)]
pub(super) struct Core {
    pub(super) backends: Backends,
    pub(super) records: Records,
    pub(super) tasks: Group<Task, Result<()>>,
    /// New refs by their blob-chain id.
    pub(super) by_blob: Group<Digest, Result<ImmutableRef>>,
    pub(super) deferred: Deferred,
    pub(super) unfinished: Unfinished,
    entries: Mutex<HashMap<String, Weak<Entry>>>,
}

/// The lock that each handle of a record holds shared, and that its removal holds alone.
pub(super) fn use_lock(id: &str) -> String {
    format!("ref/{id}")
}

/// The lock that the one handle of a mutable record holds.
pub(super) fn writer_lock(id: &str) -> String {
    format!("ref/{id}/writer")
}

/// The lease of the record `id`.
pub(super) async fn lease_of(leases: &dyn LeaseManager, id: &str) -> Result<Lease> {
    let lease = leases.get(id).await?;
    lease.ok_or_else(|| Error::new(ErrorKind::NotFound, "get lease of ref", id))
}

impl Core {
    pub(super) fn new(backends: Backends) -> Self {
        Self {
            records: Records::new(Arc::clone(&backends.metadata)),
            backends,
            tasks: Group::new(),
            by_blob: Group::new(),
            deferred: Deferred::default(),
            unfinished: Unfinished::default(),
            entries: Mutex::default(),
        }
    }

    /// Entries are dropped only where this lock is not held, because they take it then.
    fn entries(&self) -> MutexGuard<'_, HashMap<String, Weak<Entry>>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a handle of the record lives in this process.
    pub(super) fn is_live(&self, id: &str) -> bool {
        self.entries().get(id).is_some_and(|entry| entry.strong_count() > 0)
    }

    pub(super) fn live(&self, id: &str) -> Option<Arc<Entry>> {
        self.entries().get(id).and_then(Weak::upgrade)
    }

    /// The entry of a record that was just loaded or stored, or the one that another task made meanwhile.
    pub(super) fn admit(
        self: &Arc<Self>,
        loaded: Loaded,
        in_use: Arc<dyn LockGuard>,
        parent: Option<ImmutableRef>,
    ) -> Arc<Entry> {
        let entry = Arc::new(Entry::new(Arc::clone(self), loaded, in_use, parent));
        let mut entries = self.entries();
        if let Some(earlier) = entries.get(entry.id()).and_then(Weak::upgrade) {
            drop(entries);
            return earlier;
        }
        entries.insert(entry.id().to_owned(), Arc::downgrade(&entry));
        drop(entries);
        entry
    }

    /// Takes an entry out that nobody holds any more.
    pub(super) fn forget(&self, id: &str) {
        let mut entries = self.entries();
        // A later entry of the same record may stand there already.
        if entries.get(id).is_some_and(|entry| entry.strong_count() == 0) {
            entries.remove(id);
        }
    }

    /// The immutable record `id` with its parents, which are all held from now on.
    pub(super) async fn open(self: &Arc<Self>, id: &str) -> Result<ImmutableRef> {
        // Looked at before it is held: who may not have a mutable record keeps nobody from taking it back.
        if !self.is_live(id) && self.records.require(id).await?.record.phase == Phase::Mutable {
            return Err(self.refuse_mutable(id).await?);
        }
        let mut missing: Vec<(Loaded, Arc<dyn LockGuard>)> = Vec::new();
        let mut seen = HashSet::new();
        let mut next = Some(id.to_owned());
        let mut top = None;
        while let Some(id) = next {
            if let Some(entry) = self.live(&id) {
                top = Some(ImmutableRef::new(entry)?);
                break;
            }
            if !seen.insert(id.clone()) {
                return Err(Error::new(ErrorKind::Corrupt, "get ref that is its own parent", id));
            }
            let in_use = self.backends.locks.acquire(&use_lock(&id), LockMode::Shared).await?;
            let loaded = self.records.require(&id).await?;
            if loaded.record.phase == Phase::Mutable {
                return Err(self.refuse_mutable(&id).await?);
            }
            next = loaded.record.lineage.parent().map(str::to_owned);
            missing.push((loaded, in_use.into()));
        }
        for (loaded, in_use) in missing.into_iter().rev() {
            top = Some(ImmutableRef::new(self.admit(loaded, in_use, top))?);
        }
        top.ok_or_else(|| Error::new(ErrorKind::NotFound, "get ref", id.escape_debug()))
    }

    /// Why a mutable record cannot be had as an immutable one.
    async fn refuse_mutable(&self, id: &str) -> Result<Error> {
        let writer = self.backends.locks.holder(&writer_lock(id)).await?;
        let kind = if writer.is_none() { ErrorKind::Invalid } else { ErrorKind::Busy };
        Ok(Error::new(kind, "get mutable ref as an immutable one", id))
    }

    /// The lease of the record `id`.
    pub(super) async fn lease(&self, id: &str) -> Result<Lease> {
        lease_of(self.backends.leases.as_ref(), id).await
    }

    /// Refuses a lease that has ended.
    pub(super) async fn check_lease(&self, lease: &Lease) -> Result<()> {
        match lease.manager().get(lease.id()).await? {
            Some(_) => Ok(()),
            None => Err(Error::new(ErrorKind::Invalid, "use dead lease", lease.id())),
        }
    }
}
