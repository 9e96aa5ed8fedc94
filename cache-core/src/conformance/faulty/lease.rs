//! Faulty lease managers.

use async_trait::async_trait;

use crate::conformance::faulty::{Fault, Faulty};
use crate::error::{ErrorKind, Result};
use crate::ports::{Lease, LeaseInfo, LeaseKind, LeaseManager, LeaseOptions, Resource};

impl<T: ?Sized> Faulty<T> {
    /// A refusal of a lease, or what a manager that does not look at leases answers.
    fn overlook<R: Default>(&self, result: Result<R>) -> Result<R> {
        match result {
            Err(error) if error.kind() == ErrorKind::Invalid && self.has(Fault::AcceptsDeadLease) => Ok(R::default()),
            result => result,
        }
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl<T: LeaseManager + ?Sized> LeaseManager for Faulty<T> {
    async fn create(&self, options: LeaseOptions) -> Result<Lease> {
        let mut options = options;
        match self.fault {
            Fault::ForgetsLeaseKind => options.kind = LeaseKind::Permanent,
            Fault::ForgetsExpiry => options.expires_after = None,
            Fault::ExpiresAlways => options.expires_after = options.expires_after.or(Some(super::SHORT)),
            Fault::ForgetsLeaseLabels => options.labels.clear(),
            Fault::FreshLeasesShareAName => options.id = options.id.or_else(|| Some("fresh".to_owned())),
            _ => {}
        }
        let shares = matches!(self.fault, Fault::FreshLeasesShareAName | Fault::GivesNamesTwice);
        if let (true, Some(id)) = (shares, &options.id)
            && let Some(lease) = self.inner.get(id).await?
        {
            return Ok(lease);
        }
        let lease = self.inner.create(options).await?;
        let _ = self.accepted.set(lease.clone());
        if self.has(Fault::ListsDeadLeases) {
            let infos = self.inner.list().await?;
            self.dead.lock().unwrap_or_else(std::sync::PoisonError::into_inner).extend(infos);
        }
        Ok(lease)
    }

    async fn get(&self, id: &str) -> Result<Option<Lease>> {
        match (self.fault, self.inner.get(id).await?) {
            (Fault::FindsAnyLease, found) => Ok(found.or_else(|| self.accepted.get().cloned())),
            (Fault::FindsNoLease, _) => Ok(None),
            (_, found) => Ok(found),
        }
    }

    async fn attach(&self, lease: &Lease, resources: &[Resource]) -> Result<()> {
        match self.fault {
            Fault::AttachOmitsOne => self.inner.attach(lease, resources.get(1..).unwrap_or_default()).await,
            Fault::AttachesToEveryLease => {
                for info in self.inner.list().await? {
                    if let Some(other) = self.inner.get(&info.id).await? {
                        self.inner.attach(&other, resources).await?;
                    }
                }
                self.inner.attach(lease, resources).await
            }
            _ => self.overlook(self.inner.attach(lease, resources).await),
        }
    }

    async fn detach(&self, lease: &Lease, resources: &[Resource]) -> Result<()> {
        if self.has(Fault::DetachesEverything) {
            let held = self.inner.resources(lease).await?;
            return self.inner.detach(lease, &held).await;
        }
        self.overlook(self.inner.detach(lease, resources).await)
    }

    async fn resources(&self, lease: &Lease) -> Result<Vec<Resource>> {
        let mut resources = self.overlook(self.inner.resources(lease).await)?;
        if self.has(Fault::OmitsResource) {
            resources.pop();
        }
        Ok(resources)
    }

    async fn renew(&self, lease: &Lease) -> Result<()> {
        if self.has(Fault::RenewsNothing) { Ok(()) } else { self.overlook(self.inner.renew(lease).await) }
    }

    async fn delete(&self, id: &str) -> Result<bool> {
        match self.fault {
            Fault::DeletesNoLease => Ok(self.inner.get(id).await?.is_some()),
            Fault::DeleteSaysYesAlways => self.inner.delete(id).await.map(|_| true),
            _ => self.inner.delete(id).await,
        }
    }

    async fn list(&self) -> Result<Vec<LeaseInfo>> {
        let mut leases = self.inner.list().await?;
        match self.fault {
            Fault::ListsDeadLeases => {
                let dead = self.dead.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                let dead: Vec<_> = dead.iter().filter(|dead| leases.iter().all(|info| info.id != dead.id)).collect();
                leases.extend(dead.into_iter().cloned());
            }
            Fault::OmitsLease => drop(leases.pop()),
            _ => {}
        }
        Ok(leases)
    }

    fn abandon(&self, id: &str) {
        if !self.has(Fault::AbandonsNothing) {
            self.inner.abandon(id);
        }
    }
}
