//! What making layers needs beside the backends of a cache.

use std::num::NonZeroUsize;
use std::sync::Arc;

use cache_core::flight::{Group, Held};
use cache_core::ports::{Differ, ParentDiffer};
use cache_core::{Compression, Layer, Result};

use crate::convert::Converter;

/// Layers of one chain that are made at the same time, unless the caller says otherwise. Each holds an open ingest and two
/// views; the bytes and the workers are bounded by the packer's budget.
const CONCURRENT_LAYERS: NonZeroUsize = NonZeroUsize::new(4).expect("four is not zero");

/// Identifies shared work: the ref, and the compressions and levels in which its layer is made, its own first.
pub(super) type LayerKey = (String, Vec<(Compression, Option<i32>)>);

/// The differs of an embedder, and the layers that are being made through them.
///
/// Clones share the work: callers that want the same layer at the same time wait for one.
#[derive(Clone, Debug)]
pub struct LayerBackends {
    pub(super) differs: Vec<Arc<dyn Differ>>,
    pub(super) parent_differ: Option<Arc<dyn ParentDiffer>>,
    pub(super) concurrent_layers: NonZeroUsize,
    pub(super) converter: Option<Converter>,
    pub(super) flights: Arc<Group<LayerKey, Result<Held<Layer>>>>,
}

impl LayerBackends {
    /// Layers are made by `differ`.
    pub fn new(differ: Arc<dyn Differ>) -> Self {
        Self {
            differs: vec![differ],
            parent_differ: None,
            concurrent_layers: CONCURRENT_LAYERS,
            converter: None,
            flights: Arc::default(),
        }
    }

    /// The same; options that the differs so far do not support are left to `differ`. A remote differ, for one, knows no
    /// levels and no custom codecs.
    #[must_use]
    pub fn with_fallback(mut self, differ: Arc<dyn Differ>) -> Self {
        self.differs.push(differ);
        self
    }

    /// The same; `parent_differ` is asked before any differ.
    #[must_use]
    pub fn with_parent_differ(mut self, parent_differ: Arc<dyn ParentDiffer>) -> Self {
        self.parent_differ = Some(parent_differ);
        self
    }

    /// The same; layers that exist in another compression than a forced one are converted by `converter`. Without one, forcing
    /// is `Unsupported`, and so are the variants of remotes.
    #[must_use]
    pub fn with_converter(mut self, converter: Converter) -> Self {
        self.converter = Some(converter);
        self
    }

    /// The same, with so many layers of one chain at a time.
    #[must_use]
    pub fn with_concurrent_layers(mut self, layers: NonZeroUsize) -> Self {
        self.concurrent_layers = layers;
        self
    }
}
