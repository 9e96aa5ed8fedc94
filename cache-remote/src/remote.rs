//! A result as layers that can be fetched.

use std::sync::Arc;

use cache_core::ports::Provider;
use cache_core::{BlobChain, Layer};

/// A layer and where its blob comes from.
#[derive(Clone, Debug)]
pub struct RemoteLayer {
    /// The layer.
    pub layer: Layer,
    /// Where the blob comes from.
    pub provider: Arc<dyn Provider>,
}

/// Layers from the bottom up, each with its own provider. Mirrors: BuildKit `solver/types.go`, `Remote`.
#[derive(Clone, Debug, Default)]
pub struct Remote {
    layers: Vec<RemoteLayer>,
}

impl Remote {
    /// `layers`, bottom first.
    pub fn new(layers: Vec<RemoteLayer>) -> Self {
        Self { layers }
    }

    /// The layers of `chain`, all from `provider`.
    pub fn from_chain(chain: &BlobChain, provider: &Arc<dyn Provider>) -> Self {
        let layer = |layer: &Layer| RemoteLayer { layer: layer.clone(), provider: Arc::clone(provider) };
        Self::new(chain.layers().iter().map(layer).collect())
    }

    /// The layers, bottom first.
    pub fn layers(&self) -> &[RemoteLayer] {
        &self.layers
    }

    /// The layers without their providers.
    pub fn chain(&self) -> BlobChain {
        BlobChain::new(self.layers.iter().map(|layer| layer.layer.clone()).collect())
    }

    /// Whether there are no layers.
    pub fn is_empty(&self) -> bool {
        self.layers.is_empty()
    }
}
