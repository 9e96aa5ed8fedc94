//! The suite for image stores. Mirrors: containerd `core/metadata/images_test.go`.

pub mod change;
pub mod name;
pub mod target;

use std::any::Any;
use std::sync::Arc;

use crate::conformance::blob::put;
use crate::conformance::check::Violation;
use crate::conformance::sample::sample;
use crate::conformance::{SuiteClock, Unmet};
use crate::descriptor::Descriptor;
use crate::labels::Labels;
use crate::media_type::MediaType;
use crate::ports::{ContentStore, Image, ImageOutcome, ImageStore, LeaseManager, LeaseOptions};

/// An image store without names.
#[derive(Debug)]
pub struct ImageSubject {
    images: Arc<dyn ImageStore>,
    clock: SuiteClock,
    targets: Option<(Arc<dyn ContentStore>, Arc<dyn LeaseManager>)>,
    _keep: Option<Box<dyn Any + Send + Sync>>,
}

impl ImageSubject {
    /// `images`, which has no names, and the clock from which it takes its times.
    pub fn new(images: Arc<dyn ImageStore>, clock: SuiteClock) -> Self {
        Self { images, clock, targets: None, _keep: None }
    }

    /// The same store, whose names keep the blobs of `content` from being collected, so that what a name is given must
    /// be there; with the manager of that store's leases.
    #[must_use]
    pub fn with_content(mut self, content: Arc<dyn ContentStore>, leases: Arc<dyn LeaseManager>) -> Self {
        self.targets = Some((content, leases));
        self
    }

    /// The same, holding `keep` (a temporary directory, a server) until the check has ended.
    #[must_use]
    pub fn keeping(mut self, keep: impl Any + Send + Sync) -> Self {
        self._keep = Some(Box::new(keep));
        self
    }

    /// A descriptor that a name can be given: where blobs must exist, this one does.
    async fn target(&self, seed: u64) -> Result<Descriptor, Unmet> {
        let bytes = sample(seed, 100);
        if let Some((content, leases)) = &self.targets {
            let lease = leases.create(LeaseOptions::default()).await?;
            put(&**content, &lease, &format!("target {seed}"), &bytes, Labels::new()).await?;
        }
        Ok(Descriptor::of(MediaType::OCI_MANIFEST, &bytes))
    }

    async fn create(&self, name: &str, target: &Descriptor, labels: Labels) -> Result<Image, Unmet> {
        done(self.images.create(name, target, labels).await?)
    }
}

#[track_caller]
fn done(outcome: ImageOutcome) -> Result<Image, Unmet> {
    match outcome {
        ImageOutcome::Done(image) => Ok(image),
        ImageOutcome::Refused => Err(Violation::new("a change that nothing forbids is made").into()),
    }
}

suite! {
    ($)
    /// One `#[test]` for every check of [`conformance::image`](crate::conformance::image), each on a fresh subject of
    /// the given factory.
    image_conformance, image, ImageSubject;
    change::a_created_name_is_there,
    change::create_does_not_replace,
    change::update_replaces_target_and_labels,
    change::update_does_not_create,
    change::a_deleted_name_is_gone,
    name::the_empty_name_is_invalid,
    name::names_are_opaque,
    name::names_are_listed_sorted,
    name::an_absent_name_is_none,
    target::every_field_comes_back,
    target::a_missing_target_is_not_found,
}
