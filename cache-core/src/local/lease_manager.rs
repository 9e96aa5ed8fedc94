//! The lease manager.

use std::sync::{Arc, Weak};

use async_trait::async_trait;

use crate::error::Result;
use crate::local::engine::{Engine, foreign};
use crate::ports::{Lease, LeaseInfo, LeaseManager, LeaseOptions, Resource};

/// The leases of a [`Local`](crate::local::Local) store. Temporary ones end with the process, also when it is killed.
#[derive(Debug)]
pub struct LocalLeases {
    engine: Arc<Engine>,
    this: Weak<Self>,
}

impl LocalLeases {
    pub(super) fn new(engine: Arc<Engine>) -> Arc<Self> {
        Arc::new_cyclic(|this| Self { engine, this: this.clone() })
    }

    /// Refuses a lease that another manager gave.
    pub(super) fn own(&self, operation: &'static str, lease: &Lease) -> Result<()> {
        if std::ptr::addr_eq(Arc::as_ptr(lease.manager()), self) {
            return Ok(());
        }
        Err(foreign(operation, lease.id()))
    }

    fn give(&self, id: &str) -> Lease {
        let this = self.this.upgrade().expect("the manager exists only inside of its Arc");
        Lease::new(id, this)
    }
}

#[async_trait]
impl LeaseManager for LocalLeases {
    async fn create(&self, options: LeaseOptions) -> Result<Lease> {
        let id = self.engine.run_after_abandoned(move |store| store.create_lease(&options)).await?;
        Ok(self.give(&id))
    }

    async fn get(&self, id: &str) -> Result<Option<Lease>> {
        let owned = id.to_owned();
        let found = self.engine.run_after_abandoned(move |store| store.lease(&owned)).await?;
        Ok(found.map(|_| self.give(id)))
    }

    async fn attach(&self, lease: &Lease, resources: &[Resource]) -> Result<()> {
        self.own("attach resources", lease)?;
        let (id, resources) = (lease.id().to_owned(), resources.to_vec());
        self.engine.run_after_abandoned(move |store| store.attach(&id, &resources)).await
    }

    async fn detach(&self, lease: &Lease, resources: &[Resource]) -> Result<()> {
        self.own("detach resources", lease)?;
        let (id, resources) = (lease.id().to_owned(), resources.to_vec());
        self.engine.run_after_abandoned(move |store| store.detach(&id, &resources)).await
    }

    async fn resources(&self, lease: &Lease) -> Result<Vec<Resource>> {
        self.own("list resources", lease)?;
        let id = lease.id().to_owned();
        self.engine.run_after_abandoned(move |store| store.resources(&id)).await
    }

    async fn renew(&self, lease: &Lease) -> Result<()> {
        self.own("renew lease", lease)?;
        let id = lease.id().to_owned();
        self.engine.run_after_abandoned(move |store| store.renew_lease(&id)).await
    }

    async fn delete(&self, id: &str) -> Result<bool> {
        let id = id.to_owned();
        self.engine.run_after_abandoned(move |store| store.delete_lease(&id)).await
    }

    async fn list(&self) -> Result<Vec<LeaseInfo>> {
        self.engine.run_after_abandoned(|store| store.leases()).await
    }

    fn abandon(&self, id: &str) {
        self.engine.abandon(id);
    }
}
