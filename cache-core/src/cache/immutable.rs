//! Refs that never change.

use std::sync::Arc;

use crate::backends::Backends;
use crate::cache::entry::Entry;
use crate::cache::lineage::RefKind;
use crate::cache::record::{Phase, Record};
use crate::digest::Digest;
use crate::error::{Error, ErrorKind, Result};
use crate::layer::Layer;
use crate::ports::LayerMode;
use crate::timestamp::Timestamp;

/// A handle of a ref that never changes. While a handle or a clone of it lives, the ref and all refs under it stay.
///
/// The plain getters tell what this process knows; another process may have added a blob or a name since
/// [`refresh`](Self::refresh).
#[derive(Clone, Debug)]
pub struct ImmutableRef {
    entry: Arc<Entry>,
}

impl ImmutableRef {
    /// A handle of a record, unless that is mutable.
    pub(super) fn new(entry: Arc<Entry>) -> Result<Self> {
        match entry.phase() {
            Phase::Committed | Phase::Finalized => Ok(Self { entry }),
            Phase::Mutable | Phase::Unknown => {
                Err(Error::new(ErrorKind::Busy, "get mutable ref as an immutable one", entry.id()))
            }
        }
    }

    /// A handle of a record that was just committed or found so.
    pub(super) fn from_entry(entry: Arc<Entry>) -> Self {
        Self { entry }
    }

    pub(super) fn entry(&self) -> &Arc<Entry> {
        &self.entry
    }

    /// The entry, if this was the last handle.
    pub(super) fn into_last(self) -> Option<Entry> {
        Arc::into_inner(self.entry)
    }

    fn read<T>(&self, look: impl FnOnce(&Record) -> T) -> T {
        self.entry.read(look)
    }

    /// Its name.
    pub fn id(&self) -> &str {
        self.entry.id()
    }

    /// What kind of ref it is.
    pub fn kind(&self) -> RefKind {
        self.read(|record| record.lineage.kind())
    }

    /// The ref under it.
    pub fn parent(&self) -> Option<Self> {
        self.entry.parent().cloned()
    }

    /// The refs whose layers make its file system, bottom first; the last one is this ref.
    pub fn layer_chain(&self) -> Vec<Self> {
        let mut chain: Vec<_> = std::iter::successors(Some(self.clone()), Self::parent).collect();
        chain.reverse();
        chain
    }

    /// The name under which its snapshot is committed, or will be.
    pub fn snapshot_key(&self) -> String {
        self.read(|record| record.snapshot.clone())
    }

    /// Whether its snapshot can no longer be taken back by
    /// [`CacheManager::get_mutable`](crate::cache::CacheManager::get_mutable).
    pub fn is_finalized(&self) -> bool {
        self.entry.phase() == Phase::Finalized
    }

    /// Its layer, if it has a blob.
    pub fn layer(&self) -> Option<Layer> {
        self.read(Record::layer)
    }

    /// The chain id of its layers, once all of them are known.
    pub fn chain_id(&self) -> Option<Digest> {
        self.read(|record| record.chain_id)
    }

    /// The blob-chain id of its layers, once all of them are known.
    pub fn blob_chain_id(&self) -> Option<Digest> {
        self.read(|record| record.blob_chain_id)
    }

    /// The shape of its layer's tar: Windows's if it or a ref under it was made for Windows.
    pub fn layer_mode(&self) -> LayerMode {
        let windows = |below: &Self| below.read(|record| record.layer_type) == LayerMode::Windows;
        let any = std::iter::successors(Some(self.clone()), Self::parent).any(|below| windows(&below));
        if any { LayerMode::Windows } else { LayerMode::Linux }
    }

    /// What it is, for people; empty if nothing was said.
    pub fn description(&self) -> String {
        self.read(|record| record.description.clone())
    }

    /// When it was created.
    pub fn created_at(&self) -> Timestamp {
        self.read(|record| record.created_at)
    }

    /// When its last handle was dropped, as far as that was noted.
    pub fn last_used_at(&self) -> Option<Timestamp> {
        self.read(|record| record.last_used_at)
    }

    /// How often its last handle was dropped, as far as that was noted.
    pub fn usage_count(&self) -> u64 {
        self.read(|record| record.usage_count)
    }

    /// The images that it comes from, as references, in the order in which they were told.
    pub fn image_names(&self) -> Vec<String> {
        self.read(|record| record.image_names.clone())
    }

    /// The backends of its manager.
    pub fn backends(&self) -> &Backends {
        &self.entry.core().backends
    }

    /// Learns what other processes changed of the record.
    ///
    /// # Errors
    /// The metadata store's own failures.
    pub async fn refresh(&self) -> Result<()> {
        self.entry.refresh().await
    }

    /// Says what it is, for people.
    ///
    /// # Errors
    /// The metadata store's own failures.
    pub async fn set_description(&self, description: &str) -> Result<()> {
        let set = |record: &mut Record| {
            description.clone_into(&mut record.description);
            Ok(())
        };
        self.entry.update(set).await
    }

    /// Adds an image that it comes from, unless that is known.
    ///
    /// # Errors
    /// The metadata store's own failures.
    pub async fn add_image_name(&self, name: &str) -> Result<()> {
        let add = |record: &mut Record| {
            if !record.image_names.iter().any(|known| known == name) {
                record.image_names.push(name.to_owned());
            }
            Ok(())
        };
        self.entry.update(add).await
    }
}
