//! What records hold, each thing counted once.

use std::collections::BTreeMap;

use crate::cache::core::Core;
use crate::error::{ErrorKind, Result};
use crate::ports::Resource;
use crate::variants::VariantWalk;

/// The sizes of all resources of all records, and how many records hold each.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    items: BTreeMap<Resource, Item>,
    total: u64,
    records: BTreeMap<String, Vec<Resource>>,
}

#[derive(Clone, Copy, Debug)]
struct Item {
    bytes: u64,
    holders: u64,
}

impl Ledger {
    /// Bytes of everything.
    pub(super) fn total(&self) -> u64 {
        self.total
    }

    /// Notes that the record `id` holds `resources`; the bytes of those that no earlier record held.
    fn enter(&mut self, id: &str, resources: Vec<(Resource, u64)>) -> u64 {
        let mut fresh = 0;
        let mut held = Vec::with_capacity(resources.len());
        for (resource, bytes) in resources {
            let item = self.items.entry(resource.clone()).or_insert(Item { bytes, holders: 0 });
            if item.holders == 0 {
                fresh += item.bytes;
            }
            item.holders += 1;
            held.push(resource);
        }
        self.records.insert(id.to_owned(), held);
        self.total += fresh;
        fresh
    }

    /// Whether another record holds something of the record `id`.
    pub(super) fn is_shared(&self, id: &str) -> bool {
        self.held(id).any(|resource| self.items.get(resource).is_some_and(|item| item.holders > 1))
    }

    /// What the record `id` holds.
    pub(super) fn held(&self, id: &str) -> impl Iterator<Item = &Resource> {
        self.records.get(id).into_iter().flatten()
    }

    /// Takes the record `id` out; the bytes that nobody else holds.
    pub(super) fn leave(&mut self, id: &str) -> u64 {
        let mut freed = 0;
        for resource in self.records.remove(id).unwrap_or_default() {
            let Some(item) = self.items.get_mut(&resource) else { continue };
            item.holders = item.holders.saturating_sub(1);
            if item.holders == 0 {
                freed += item.bytes;
                self.items.remove(&resource);
            }
        }
        self.total -= freed;
        freed
    }
}

impl Core {
    /// Notes what the lease of the record `id` holds; the bytes of what no earlier record held.
    pub(super) async fn enter(&self, ledger: &mut Ledger, id: &str) -> Result<u64> {
        let mut resources = BTreeMap::new();
        for resource in self.resources_of(id).await? {
            for resource in self.with_variants(resource).await? {
                let bytes = match ledger.items.get(&resource) {
                    Some(item) => item.bytes,
                    None => self.bytes_of(&resource).await?,
                };
                resources.insert(resource, bytes);
            }
        }
        Ok(ledger.enter(id, resources.into_iter().collect()))
    }

    /// What is held with `resource`: of a blob, its variants.
    async fn with_variants(&self, resource: Resource) -> Result<Vec<Resource>> {
        let Resource::Content(blob) = resource else { return Ok(vec![resource]) };
        let mut walk = VariantWalk::new(self.backends.content.as_ref(), blob);
        let mut held = vec![resource];
        while let Some(info) = walk.next().await? {
            if info.digest != blob {
                held.push(Resource::Content(info.digest));
            }
        }
        Ok(held)
    }

    async fn resources_of(&self, lease: &str) -> Result<Vec<Resource>> {
        let leases = &self.backends.leases;
        let Some(lease) = leases.get(lease).await? else { return Ok(Vec::new()) };
        match leases.resources(&lease).await {
            // The record was removed meanwhile.
            Err(error) if error.kind() == ErrorKind::Invalid => Ok(Vec::new()),
            resources => resources,
        }
    }

    /// The disk that a resource takes; nothing if it does not exist, or does not exist yet.
    async fn bytes_of(&self, resource: &Resource) -> Result<u64> {
        match resource {
            Resource::Content(digest) => self.backends.content.disk_bytes(digest).await,
            Resource::Snapshot { snapshotter, key } if snapshotter == self.backends.snapshotter.name() => {
                match self.backends.snapshotter.usage(key).await {
                    Err(error) if error.kind() == ErrorKind::NotFound => Ok(0),
                    usage => Ok(usage?.bytes),
                }
            }
            Resource::Snapshot { .. } | Resource::Ingest(_) | Resource::Image(_) => Ok(0),
        }
    }
}
