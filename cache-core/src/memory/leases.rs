//! The memory lease manager.

use std::collections::BTreeSet;
use std::sync::{Arc, Weak};

use async_trait::async_trait;

use crate::error::{Error, ErrorKind, Result};
use crate::labels::validate_labels;
use crate::memory::state::{LeaseEntry, Shared};
use crate::ports::{Lease, LeaseInfo, LeaseManager, LeaseOptions, Resource};

/// Leases over the memory backends. They end with the process at the latest.
#[derive(Debug)]
pub struct MemoryLeases {
    shared: Arc<Shared>,
    this: Weak<Self>,
}

impl MemoryLeases {
    pub(super) fn new(shared: Arc<Shared>) -> Arc<Self> {
        Arc::new_cyclic(|this| Self { shared, this: this.clone() })
    }

    /// Refuses a lease that another manager gave.
    pub(super) fn own(&self, operation: &'static str, lease: &Lease) -> Result<()> {
        if std::ptr::addr_eq(Arc::as_ptr(lease.manager()), self) {
            return Ok(());
        }
        Err(Error::new(ErrorKind::Invalid, operation, format_args!("foreign lease {}", lease.id())))
    }

    fn give(&self, id: &str) -> Lease {
        let this = self.this.upgrade().expect("the manager exists only inside of its Arc");
        Lease::new(id, this)
    }

    /// Does `work` to a lease that is alive and ours.
    fn with<T>(&self, operation: &'static str, lease: &Lease, work: impl FnOnce(&mut LeaseEntry) -> T) -> Result<T> {
        self.own(operation, lease)?;
        Ok(work(self.shared.lock().lease(operation, lease.id())?))
    }
}

#[async_trait]
impl LeaseManager for MemoryLeases {
    async fn create(&self, options: LeaseOptions) -> Result<Lease> {
        validate_labels(&options.labels)?;
        let now = self.shared.now();
        let mut state = self.shared.lock();
        let id = match options.id {
            Some(id) if id.is_empty() => return Err(Error::new(ErrorKind::Invalid, "create lease", "the empty name")),
            Some(id) if state.leases.contains_key(&id) => {
                return Err(Error::new(ErrorKind::AlreadyExists, "create lease", id));
            }
            Some(id) => id,
            None => loop {
                state.fresh_leases += 1;
                let id = format!("lease-{}", state.fresh_leases);
                if !state.leases.contains_key(&id) {
                    break id;
                }
            },
        };
        let info = LeaseInfo {
            id: id.clone(),
            kind: options.kind,
            created_at: now,
            expires_at: options.expires_after.and_then(|duration| now.checked_add(duration)),
            labels: options.labels,
        };
        let entry = LeaseEntry { info, expires_after: options.expires_after, resources: BTreeSet::new() };
        state.leases.insert(id.clone(), entry);
        Ok(self.give(&id))
    }

    async fn get(&self, id: &str) -> Result<Option<Lease>> {
        Ok(self.shared.lock().leases.contains_key(id).then(|| self.give(id)))
    }

    async fn attach(&self, lease: &Lease, resources: &[Resource]) -> Result<()> {
        self.with("attach to lease", lease, |entry| entry.resources.extend(resources.iter().cloned()))
    }

    async fn detach(&self, lease: &Lease, resources: &[Resource]) -> Result<()> {
        self.with("detach from lease", lease, |entry| entry.resources.retain(|held| !resources.contains(held)))
    }

    async fn resources(&self, lease: &Lease) -> Result<Vec<Resource>> {
        self.with("list resources of lease", lease, |entry| entry.resources.iter().cloned().collect())
    }

    async fn renew(&self, lease: &Lease) -> Result<()> {
        let now = self.shared.now();
        self.with("renew lease", lease, |entry| {
            entry.info.expires_at = entry.expires_after.and_then(|duration| now.checked_add(duration));
        })
    }

    async fn delete(&self, id: &str) -> Result<bool> {
        Ok(self.shared.lock().leases.remove(id).is_some())
    }

    async fn list(&self) -> Result<Vec<LeaseInfo>> {
        Ok(self.shared.lock().leases.values().map(|entry| entry.info.clone()).collect())
    }

    fn abandon(&self, id: &str) {
        self.shared.lock().leases.remove(id);
    }
}
