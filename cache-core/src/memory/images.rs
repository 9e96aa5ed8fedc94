//! The memory image store.

use std::sync::Arc;

use async_trait::async_trait;

use crate::descriptor::Descriptor;
use crate::error::{Error, ErrorKind, Result};
use crate::labels::{Labels, validate_labels};
use crate::memory::state::{Shared, State};
use crate::ports::{Image, ImageOutcome, ImageStore};

/// Image names in memory. What they name is in the memory content store.
#[derive(Debug)]
pub struct MemoryImages {
    shared: Arc<Shared>,
}

impl MemoryImages {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }
}

fn check(state: &State, operation: &'static str, name: &str, target: &Descriptor, labels: &Labels) -> Result<()> {
    if name.is_empty() {
        return Err(Error::new(ErrorKind::Invalid, operation, "the empty name"));
    }
    validate_labels(labels)?;
    if state.blobs.contains_key(&target.digest) {
        return Ok(());
    }
    Err(Error::new(ErrorKind::NotFound, operation, target.digest))
}

#[async_trait]
impl ImageStore for MemoryImages {
    async fn get(&self, name: &str) -> Result<Option<Image>> {
        Ok(self.shared.lock().images.get(name).cloned())
    }

    async fn create(&self, name: &str, target: &Descriptor, labels: Labels) -> Result<ImageOutcome> {
        let now = self.shared.now();
        let mut state = self.shared.lock();
        check(&state, "create image", name, target, &labels)?;
        if state.images.contains_key(name) {
            return Ok(ImageOutcome::Refused);
        }
        let image = Image { name: name.to_owned(), target: target.clone(), labels, created_at: now, updated_at: now };
        state.images.insert(name.to_owned(), image.clone());
        Ok(ImageOutcome::Done(image))
    }

    async fn update(&self, name: &str, target: &Descriptor, labels: Labels) -> Result<ImageOutcome> {
        let now = self.shared.now();
        let mut state = self.shared.lock();
        check(&state, "update image", name, target, &labels)?;
        let Some(image) = state.images.get_mut(name) else { return Ok(ImageOutcome::Refused) };
        image.target = target.clone();
        image.labels = labels;
        image.updated_at = now;
        Ok(ImageOutcome::Done(image.clone()))
    }

    async fn delete(&self, name: &str) -> Result<bool> {
        Ok(self.shared.lock().images.remove(name).is_some())
    }

    async fn list(&self) -> Result<Vec<Image>> {
        Ok(self.shared.lock().images.values().cloned().collect())
    }
}
