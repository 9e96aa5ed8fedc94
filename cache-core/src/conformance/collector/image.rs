//! Image names that keep things.

use std::sync::Arc;

use crate::annotation;
use crate::conformance::blob::labels;
use crate::conformance::collector::CollectorSubject;
use crate::conformance::{Outcome, Unmet};
use crate::descriptor::Descriptor;
use crate::labels::Labels;
use crate::media_type::MediaType;
use crate::ports::{ImageStore, Resource};

impl CollectorSubject {
    fn images(&self) -> Result<Arc<dyn ImageStore>, Unmet> {
        self.images.clone().ok_or(Unmet::needs("image names that are roots"))
    }
}

/// A name keeps its target and what that names by labels, until the name is deleted.
pub async fn a_name_keeps_its_target(subject: CollectorSubject) -> Outcome {
    let images = subject.images()?;
    let making = subject.lease().await?;
    let leaf = subject.blob(&making, 1, Labels::new()).await?;
    let reference = labels([(annotation::GC_REF_CONTENT, &*leaf.to_string())]);
    let root = subject.blob(&making, 2, reference).await?;
    let target = Descriptor::new(MediaType::OCI_MANIFEST, root, 1000);
    for name in ["one", "two"] {
        images.create(name, &target, Labels::new()).await?;
    }
    subject.leases.delete(making.id()).await?;
    subject.collects(&[root, leaf], &[]).await?;
    images.delete("one").await?;
    subject.collects(&[root, leaf], &[]).await?;
    images.delete("two").await?;
    subject.collects(&[], &[root, leaf]).await
}

/// A label of a name keeps what it names, and a lease that holds the name changes nothing.
pub async fn labels_of_a_name_are_references(subject: CollectorSubject) -> Outcome {
    let images = subject.images()?;
    let making = subject.lease().await?;
    let extra = subject.blob(&making, 1, Labels::new()).await?;
    let root = subject.blob(&making, 2, Labels::new()).await?;
    let key = format!("{}.extra", annotation::GC_REF_CONTENT);
    let target = Descriptor::new(MediaType::OCI_MANIFEST, root, 1000);
    images.create("name", &target, labels([(&*key, &*extra.to_string())])).await?;
    let holding = subject.lease().await?;
    subject.leases.attach(&holding, &[Resource::Image("name".to_owned())]).await?;
    subject.leases.delete(making.id()).await?;
    subject.collects(&[root, extra], &[]).await?;
    subject.leases.delete(holding.id()).await?;
    subject.collects(&[root, extra], &[]).await?;
    images.update("name", &target, Labels::new()).await?;
    subject.collects(&[root], &[extra]).await
}

/// A name that was pointed elsewhere keeps what it names now.
pub async fn an_updated_name_keeps_its_new_target(subject: CollectorSubject) -> Outcome {
    let images = subject.images()?;
    let making = subject.lease().await?;
    let first = subject.blob(&making, 1, Labels::new()).await?;
    let second = subject.blob(&making, 2, Labels::new()).await?;
    images.create("name", &Descriptor::new(MediaType::OCI_MANIFEST, first, 1000), Labels::new()).await?;
    images.update("name", &Descriptor::new(MediaType::OCI_MANIFEST, second, 1000), Labels::new()).await?;
    subject.leases.delete(making.id()).await?;
    subject.collects(&[second], &[first]).await
}
