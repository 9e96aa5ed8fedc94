//! Which ref is the result of which steps, in this store.

use std::sync::Arc;

use bytes::Bytes;
use cache_blobs::embedded::Embedded;
use cache_core::cache::{CacheManager, ImmutableRef};
use cache_core::ports::{BatchOutcome, ContentStore, MetadataChange, MetadataStore, Precondition};
use cache_core::{Digest, ErrorKind, Result};

use crate::build::Step;

/// How the keys of the index begin in the metadata store. The snapshotter's name follows: a ref without layers cannot be
/// used by another one than made it.
const PREFIX: &str = "layercache-step/";

/// The keys of steps: each stands for the step and everything under it.
#[derive(Clone, Debug)]
pub(crate) struct StepChain(Vec<Digest>);

impl StepChain {
    /// The keys of `steps` over a base.
    pub(crate) fn of(base: Option<Digest>, steps: &[Step]) -> Self {
        let mut below = base.map_or_else(|| "scratch".to_owned(), |base| base.to_string());
        let mut key = |step: &Step| {
            let digest = Digest::of(format!("{below} {}", step.record()));
            below = digest.to_string();
            digest
        };
        Self(steps.iter().map(&mut key).collect())
    }

    /// The key of the step `at`.
    pub(crate) fn key(&self, at: usize) -> Digest {
        self.0[at]
    }
}

/// Results of steps by key.
#[derive(Clone, Debug)]
pub(crate) struct StepIndex {
    metadata: Arc<dyn MetadataStore>,
    cache: CacheManager,
    content: Arc<dyn ContentStore>,
    snapshotter: String,
}

impl StepIndex {
    pub(crate) fn new(store: &Embedded) -> Self {
        Self {
            metadata: store.backends.metadata.clone(),
            cache: store.cache.clone(),
            content: store.backends.content.clone(),
            snapshotter: store.backends.snapshotter.name().to_owned(),
        }
    }

    fn name(&self, key: Digest) -> String {
        format!("{PREFIX}{}/{key}", self.snapshotter)
    }

    /// The result of the step `key`, unless it was pruned or damaged.
    pub(crate) async fn find(&self, key: Digest) -> Result<Option<ImmutableRef>> {
        let Some(entry) = self.metadata.get(&self.name(key)).await? else { return Ok(None) };
        let Ok(id) = std::str::from_utf8(&entry.value) else { return Ok(None) };
        match self.cache.get(id).await {
            Ok(found) if self.has_its_blobs(&found).await? => Ok(Some(found)),
            Ok(_) => Ok(None),
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::Busy | ErrorKind::Invalid) => {
                let gone =
                    MetadataChange::Delete { key: entry.key, precondition: Precondition::Revision(entry.revision) };
                if error.kind() == ErrorKind::NotFound {
                    self.metadata.apply(vec![gone]).await?;
                }
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Whether no blob of the layers under `top` was lost, as a repair of the store may find.
    async fn has_its_blobs(&self, top: &ImmutableRef) -> Result<bool> {
        for layer in top.layer_chain().iter().filter_map(ImmutableRef::layer) {
            if self.content.info(&layer.descriptor.digest).await?.is_none() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Remembers `made` as the result of the step `key`. What another process remembered last counts.
    pub(crate) async fn put(&self, key: Digest, made: &ImmutableRef) -> Result<()> {
        let put = MetadataChange::Put {
            key: self.name(key),
            value: Bytes::copy_from_slice(made.id().as_bytes()),
            indexes: Vec::new(),
            precondition: Precondition::Any,
        };
        match self.metadata.apply(vec![put]).await? {
            BatchOutcome::Applied | BatchOutcome::Refused { .. } => Ok(()),
        }
    }
}
