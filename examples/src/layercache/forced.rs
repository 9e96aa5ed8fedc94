//! The compressions that the outputs and caches of one build force.

use cache_core::ports::DiffOptions;
use cache_core::{CompressionConfig, Conversion};

/// What every layer of a build is going to be wanted in, each compression once: a variant counts at any level. New layers are
/// made in all of them by one reading of their snapshot.
#[derive(Clone, Debug, Default)]
pub(crate) struct Forced(Vec<CompressionConfig>);

impl Forced {
    /// Those of `wanted` that are forced.
    pub(crate) fn of<'a>(wanted: impl IntoIterator<Item = &'a CompressionConfig>) -> Self {
        let mut forced: Vec<CompressionConfig> = Vec::new();
        for config in wanted {
            let is_known = forced.iter().any(|known| known.compression == config.compression);
            if config.conversion == Conversion::AllLayers && !is_known {
                forced.push(config.clone());
            }
        }
        Self(forced)
    }

    /// How missing layers are made for one who wants them in `own`.
    pub(crate) fn options(&self, own: &CompressionConfig) -> DiffOptions {
        let others = self.0.iter().filter(|config| config.compression != own.compression);
        DiffOptions::new(own.clone()).with_variants(others.cloned())
    }
}
