//! The blobs that one difference becomes.

use std::iter;
use std::sync::Arc;

use cache_core::ports::{Begun, ContentStore, DiffOptions, Expected, Ingest, Lease, Start};
use cache_core::variants::link_variant;
use cache_core::{Error, ErrorKind, Layer, Result};

use crate::codec::{Codec, Codecs, Recipe};
use crate::pack::{PackOptions, PackTarget};

/// What a difference is wanted as: each blob once, the layer's own first.
#[derive(Debug)]
pub(super) struct WantedBlobs {
    blobs: Vec<WantedBlob>,
    /// Which blob each of the further compressions is.
    variants: Vec<usize>,
}

#[derive(Debug)]
struct WantedBlob {
    codec: Arc<dyn Codec>,
    level: Option<i32>,
    recipe: Recipe,
}

impl WantedBlobs {
    /// The blobs that `options` ask for.
    ///
    /// # Errors
    /// `Unsupported` for a compression without a codec; `Invalid` for a level out of range.
    pub(super) fn of(codecs: &Codecs, options: &DiffOptions) -> Result<Self> {
        let mut wanted = Self { blobs: Vec::new(), variants: Vec::new() };
        for config in iter::once(&options.compression).chain(&options.variants) {
            let codec = codecs.of(&config.compression)?;
            let recipe = codec.recipe(config.level)?;
            let known = wanted.blobs.iter().position(|blob| blob.recipe == recipe);
            wanted.variants.push(known.unwrap_or(wanted.blobs.len()));
            if known.is_none() {
                wanted.blobs.push(WantedBlob { codec, level: config.level, recipe });
            }
        }
        // The first is the layer's own.
        wanted.variants.remove(0);
        Ok(wanted)
    }

    /// Begins an ingest for each.
    ///
    /// # Errors
    /// What the store gives; those that were begun are aborted then.
    pub(super) async fn begin(
        &self,
        content: &dyn ContentStore,
        lease: &Lease,
        key: &str,
    ) -> Result<Vec<PackTarget<'_>>> {
        let mut targets = Vec::with_capacity(self.blobs.len());
        for (number, blob) in self.blobs.iter().enumerate() {
            let key = if number == 0 { key.to_owned() } else { format!("{key}-variant-{number}") };
            match begin(content, lease, &key).await {
                Ok(ingest) => {
                    let options = PackOptions::default().with_level(blob.level);
                    targets.push(PackTarget { codec: &*blob.codec, ingest, options });
                }
                Err(error) => {
                    for begun in targets {
                        begun.abort().await;
                    }
                    return Err(error);
                }
            }
        }
        Ok(targets)
    }

    /// Ties `layers`, one for each blob, together; gives those that were asked for as variants.
    ///
    /// # Errors
    /// What the store gives.
    pub(super) async fn link(&self, content: &dyn ContentStore, layers: &[Layer]) -> Result<Vec<Layer>> {
        if let Some((first, others)) = layers.split_first() {
            for other in others {
                link_variant(content, first, other).await?;
            }
        }
        Ok(self.variants.iter().filter_map(|at| layers.get(*at).cloned()).collect())
    }
}

async fn begin(content: &dyn ContentStore, lease: &Lease, key: &str) -> Result<Box<dyn Ingest>> {
    match content.begin(lease, key, Expected::UNKNOWN, Start::Fresh).await? {
        Begun::Started(ingest) => Ok(ingest),
        Begun::AlreadyThere(_) => Err(Error::new(ErrorKind::Invalid, "begin ingest", key)
            .with_source("the store has a blob of which nothing was said")),
    }
}
