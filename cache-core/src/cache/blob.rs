//! Giving a ref its blob.

use crate::cache::immutable::ImmutableRef;
use crate::cache::record::{Record, StoredLayer};
use crate::digest::Digest;
use crate::error::{Error, ErrorKind, Result};
use crate::layer::{Layer, child_chain_id};
use crate::ports::{ContentStore, Lease, Resource};

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
    /// A dropped call gave the layer or not.
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
        let own = core.lease(entry.id()).await?;
        let resource = [Resource::Content(layer.descriptor.digest)];
        core.backends.leases.attach(&own, &resource).await?;
        entry.update(|record| set_first(record, layer, ids)).await?;
        let first = self.layer().unwrap_or_else(|| layer.clone());
        if first.descriptor.digest != layer.descriptor.digest {
            core.backends.leases.detach(&own, &resource).await?;
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
