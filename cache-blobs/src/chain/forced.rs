//! Chains in one compression.

use cache_core::ports::Lease;
use cache_core::{CompressionConfig, Error, ErrorKind, Layer, Result};

use crate::chain::compute::Creation;
use crate::chain::layer_backends::LayerBackends;
use crate::chain::presented::Found;
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
/// or there is no such chain.
pub(super) async fn force(
    backends: &LayerBackends,
    lease: &Lease,
    chain: &[Found],
    wanted: &CompressionConfig,
    creation: Creation,
) -> Result<Option<Vec<Layer>>> {
    let converter = backends.converter(wanted)?;
    let layers: Vec<_> = chain.iter().map(|found| found.layer.clone()).collect();
    if creation == Creation::MakeMissing {
        return converter.convert_all(lease, &layers, wanted).await.map(Some);
    }
    let (content, codecs) = (converter.backends().content.as_ref(), &converter.backends().codecs);
    let mut found = Vec::with_capacity(layers.len());
    for layer in &layers {
        match find_variant(content, codecs, layer, &wanted.compression).await? {
            Some(variant) => found.push(variant),
            None => return Ok(None),
        }
    }
    Ok(Some(found))
}
