//! The metadata store.

use std::sync::Arc;

use async_trait::async_trait;

use crate::error::Result;
use crate::local::engine::Engine;
use crate::ports::{BatchOutcome, IndexQuery, MetadataChange, MetadataRecord, MetadataStore};

/// The records of a [`Local`](crate::local::Local) store.
#[derive(Debug)]
pub struct LocalMetadata {
    engine: Arc<Engine>,
}

impl LocalMetadata {
    pub(super) fn new(engine: Arc<Engine>) -> Self {
        Self { engine }
    }
}

#[async_trait]
impl MetadataStore for LocalMetadata {
    async fn get(&self, key: &str) -> Result<Option<MetadataRecord>> {
        let key = key.to_owned();
        self.engine.run(move |store| store.record(&key)).await
    }

    async fn find(&self, query: &IndexQuery) -> Result<Vec<MetadataRecord>> {
        let query = query.clone();
        self.engine.run(move |store| store.find_records(&query)).await
    }

    async fn apply(&self, changes: Vec<MetadataChange>) -> Result<BatchOutcome> {
        self.engine.run(move |store| store.change_records(&changes)).await
    }
}
