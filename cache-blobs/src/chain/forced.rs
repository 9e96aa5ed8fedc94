//! Chains in one compression.

use cache_core::ports::Lease;
use cache_core::{Compression, CompressionConfig, Error, ErrorKind, Layer, Result};
use futures::FutureExt;
use futures::stream::{self, StreamExt, TryStreamExt};

use crate::chain::compute::Creation;
use crate::chain::layer_backends::LayerBackends;
use crate::chain::place::Place;
use crate::chain::presented::Found;
use crate::codec::Codecs;
use crate::convert::{Converter, find_variant};

impl LayerBackends {
    /// What converts.
    pub(super) fn converter(&self, wanted: &CompressionConfig) -> Result<&Converter> {
        let converter = self.converter.as_ref();
        converter.ok_or_else(|| {
            Error::new(ErrorKind::Unsupported, "convert layers without a converter to", &wanted.compression)
        })
    }
}

/// The layers of a chain, each as it is if it is in the wanted compression, else as a variant that is. One that is missing is made,
/// a bounded number at a time, or there is no such chain.
pub(super) async fn force(
    backends: &LayerBackends,
    lease: &Lease,
    chain: &[Found],
    wanted: &CompressionConfig,
    creation: Creation,
) -> Result<Option<Vec<Layer>>> {
    let converter = backends.converter(wanted)?;
    converter.check(wanted)?;
    let work: Vec<_> = chain.iter().map(|found| force_one(converter, lease, found, wanted, creation).boxed()).collect();
    let layers: Vec<_> = stream::iter(work).buffered(converter.concurrent()).try_collect().await?;
    Ok(layers.into_iter().collect())
}

async fn force_one(
    converter: &Converter,
    lease: &Lease,
    found: &Found,
    wanted: &CompressionConfig,
    creation: Creation,
) -> Result<Option<Layer>> {
    let (content, codecs) = (converter.backends().content.as_ref(), &converter.backends().codecs);
    match (&found.place, creation) {
        // It stays where it is.
        (Place::Elsewhere(_), _) if is_named(codecs, &found.layer, &wanted.compression) => {
            Ok(Some(found.layer.clone()))
        }
        (Place::Elsewhere(_), Creation::LookOnly) => Ok(None),
        (Place::Here, Creation::LookOnly) => find_variant(content, codecs, &found.layer, &wanted.compression).await,
        (_, Creation::MakeMissing) => {
            found.of.make_present().await?;
            converter.convert(lease, &found.layer, wanted).await.map(Some)
        }
    }
}

/// Whether the media type of `layer`, whose content is elsewhere, names `wanted`.
pub(super) fn is_named(codecs: &Codecs, layer: &Layer, wanted: &Compression) -> bool {
    codecs.of_media_type(&layer.descriptor.media_type).is_some_and(|codec| codec.compression() == *wanted)
}
