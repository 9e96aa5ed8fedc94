//! Blobs that outlive the run that made them, though no ref has them.

use cache_blobs::embedded::Embedded;
use cache_core::ports::{LeaseKind, LeaseManager, LeaseOptions, Resource};
use cache_core::{Digest, Result};

/// Keeps the blob beyond this run: a lease named after it holds it until `prune --all`.
pub(crate) async fn keep(store: &Embedded, digest: Digest) -> Result<()> {
    let id = format!("{}{digest}", crate::prune::KEPT_BLOB);
    let lease = match store.local.leases.get(&id).await? {
        Some(lease) => lease,
        None => store.local.leases.create(LeaseOptions::new(LeaseKind::Flat).with_id(id)).await?,
    };
    store.local.leases.attach(&lease, &[Resource::Content(digest)]).await
}
