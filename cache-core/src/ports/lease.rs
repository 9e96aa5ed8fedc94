//! Leases: what holds things in a collected store.

use std::fmt::{self, Debug};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::digest::Digest;
use crate::error::Result;
use crate::labels::Labels;
use crate::timestamp::Timestamp;

/// The right to create things in the stores of one [`LeaseManager`], and what keeps them there.
///
/// It is a name and the manager that gave it, not the lease's life: dropping a clone changes nothing. See
/// [`TemporaryLease`] for a lease that ends with its scope.
#[derive(Clone)]
pub struct Lease {
    id: String,
    manager: Arc<dyn LeaseManager>,
}

impl Lease {
    /// The lease `id` of `manager`. Only a [`LeaseManager`] calls this, for a lease that exists.
    pub fn new(id: impl Into<String>, manager: Arc<dyn LeaseManager>) -> Self {
        Self { id: id.into(), manager }
    }

    /// The name.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The manager that gave it.
    pub fn manager(&self) -> &Arc<dyn LeaseManager> {
        &self.manager
    }
}

impl Debug for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lease").field("id", &self.id).finish_non_exhaustive()
    }
}

/// Something that a lease can hold.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Resource {
    /// A blob.
    Content(Digest),
    /// An ingest, by key.
    Ingest(String),
    /// A snapshot.
    Snapshot {
        /// The snapshotter's name.
        snapshotter: String,
        /// The snapshot's key or name.
        key: String,
    },
    /// An image name.
    Image(String),
}

/// How a lease ends and how far it reaches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum LeaseKind {
    /// It lasts until it is deleted, and keeps what its resources name by labels too.
    #[default]
    Permanent,
    /// It lasts until it is deleted, and keeps just its resources and the parents of its snapshots
    /// (`containerd.io/gc.flat`).
    Flat,
    /// It also ends with the process that made it.
    Temporary,
}

/// A new lease.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct LeaseOptions {
    /// Its name; `None` for a fresh one.
    pub id: Option<String>,
    /// How it ends and how far it reaches.
    pub kind: LeaseKind,
    /// After how long it ends by itself, counted from its creation or last renewal.
    pub expires_after: Option<Duration>,
    /// Labels.
    pub labels: Labels,
}

impl LeaseOptions {
    /// A lease of `kind` with a fresh name.
    pub fn new(kind: LeaseKind) -> Self {
        Self { kind, ..Self::default() }
    }

    /// The same under the name `id`.
    #[must_use]
    pub fn with_id(mut self, id: impl Into<String>) -> Self {
        self.id = Some(id.into());
        self
    }

    /// The same, ending by itself after `duration`.
    #[must_use]
    pub fn with_expiry(mut self, duration: Duration) -> Self {
        self.expires_after = Some(duration);
        self
    }

    /// The same with `labels`.
    #[must_use]
    pub fn with_labels(mut self, labels: Labels) -> Self {
        self.labels = labels;
        self
    }
}

/// What a manager knows of a lease.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeaseInfo {
    /// Its name.
    pub id: String,
    /// How it ends and how far it reaches.
    pub kind: LeaseKind,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it ends by itself.
    pub expires_at: Option<Timestamp>,
    /// Its labels.
    pub labels: Labels,
}

/// Gives out leases. Mirrors: containerd `core/leases.Manager`.
///
/// # Cancel safety
/// A dropped call made its change as a whole or not at all. A lease that a dropped [`create`](Self::create) made ends as its
/// kind says.
#[async_trait]
pub trait LeaseManager: Send + Sync + Debug + 'static {
    /// Creates a lease.
    ///
    /// # Errors
    /// `AlreadyExists` if the wanted name is taken.
    async fn create(&self, options: LeaseOptions) -> Result<Lease>;

    /// The live lease `id`; `None` if there is none or it has expired.
    ///
    /// # Errors
    /// The backend's own failures.
    async fn get(&self, id: &str) -> Result<Option<Lease>>;

    /// Lets `lease` hold `resources`. Holding twice is fine; the resources need not exist.
    ///
    /// # Errors
    /// `Invalid` if the lease is dead.
    async fn attach(&self, lease: &Lease, resources: &[Resource]) -> Result<()>;

    /// Lets `lease` no longer hold `resources`. Those it does not hold are no error.
    ///
    /// # Errors
    /// `Invalid` if the lease is dead.
    async fn detach(&self, lease: &Lease, resources: &[Resource]) -> Result<()>;

    /// What `lease` holds, in any order.
    ///
    /// # Errors
    /// `Invalid` if the lease is dead.
    async fn resources(&self, lease: &Lease) -> Result<Vec<Resource>>;

    /// Counts the expiry of `lease` from now.
    ///
    /// # Errors
    /// `Invalid` if the lease is dead.
    async fn renew(&self, lease: &Lease) -> Result<()>;

    /// Ends the lease `id`; whether there was one. What only it held can be collected from now on.
    ///
    /// # Errors
    /// The backend's own failures.
    async fn delete(&self, id: &str) -> Result<bool>;

    /// Every live lease, in any order.
    ///
    /// # Errors
    /// The backend's own failures.
    async fn list(&self) -> Result<Vec<LeaseInfo>>;

    /// Notes that nobody will delete the temporary lease `id`. Never blocks: the manager deletes it at its next
    /// operation, or at the latest when the process ends.
    fn abandon(&self, id: &str);
}

/// A temporary lease that ends with its scope: at [`release`](Self::release), or as
/// [abandoned](LeaseManager::abandon) when it is dropped.
#[derive(Debug)]
pub struct TemporaryLease {
    lease: Option<Lease>,
}

impl TemporaryLease {
    /// A fresh temporary lease of `manager`.
    ///
    /// # Errors
    /// The backend's own failures.
    pub async fn create(manager: &dyn LeaseManager) -> Result<Self> {
        let lease = manager.create(LeaseOptions::new(LeaseKind::Temporary)).await?;
        Ok(Self { lease: Some(lease) })
    }

    /// The lease.
    pub fn lease(&self) -> &Lease {
        self.lease.as_ref().expect("only release and drop take the lease")
    }

    /// Lets `target` hold everything that this lease holds.
    ///
    /// # Errors
    /// `Invalid` if either lease is dead.
    pub async fn adopt_into(&self, target: &Lease) -> Result<()> {
        let resources = self.lease().manager().resources(self.lease()).await?;
        if resources.is_empty() { Ok(()) } else { target.manager().attach(target, &resources).await }
    }

    /// Ends the lease now.
    ///
    /// # Errors
    /// The backend's own failures.
    pub async fn release(mut self) -> Result<()> {
        let lease = self.lease().clone();
        lease.manager().delete(lease.id()).await?;
        self.lease = None;
        Ok(())
    }
}

impl Drop for TemporaryLease {
    fn drop(&mut self) {
        if let Some(lease) = self.lease.take() {
            lease.manager().abandon(lease.id());
        }
    }
}
