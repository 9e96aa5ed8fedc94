//! Refs from blobs.

use std::sync::Arc;

use crate::cache::blob::{self, ChainIds, check_blob};
use crate::cache::core::Core;
use crate::cache::create::Birth;
use crate::cache::immutable::ImmutableRef;
use crate::cache::lazy::LazyBlob;
use crate::cache::manager::CacheManager;
use crate::cache::options::RefOptions;
use crate::cache::record::{BLOB_CHAIN_INDEX, CHAIN_INDEX, Phase, Record};
use crate::error::{ErrorKind, Result};
use crate::layer::Layer;
use crate::ports::{Lease, Resource};

impl CacheManager {
    /// The ref that is `layer` on top of `parent`, or on nothing. A ref with the same blob chain is given as it is; else a
    /// new one is made, which shares the snapshot of a ref with the same chain id, and otherwise is unpacked when it is
    /// first needed. `lease` holds the blob until the ref does.
    ///
    /// Of `options`, an existing ref takes the image name, and the description if it has none.
    ///
    /// # Errors
    /// `NotFound` if there is no such blob; `Invalid` if it has another size, if `parent` has no blob or is of another
    /// manager, or if `lease` is dead; the backends' own failures.
    ///
    /// # Cancel safety
    /// What a dropped call began is removed by the manager's next operation, or by the next open.
    ///
    /// Mirrors: BuildKit `cache/manager.go`, `GetByBlob`.
    pub async fn get_by_blob(
        &self,
        lease: &Lease,
        layer: &Layer,
        parent: Option<&ImmutableRef>,
        options: RefOptions,
    ) -> Result<ImmutableRef> {
        self.find_by_blob(lease, layer, None, parent, options).await
    }

    /// As [`get_by_blob`](Self::get_by_blob), for a blob that may be elsewhere: it is pulled from `source` when somebody
    /// reads it through a remote of the ref, or mounts the ref or one above it. An existing ref learns of `source`, too.
    ///
    /// # Errors
    /// As [`get_by_blob`](Self::get_by_blob); nothing is asked of `source`.
    ///
    /// # Cancel safety
    /// As [`get_by_blob`](Self::get_by_blob).
    ///
    /// Mirrors: BuildKit `cache/manager.go`, `GetByBlob` with a descriptor handler.
    pub async fn get_by_remote_blob(
        &self,
        lease: &Lease,
        layer: &Layer,
        source: Arc<dyn LazyBlob>,
        parent: Option<&ImmutableRef>,
        options: RefOptions,
    ) -> Result<ImmutableRef> {
        self.find_by_blob(lease, layer, Some(source), parent, options).await
    }

    async fn find_by_blob(
        &self,
        lease: &Lease,
        layer: &Layer,
        source: Option<Arc<dyn LazyBlob>>,
        parent: Option<&ImmutableRef>,
        options: RefOptions,
    ) -> Result<ImmutableRef> {
        self.core.settle().await;
        self.core.check_lease(lease).await?;
        if let Some(parent) = parent {
            self.core.check_own(parent)?;
            parent.finalize().await?;
            if parent.chain_id().is_none() {
                parent.refresh().await?;
            }
        }
        let ids = ChainIds::over(parent, layer)?;
        let wanted = Wanted { layer: layer.clone(), source, parent: parent.cloned(), options, ids };
        let find = || find_or_make(Arc::clone(&self.core), wanted.clone());
        let found = self.core.by_blob.run(ids.blob_chain, find).await?;
        if let Some(source) = &wanted.source {
            found.provide(Arc::clone(source));
        }
        found.entry().give_out();
        found.tell(&wanted.options).await?;
        Ok(found)
    }
}

impl ImmutableRef {
    /// Adds to the record what `options` say of an existing ref.
    async fn tell(&self, options: &RefOptions) -> Result<()> {
        let tell = |record: &mut Record| {
            let name = options.image_name.iter().filter(|name| !record.image_names.contains(name));
            let name = name.cloned().collect::<Vec<_>>();
            record.image_names.extend(name);
            if let (true, Some(description)) = (record.description.is_empty(), &options.description) {
                record.description.clone_from(description);
            }
            Ok(())
        };
        self.entry().update(tell).await
    }
}

#[derive(Clone)]
struct Wanted {
    layer: Layer,
    source: Option<Arc<dyn LazyBlob>>,
    parent: Option<ImmutableRef>,
    options: RefOptions,
    ids: ChainIds,
}

async fn find_or_make(core: Arc<Core>, wanted: Wanted) -> Result<ImmutableRef> {
    for id in core.records.ids_by(BLOB_CHAIN_INDEX, wanted.ids.blob_chain).await? {
        if let Some(found) = core.open_candidate(&id).await? {
            return Ok(found);
        }
    }
    let twin = core.materialised_twin(&wanted).await?;
    let snapshot = twin.as_ref().map_or_else(|| wanted.ids.chain.to_string(), ImmutableRef::snapshot_key);
    let birth = Birth::begin(&core).await?;
    let resources = [
        Resource::Content(wanted.layer.descriptor.digest),
        Resource::Snapshot { snapshotter: core.backends.snapshotter.name().to_owned(), key: snapshot.clone() },
    ];
    let lease = birth.lease().clone();
    birth.complete(async move { lease.manager().attach(&lease, &resources).await }).await?;
    // Held from here on; so it is still there when the record points to it.
    match check_blob(core.backends.content.as_ref(), &wanted.layer).await {
        Err(error) if error.kind() == ErrorKind::NotFound && wanted.source.is_some() => {}
        checked => checked?,
    }
    let mut record = birth.record(wanted.parent.as_ref(), Phase::Finalized, &wanted.options, &snapshot);
    blob::set(&mut record, &wanted.layer, wanted.ids);
    let entry = birth.finish(record, wanted.parent.as_ref()).await?;
    drop(twin);
    Ok(ImmutableRef::from_entry(entry))
}

impl Core {
    /// The ref `id` that an index named, unless it went away or cannot be read.
    async fn open_candidate(self: &Arc<Self>, id: &str) -> Result<Option<ImmutableRef>> {
        match self.open(id).await {
            Ok(found) => Ok(Some(found)),
            Err(error) if is_of_no_use(error.kind()) => {
                tracing::debug!(id, %error, "an indexed ref is of no use");
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// A ref with the same chain id whose snapshot is there.
    async fn materialised_twin(self: &Arc<Self>, wanted: &Wanted) -> Result<Option<ImmutableRef>> {
        for id in self.records.ids_by(CHAIN_INDEX, wanted.ids.chain).await? {
            if let Some(twin) = self.open_candidate(&id).await?
                && self.backends.snapshotter.stat(&twin.snapshot_key()).await?.is_some()
            {
                return Ok(Some(twin));
            }
        }
        Ok(None)
    }
}

fn is_of_no_use(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::NotFound | ErrorKind::Unsupported | ErrorKind::Corrupt)
}
