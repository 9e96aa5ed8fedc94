//! Faulty image stores.

use async_trait::async_trait;

use crate::conformance::faulty::{Fault, Faulty};
use crate::descriptor::Descriptor;
use crate::error::{ErrorKind, Result};
use crate::labels::Labels;
use crate::ports::{Image, ImageOutcome, ImageStore};
use crate::timestamp::Timestamp;

impl<T: ?Sized> Faulty<T> {
    fn image_name(&self, name: &str) -> String {
        match self.fault {
            Fault::AcceptsEmptyKey if name.is_empty() => "the empty name".to_owned(),
            Fault::FoldsCaseOfKeys => name.to_lowercase(),
            _ => name.to_owned(),
        }
    }

    fn target(&self, target: &Descriptor) -> Descriptor {
        let mut target = target.clone();
        if self.has(Fault::ForgetsTargetFields) {
            target.annotations.clear();
        }
        target
    }

    /// A made-up success in the place of a target that is not there.
    fn overlook_target(&self, name: &str, outcome: Result<ImageOutcome>) -> Result<ImageOutcome> {
        match outcome {
            Err(error) if error.kind() == ErrorKind::NotFound && self.has(Fault::NamesWhatIsMissing) => {
                Ok(ImageOutcome::Done(Image {
                    name: name.to_owned(),
                    target: Descriptor::of(crate::MediaType::default(), b""),
                    labels: Labels::new(),
                    created_at: Timestamp::UNIX_EPOCH,
                    updated_at: Timestamp::UNIX_EPOCH,
                }))
            }
            outcome => outcome,
        }
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl<T: ImageStore + ?Sized> ImageStore for Faulty<T> {
    async fn get(&self, name: &str) -> Result<Option<Image>> {
        let found = self.inner.get(&self.image_name(name)).await?;
        match self.fault {
            Fault::FindsAnyName if found.is_none() => Ok(self.inner.list().await?.pop()),
            _ => Ok(found),
        }
    }

    async fn create(&self, name: &str, target: &Descriptor, labels: Labels) -> Result<ImageOutcome> {
        let (name, target) = (self.image_name(name), self.target(target));
        if self.has(Fault::CreateReplaces) {
            self.inner.delete(&name).await?;
        }
        let outcome = self.overlook_target(&name, self.inner.create(&name, &target, labels).await)?;
        if self.has(Fault::NamesAreLost) {
            self.inner.delete(&name).await?;
        }
        Ok(outcome)
    }

    async fn update(&self, name: &str, target: &Descriptor, labels: Labels) -> Result<ImageOutcome> {
        let (name, target) = (self.image_name(name), self.target(target));
        let mut labels = labels;
        match (self.fault, self.inner.get(&name).await?) {
            (Fault::UpdateCreates, None) => return self.inner.create(&name, &target, labels).await,
            (Fault::UpdateCreatesAnew, Some(_)) => {
                self.inner.delete(&name).await?;
                return self.inner.create(&name, &target, labels).await;
            }
            (Fault::UpdateKeepsLabels, Some(image)) => labels.extend(image.labels),
            _ => {}
        }
        let outcome = self.inner.update(&name, &target, labels).await;
        self.overlook_target(&name, outcome)
    }

    async fn delete(&self, name: &str) -> Result<bool> {
        let name = self.image_name(name);
        match self.fault {
            Fault::DeletesNoName => Ok(self.inner.get(&name).await?.is_some()),
            Fault::DeleteSaysYesAlways => self.inner.delete(&name).await.map(|_| true),
            _ => self.inner.delete(&name).await,
        }
    }

    async fn list(&self) -> Result<Vec<Image>> {
        let mut images = self.inner.list().await?;
        match self.fault {
            Fault::ListsUnsorted => images.reverse(),
            Fault::OmitsName => drop(images.pop()),
            _ => {}
        }
        Ok(images)
    }
}
