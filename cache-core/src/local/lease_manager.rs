//! The lease manager.

use std::sync::{Arc, Weak};

use async_trait::async_trait;

use crate::error::Result;
use crate::local::engine::{Engine, foreign};
use crate::ports::{Lease, LeaseInfo, LeaseKind, LeaseManager, LeaseOptions, Resource};

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
        // A lease that only its creator could end ends with a call that was dropped.
        let is_ours_alone = options.id.is_none() || options.kind == LeaseKind::Temporary;
        let engine = Arc::clone(&self.engine);
        let created = self.engine.run_after_abandoned(move |store| {
            let id = store.create_lease(&options)?;
            Ok(Unclaimed { id, engine: is_ours_alone.then_some(engine) })
        });
        Ok(self.give(&created.await?.claim()))
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

/// A new lease on its way to the caller. Dropped on the way, it is abandoned.
#[derive(Debug)]
struct Unclaimed {
    id: String,
    /// `None` if it is claimed, or others may know it by its name.
    engine: Option<Arc<Engine>>,
}

impl Unclaimed {
    fn claim(mut self) -> String {
        self.engine = None;
        std::mem::take(&mut self.id)
    }
}

impl Drop for Unclaimed {
    fn drop(&mut self) {
        if let Some(engine) = self.engine.take() {
            engine.abandon(&self.id);
        }
    }
}
