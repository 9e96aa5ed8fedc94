//! The suite for collectors together with the stores and leases that they serve.
//! Mirrors: containerd `core/metadata/gc_test.go` and `content_test.go`.

pub mod freed;
pub mod held;
pub mod image;
pub mod label;
pub mod lease_kind;

use std::any::Any;
use std::sync::Arc;

use crate::conformance::blob::put;
use crate::conformance::require::require;
use crate::conformance::sample::sample;
use crate::conformance::{Outcome, SuiteClock, Unmet};
use crate::digest::Digest;
use crate::error::Result;
use crate::labels::Labels;
use crate::ports::{Collected, Collector, ContentStore, ImageStore, Lease, LeaseManager, LeaseOptions};

/// A collector and empty stores that it collects from.
#[derive(Debug)]
pub struct CollectorSubject {
    collector: Arc<dyn Collector>,
    content: Arc<dyn ContentStore>,
    leases: Arc<dyn LeaseManager>,
    images: Option<Arc<dyn ImageStore>>,
    clock: SuiteClock,
    _keep: Option<Box<dyn Any + Send + Sync>>,
}

impl CollectorSubject {
    /// `collector`, the empty content store that it collects from, the manager of that store's leases, and the clock by
    /// which they expire.
    pub fn new(
        collector: Arc<dyn Collector>,
        content: Arc<dyn ContentStore>,
        leases: Arc<dyn LeaseManager>,
        clock: SuiteClock,
    ) -> Self {
        Self { collector, content, leases, images: None, clock, _keep: None }
    }

    /// The same, where the names of `images`, which has none, are roots too.
    #[must_use]
    pub fn with_images(mut self, images: Arc<dyn ImageStore>) -> Self {
        self.images = Some(images);
        self
    }

    /// The same, holding `keep` (a temporary directory, a server) until the check has ended.
    #[must_use]
    pub fn keeping(mut self, keep: impl Any + Send + Sync) -> Self {
        self._keep = Some(Box::new(keep));
        self
    }

    async fn lease(&self) -> Result<Lease> {
        self.leases.create(LeaseOptions::default()).await
    }

    /// A blob with `labels`, held by `lease`.
    async fn blob(&self, lease: &Lease, seed: u64, labels: Labels) -> Result<Digest, Unmet> {
        Ok(put(&*self.content, lease, &format!("blob {seed}"), &sample(seed, 1000), labels).await?.digest)
    }

    /// Requires that after a collection just `kept` of `kept` and `freed` are there, and that the collector counts the
    /// others.
    async fn collects(&self, kept: &[Digest], freed: &[Digest]) -> Outcome {
        let before = self.there(freed).await?;
        let collected = self.collector.collect().await?;
        for digest in kept {
            require(self.content.info(digest).await?.is_some(), &format!("what is reached stays: {digest}"))?;
        }
        require(self.there(freed).await? == 0, "what nothing reaches is freed")?;
        require(collected.blobs == before, "the blobs that were freed are counted")
    }

    async fn there(&self, digests: &[Digest]) -> Result<u64, Unmet> {
        let mut there = 0;
        for digest in digests {
            there += u64::from(self.content.info(digest).await?.is_some());
        }
        Ok(there)
    }
}

/// Nothing was there to free.
const NOTHING: Collected = Collected { blobs: 0, snapshots: 0, ingests: 0, bytes: 0 };

suite! {
    ($)
    /// One `#[test]` for every check of [`conformance::collector`](crate::conformance::collector), each on a fresh
    /// subject of the given factory.
    collector_conformance, collector, CollectorSubject;
    freed::what_nobody_holds_is_gone,
    freed::an_empty_store_has_nothing_to_free,
    freed::a_second_collection_frees_nothing,
    freed::what_was_freed_can_be_committed_again,
    freed::an_open_reader_reads_on,
    freed::a_kept_ingest_goes_with_its_lease,
    freed::what_an_abandoned_lease_held_is_gone,
    held::a_blob_stays_until_its_last_lease_ends,
    held::what_was_there_already_is_held,
    held::what_is_attached_stays_and_what_is_detached_goes,
    held::a_kept_ingest_stays_with_its_lease,
    held::an_open_writer_is_not_disturbed,
    held::an_ingest_keeps_what_it_expects,
    held::a_lease_may_hold_what_is_not_there,
    lease_kind::an_expired_lease_holds_nothing,
    lease_kind::a_renewed_lease_holds_on,
    lease_kind::a_flat_lease_follows_no_labels,
    lease_kind::a_flat_lease_beside_another_changes_nothing,
    label::references_are_followed_to_their_end,
    label::only_labels_of_the_right_form_are_references,
    label::a_cycle_stays_while_it_is_reached,
    label::a_root_stays_without_a_lease,
    label::a_changed_label_counts_at_once,
    image::a_name_keeps_its_target,
    image::labels_of_a_name_are_references,
    image::an_updated_name_keeps_its_new_target,
}
