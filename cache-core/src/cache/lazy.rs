//! Refs whose blobs are elsewhere until somebody needs them.

use std::sync::Arc;

use async_trait::async_trait;
use futures::FutureExt;
use futures::stream::{self, StreamExt, TryStreamExt};

use crate::cache::core::{Core, Task};
use crate::cache::entry::Entry;
use crate::cache::immutable::ImmutableRef;
use crate::cache::missing::MissingBlobs;
use crate::cache::record::Record;
use crate::descriptor::Descriptor;
use crate::error::{Error, ErrorKind, Result};
use crate::layer::Layer;
use crate::ports::{ExportTarget, Ingester, Leased, LockMode, Provider};
use crate::variants::link_variant;

/// Blobs of one chain that are pulled at the same time. Each holds a connection of its source and an ingest.
const CONCURRENT_PULLS: usize = 4;

/// Where the blob of a lazy ref can be had. Mirrors: BuildKit `cache/opts.go`, `DescHandler`.
#[async_trait]
pub trait LazyBlob: Provider {
    /// Copies the blob of `descriptor` to `target`, whole and verified, as the ingest `key`.
    ///
    /// # Errors
    /// `NotFound` if it is not there any more; `Corrupt` for another blob; what the source and the target give. What was
    /// copied so far may be kept for the next call.
    ///
    /// # Cancel safety
    /// A dropped call leaves nothing visible.
    async fn copy_to(&self, descriptor: &Descriptor, target: &dyn ExportTarget, key: &str) -> Result<()>;
}

impl ImmutableRef {
    /// Whether it has a blob that the store has not.
    ///
    /// # Errors
    /// The store's own failures.
    pub async fn is_lazy(&self) -> Result<bool> {
        match self.layer() {
            Some(layer) => self.entry().core().is_absent(&layer).await,
            None => Ok(false),
        }
    }

    /// Where its blob can be had, as far as this process was told.
    pub fn source(&self) -> Option<Arc<dyn LazyBlob>> {
        self.entry().source()
    }

    /// Tells all handles of the ref in this process where its blob can be had, unless they know.
    pub fn provide(&self, source: Arc<dyn LazyBlob>) {
        self.entry().provide(source);
    }

    /// The blobs of it and of the refs under it that the store has not, and of which this process was not told where they are.
    ///
    /// # Errors
    /// The store's own failures.
    ///
    /// Mirrors: BuildKit `cache/manager.go`, `checkLazyProviders`.
    pub async fn missing_blobs(&self) -> Result<MissingBlobs> {
        let mut missing = Vec::new();
        for below in self.layer_chain() {
            if let Some(layer) = below.layer().filter(|_| below.source().is_none())
                && below.entry().core().is_absent(&layer).await?
            {
                missing.push(layer.descriptor.digest);
            }
        }
        Ok(MissingBlobs::new(missing))
    }

    /// Makes sure that the store has its blob and those of all refs under it, as [`make_present`](Self::make_present) does of one,
    /// several at a time.
    ///
    /// # Errors
    /// `NotFound` with all [`MissingBlobs`] of which nobody told where they are, before anything is pulled; as
    /// [`make_present`](Self::make_present).
    ///
    /// # Cancel safety
    /// As [`make_present`](Self::make_present).
    ///
    /// Mirrors: BuildKit `cache/remote.go`, `lazyMultiProvider.Unlazy`.
    pub async fn make_chain_present(&self) -> Result<()> {
        let missing = self.missing_blobs().await?;
        if missing.is_empty() {
            make_all_present(&self.layer_chain()).await
        } else {
            Err(missing.into_error(self.id()))
        }
    }

    /// Makes sure that the store has its blob, if it has one: pulls it whole from its source, once for all who want the
    /// blob now, in whatever process. From then on the blob remembers what it is called, and a ref without a description is
    /// `pulled from` its first image name.
    ///
    /// # Errors
    /// `NotFound` with [`MissingBlobs`] if nobody told where it is; as [`LazyBlob::copy_to`]; the store's own failures.
    ///
    /// # Cancel safety
    /// A dropped call leaves the blob there or not, and perhaps bytes from which the next one goes on.
    ///
    /// Mirrors: BuildKit `cache/remote.go`, `lazyRefProvider.Unlazy`.
    pub async fn make_present(&self) -> Result<()> {
        let Some(layer) = self.layer() else { return Ok(()) };
        let core = self.entry().core();
        if !core.is_absent(&layer).await? {
            return Ok(());
        }
        let task = Task::Pull(layer.descriptor.digest);
        core.tasks.run(task, || pull(Arc::clone(self.entry()))).await
    }
}

/// Makes the blobs of `refs` present, a bounded number at a time.
pub(super) async fn make_all_present(refs: &[ImmutableRef]) -> Result<()> {
    let work: Vec<_> = refs.iter().map(|of| of.make_present().boxed()).collect();
    stream::iter(work).buffer_unordered(CONCURRENT_PULLS).try_collect().await
}

impl Core {
    async fn is_absent(&self, layer: &Layer) -> Result<bool> {
        Ok(self.backends.content.info(&layer.descriptor.digest).await?.is_none())
    }
}

async fn pull(entry: Arc<Entry>) -> Result<()> {
    let core = entry.core();
    let layer = entry.read(Record::layer);
    let layer = layer.ok_or_else(|| Error::new(ErrorKind::NotFound, "pull the blob of ref without one", entry.id()))?;
    let digest = layer.descriptor.digest;
    let source = entry.source().ok_or_else(|| MissingBlobs::new([digest]).into_error(entry.id()))?;
    // Other processes may be at it.
    let _alone = core.backends.locks.acquire(&format!("pull/{digest}"), LockMode::Exclusive).await?;
    if core.is_absent(&layer).await? {
        let lease = core.lease(entry.id()).await?;
        let content = Arc::clone(&core.backends.content) as Arc<dyn Ingester>;
        let target = Leased::new(content, lease);
        source.copy_to(&layer.descriptor, &target, &format!("pull-{digest}")).await?;
    }
    link_variant(core.backends.content.as_ref(), &layer, &layer).await?;
    entry.update(describe).await
}

fn describe(record: &mut Record) -> Result<()> {
    if let (true, Some(name)) = (record.description.is_empty(), record.image_names.first()) {
        record.description = format!("pulled from {name}");
    }
    Ok(())
}
