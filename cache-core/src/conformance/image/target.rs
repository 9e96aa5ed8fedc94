//! What names stand for.

use crate::conformance::image::ImageSubject;
use crate::conformance::require::{require_equal, require_kind, require_some};
use crate::conformance::{Outcome, Unmet};
use crate::descriptor::Descriptor;
use crate::error::ErrorKind;
use crate::labels::Labels;
use crate::media_type::MediaType;
use crate::platform::Platform;

/// A descriptor comes back with all its fields.
pub async fn every_field_comes_back(subject: ImageSubject) -> Outcome {
    let mut target = subject.target(1).await?;
    target.urls = vec!["https://example.com/a".to_owned(), "https://example.com/b".to_owned()];
    target.annotations =
        [("b", "2"), ("a", "<&>\u{2028}")].map(|(key, value)| (key.to_owned(), value.to_owned())).into();
    target.platform = Some(Platform::new("linux", "arm", "v6"));
    target.artifact_type = Some(MediaType::new("application/x-artifact"));
    target.data = Some(vec![0, 0xff, 1]);
    subject.create("name", &target, Labels::new()).await?;
    let image = require_some(subject.images.get("name").await?, "a created name is there")?;
    require_equal(&image.target, &target, "a descriptor comes back whole")?;
    let listed: Vec<_> = subject.images.list().await?.into_iter().map(|image| image.target).collect();
    require_equal(&listed, &vec![target], "a listed descriptor is whole")
}

/// In a store whose names keep blobs, what is not there cannot be named.
pub async fn a_missing_target_is_not_found(subject: ImageSubject) -> Outcome {
    if subject.targets.is_none() {
        return Err(Unmet::needs("an image store over collected content"));
    }
    let there = subject.target(1).await?;
    let absent = Descriptor::of(MediaType::OCI_MANIFEST, b"never written");
    let created = subject.images.create("name", &absent, Labels::new()).await;
    require_kind(created, ErrorKind::NotFound, "a missing target is refused")?;
    require_equal(&subject.images.get("name").await?, &None, "a refusal creates nothing")?;
    let image = subject.create("name", &there, Labels::new()).await?;
    let updated = subject.images.update("name", &absent, Labels::new()).await;
    require_kind(updated, ErrorKind::NotFound, "a missing target is refused")?;
    require_equal(&subject.images.get("name").await?, &Some(image), "a refusal changes nothing")
}
