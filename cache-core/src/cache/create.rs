//! Making new records.

use std::sync::Arc;

use crate::cache::core::{Core, use_lock, writer_lock};
use crate::cache::entry::Entry;
use crate::cache::id;
use crate::cache::immutable::ImmutableRef;
use crate::cache::lineage::Lineage;
use crate::cache::manager::CacheManager;
use crate::cache::mutable::MutableRef;
use crate::cache::options::RefOptions;
use crate::cache::record::{Phase, Record, SCHEMA, active_key};
use crate::error::{Error, ErrorKind, Result};
use crate::labels::Labels;
use crate::ports::{Lease, LeaseKind, LeaseOptions, LockGuard, LockMode, Prepared};

/// The label of the lease of a record, with the record's id, by which recovery finds leases whose record was never stored.
pub(super) const LEASE_LABEL: &str = "layercache/ref";

impl CacheManager {
    /// A new mutable ref over `parent`, or over nothing. It shows what `parent` holds and is written to through
    /// [`MutableRef::mount`].
    ///
    /// # Errors
    /// `Invalid` if `parent` is of another manager; `NotFound` and `Unsupported` if its snapshot has to be made first and
    /// that fails as [`ImmutableRef::extract`] says; the backends' own failures.
    ///
    /// # Cancel safety
    /// What a dropped call began is removed by the manager's next operation, or by the next open.
    pub async fn create(&self, parent: Option<&ImmutableRef>, options: RefOptions) -> Result<MutableRef> {
        self.core.settle().await;
        if let Some(parent) = parent {
            self.core.check_own(parent)?;
            parent.extract().await?;
        }
        let birth = Birth::begin(&self.core).await?;
        let locks = &self.core.backends.locks;
        let writer = locks.acquire(&writer_lock(birth.id()), LockMode::Exclusive).await?;
        let below = parent.map(ImmutableRef::snapshot_key);
        let snapshotter = &self.core.backends.snapshotter;
        let active = active_key(birth.id());
        let (snapshotter, lease, key) = (Arc::clone(snapshotter), birth.lease().clone(), active.clone());
        let prepare = async move { snapshotter.prepare(&lease, &key, below.as_deref(), Labels::new()).await };
        match birth.complete(prepare).await? {
            Prepared::Mounts(_) => {}
            Prepared::AlreadyCommitted => {
                return Err(Error::new(ErrorKind::AlreadyExists, "prepare snapshot that nobody asked for", active));
            }
        }
        let record = birth.record(parent, Phase::Mutable, &options, birth.id());
        Ok(MutableRef::new(birth.finish(record, parent).await?, writer))
    }
}

impl Core {
    /// Refuses a ref of another manager: its locks and queue are not ours.
    pub(super) fn check_own(self: &Arc<Self>, parent: &ImmutableRef) -> Result<()> {
        if Arc::ptr_eq(parent.entry().core(), self) {
            return Ok(());
        }
        Err(Error::new(ErrorKind::Invalid, "use ref of another manager", parent.id()))
    }
}

/// A record that is being made: it has a name, locked, and a lease. What it has got when it is dropped unfinished is
/// discarded.
#[derive(Debug)]
pub(super) struct Birth {
    core: Arc<Core>,
    id: String,
    lease: Lease,
    in_use: Arc<dyn LockGuard>,
    /// It is stored, and the entry has it all.
    finished: bool,
}

impl Birth {
    pub(super) async fn begin(core: &Arc<Core>) -> Result<Self> {
        let id = id::fresh();
        let in_use: Arc<dyn LockGuard> = core.backends.locks.acquire(&use_lock(&id), LockMode::Shared).await?.into();
        let labels = Labels::from([(LEASE_LABEL.to_owned(), id.clone())]);
        // Not flat: it keeps the variants that the labels of its blob name.
        let options = LeaseOptions::new(LeaseKind::Permanent).with_id(&id).with_labels(labels);
        // A creation that is dropped may have made the lease already.
        let discard = Discard { core, id: Some(&id) };
        let leases = Arc::clone(&core.backends.leases);
        let lease = core.complete(Arc::clone(&in_use), async move { leases.create(options).await }).await?;
        discard.disarm();
        Ok(Self { core: Arc::clone(core), id, lease, in_use, finished: false })
    }

    pub(super) fn id(&self) -> &str {
        &self.id
    }

    pub(super) fn lease(&self) -> &Lease {
        &self.lease
    }

    /// The outcome of `call`, which makes something for the record. It goes on when it is dropped, so that what is discarded
    /// does not come into being afterwards.
    pub(super) async fn complete<T>(&self, call: impl Future<Output = T> + Send + 'static) -> T
    where
        T: Clone + Send + Sync + 'static,
    {
        self.core.complete(Arc::clone(&self.in_use), call).await
    }

    /// The record with what `options` say; the snapshot is, or will be, committed as `snapshot`.
    pub(super) fn record(
        &self,
        parent: Option<&ImmutableRef>,
        phase: Phase,
        options: &RefOptions,
        snapshot: &str,
    ) -> Record {
        Record {
            schema: SCHEMA,
            id: self.id.clone(),
            lineage: Lineage::of(parent.map(ImmutableRef::id)),
            phase,
            writer: self.id.clone(),
            snapshot: snapshot.to_owned(),
            layer: None,
            chain_id: None,
            blob_chain_id: None,
            layer_type: options.layer_type,
            description: options.description.clone().unwrap_or_default(),
            image_names: options.image_name.iter().cloned().collect(),
            record_type: options.record_type.clone(),
            retention: options.retention,
            created_at: options.created_at.unwrap_or_else(|| self.core.backends.clock.now()),
            last_used_at: None,
            usage_count: 0,
            deleted: false,
            unknown: Default::default(),
        }
    }

    /// Stores the record. All that it names must be held by the lease.
    pub(super) async fn finish(mut self, record: Record, parent: Option<&ImmutableRef>) -> Result<Arc<Entry>> {
        let records = self.core.records.clone();
        let loaded = self.complete(async move { records.create(record).await }).await?;
        self.finished = true;
        let entry = self.core.admit(loaded, Arc::clone(&self.in_use), parent.cloned());
        entry.give_out();
        Ok(entry)
    }
}

impl Drop for Birth {
    fn drop(&mut self) {
        if !self.finished {
            self.core.deferred.discard(&self.id, &self.id);
        }
    }
}

/// Discards a name unless it is disarmed.
struct Discard<'a> {
    core: &'a Core,
    id: Option<&'a str>,
}

impl Discard<'_> {
    fn disarm(mut self) {
        self.id = None;
    }
}

impl Drop for Discard<'_> {
    fn drop(&mut self) {
        if let Some(id) = self.id {
            self.core.deferred.discard(id, id);
        }
    }
}
