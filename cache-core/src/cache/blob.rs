//! Giving a ref its blob.

use std::sync::{Arc, Weak};

use crate::cache::core::{Core, lease_of};
use crate::cache::immutable::ImmutableRef;
use crate::cache::record::{Record, StoredLayer};
use crate::cache::records::Records;
use crate::digest::Digest;
use crate::error::{Error, ErrorKind, Result};
use crate::layer::{Layer, child_chain_id};
use crate::ports::{ContentStore, Lease, LeaseManager, Resource};

/// The digests that identify a chain of layers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ChainIds {
    pub(super) chain: Digest,
    pub(super) blob_chain: Digest,
}

impl ChainIds {
    /// The ids of `layer` on top of `parent`, which must have its own: ids that were folded from a missing parent would
    /// stand for something else, and for good, because the first ones are kept.
    pub(super) fn over(parent: Option<&ImmutableRef>, layer: &Layer) -> Result<Self> {
        let below = match parent {
            None => None,
            Some(parent) => match (parent.chain_id(), parent.blob_chain_id()) {
                (Some(chain), Some(blob_chain)) => Some(Self { chain, blob_chain }),
                _ => return Err(Error::new(ErrorKind::Invalid, "address layer over ref without a blob", parent.id())),
            },
        };
        Ok(Self {
            chain: child_chain_id(below.map(|ids| ids.chain), layer.diff_id),
            blob_chain: child_chain_id(below.map(|ids| ids.blob_chain), layer.blob_id()),
        })
    }
}

/// Refuses a blob that the store lacks, or has in another length.
pub(super) async fn check_blob(content: &dyn ContentStore, layer: &Layer) -> Result<()> {
    let descriptor = &layer.descriptor;
    let info = content.info(&descriptor.digest).await?;
    let info = info.ok_or_else(|| Error::new(ErrorKind::NotFound, "find blob of layer", descriptor.digest))?;
    if info.size != descriptor.size {
        return Err(Error::new(ErrorKind::Invalid, "use blob under another size", descriptor.digest));
    }
    Ok(())
}

impl ImmutableRef {
    /// Gives the ref its layer, whose blob `lease` holds, and finalizes it. The first layer stays: what is returned is the
    /// layer that the ref has now. Its chain ids are those of the parent with this layer on top.
    ///
    /// # Errors
    /// `NotFound` if there is no such blob; `Invalid` if it has another size, if the refs under this one have no blobs, or
    /// if `lease` is dead; the backends' own failures.
    ///
    /// # Cancel safety
    /// A dropped call gave the layer or not. Once it has begun to, the manager's next operation goes on with it.
    ///
    /// Mirrors: BuildKit `cache/blobs.go`, `setBlob` and `computeChainMetadata`; unlike that, a layer is never addressed
    /// without its parent.
    pub async fn set_blob(&self, lease: &Lease, layer: &Layer) -> Result<Layer> {
        let entry = self.entry();
        let core = entry.core();
        core.check_lease(lease).await?;
        check_blob(core.backends.content.as_ref(), layer).await?;
        if let Some(first) = self.layer() {
            return Ok(first);
        }
        self.finalize().await?;
        if let Some(parent) = entry.parent().filter(|parent| parent.chain_id().is_none()) {
            // Another process may have given it its blob.
            parent.refresh().await?;
        }
        let ids = ChainIds::over(entry.parent(), layer)?;
        let giving = Giving {
            records: core.records.clone(),
            leases: Arc::clone(&core.backends.leases),
            core: Arc::downgrade(core),
            id: entry.id().to_owned(),
            layer: layer.clone(),
            ids,
        };
        core.complete(entry.in_use(), giving.run()).await
    }
}

/// The two steps by which a record gets its blob: its lease holds the blob, then the record names it. The other order could
/// lose the blob; between the two there is a blob that no record names.
struct Giving {
    records: Records,
    leases: Arc<dyn LeaseManager>,
    core: Weak<Core>,
    id: String,
    layer: Layer,
    ids: ChainIds,
}

impl Giving {
    /// The layer that the record has then.
    async fn run(self) -> Result<Layer> {
        let given = self.give().await;
        if let (Err(_), Some(core)) = (&given, self.core.upgrade()) {
            core.deferred.unsettle(&self.id);
        }
        given
    }

    async fn give(&self) -> Result<Layer> {
        let own = lease_of(self.leases.as_ref(), &self.id).await?;
        let resource = [Resource::Content(self.layer.descriptor.digest)];
        self.leases.attach(&own, &resource).await?;
        let loaded = self.records.update(&self.id, |record| set_first(record, &self.layer, self.ids)).await?;
        let first = loaded.record.layer().unwrap_or_else(|| self.layer.clone());
        if let Some(entry) = self.core.upgrade().and_then(|core| core.live(&self.id)) {
            entry.learn(loaded);
        }
        if first.descriptor.digest != self.layer.descriptor.digest {
            self.leases.detach(&own, &resource).await?;
        }
        Ok(first)
    }
}

fn set_first(record: &mut Record, layer: &Layer, ids: ChainIds) -> Result<()> {
    if record.layer.is_none() {
        set(record, layer, ids);
    }
    Ok(())
}

/// Writes a layer with its ids into a record.
pub(super) fn set(record: &mut Record, layer: &Layer, ids: ChainIds) {
    record.layer = Some(StoredLayer::from(layer));
    record.chain_id = Some(ids.chain);
    record.blob_chain_id = Some(ids.blob_chain);
}
