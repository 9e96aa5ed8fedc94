//! The warning about zstd layers under Docker media types.

use cache_core::ports::Phase;
use cache_core::{Descriptor, MediaType};

/// skopeo, for one, refuses such an image: `unsupported docker v2s2 media type`.
const WARNING: &str =
    "zstd layers with Docker media types: Docker's image manifests know no such layers, and not every tool takes them";

/// Warns once, in `phase` and the log, if there are such layers among `layers`. They are allowed all the same, as in BuildKit.
pub(crate) fn warn_of_docker_zstd<'a>(layers: impl IntoIterator<Item = &'a Descriptor>, phase: &Phase) {
    let mut layers = layers.into_iter();
    if let Some(layer) = layers.find(|layer| layer.media_type == MediaType::DOCKER_LAYER_ZSTD) {
        tracing::warn!(layer = %layer.digest, "{WARNING}");
        phase.warn(WARNING);
    }
}
