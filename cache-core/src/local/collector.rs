//! The collector.

use std::sync::Arc;

use async_trait::async_trait;

use crate::error::Result;
use crate::local::engine::Engine;
use crate::ports::{Collected, Collector};

/// Frees what nothing in a [`Local`](crate::local::Local) store reaches.
#[derive(Debug)]
pub struct LocalCollector {
    engine: Arc<Engine>,
}

impl LocalCollector {
    pub(super) fn new(engine: Arc<Engine>) -> Self {
        Self { engine }
    }
}

#[async_trait]
impl Collector for LocalCollector {
    async fn collect(&self) -> Result<Collected> {
        self.engine.run_after_abandoned(|store| store.collect()).await
    }
}
