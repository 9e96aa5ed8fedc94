//! The image store.

use std::sync::Arc;

use async_trait::async_trait;

use crate::descriptor::Descriptor;
use crate::error::Result;
use crate::labels::Labels;
use crate::local::engine::Engine;
use crate::ports::{Image, ImageOutcome, ImageStore};

/// The image names of a [`Local`](crate::local::Local) store.
#[derive(Debug)]
pub struct LocalImages {
    engine: Arc<Engine>,
}

impl LocalImages {
    pub(super) fn new(engine: Arc<Engine>) -> Self {
        Self { engine }
    }
}

#[async_trait]
impl ImageStore for LocalImages {
    async fn get(&self, name: &str) -> Result<Option<Image>> {
        let name = name.to_owned();
        self.engine.run(move |store| store.image(&name)).await
    }

    async fn create(&self, name: &str, target: &Descriptor, labels: Labels) -> Result<ImageOutcome> {
        let (name, target) = (name.to_owned(), target.clone());
        self.engine.run(move |store| store.create_image(&name, &target, &labels)).await
    }

    async fn update(&self, name: &str, target: &Descriptor, labels: Labels) -> Result<ImageOutcome> {
        let (name, target) = (name.to_owned(), target.clone());
        self.engine.run(move |store| store.update_image(&name, &target, &labels)).await
    }

    async fn delete(&self, name: &str) -> Result<bool> {
        let name = name.to_owned();
        self.engine.run(move |store| store.delete_image(&name)).await
    }

    async fn list(&self) -> Result<Vec<Image>> {
        self.engine.run(|store| store.images()).await
    }
}
