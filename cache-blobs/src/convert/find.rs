//! Looking for a compression among the variants of a layer.

use cache_core::ports::{BlobInfo, ContentStore};
use cache_core::variants::{VariantWalk, remembered_layer};
use cache_core::{Compression, Layer, Result};

use crate::codec::Codecs;
use crate::convert::stored_codec::codec_of;

/// The variant of `layer` in `wanted`, the layer itself first; `None` if there is none. What a blob is, its recipe says, or else
/// its content, which is looked at once and remembered in labels; its media type says nothing. The level plays no part.
///
/// Mirrors: BuildKit `cache/refs.go`, `getBlobWithCompression`.
///
/// # Errors
/// The store's own failures.
pub async fn find_variant(
    content: &dyn ContentStore,
    codecs: &Codecs,
    layer: &Layer,
    wanted: &Compression,
) -> Result<Option<Layer>> {
    let mut walk = VariantWalk::new(content, layer.descriptor.digest);
    while let Some(info) = walk.next().await? {
        if let Some(found) = layer_of(&info, layer)
            && codec_of(content, codecs, &info).await?.is_some_and(|codec| codec.compression() == *wanted)
        {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

/// All variants of `layer` that the store has, the layer itself first.
///
/// Mirrors: BuildKit `cache/refs.go`, `walkBlob`.
///
/// # Errors
/// The store's own failures.
pub async fn variants(content: &dyn ContentStore, layer: &Layer) -> Result<Vec<Layer>> {
    let mut walk = VariantWalk::new(content, layer.descriptor.digest);
    let mut found = Vec::new();
    while let Some(info) = walk.next().await? {
        found.extend(layer_of(&info, layer));
    }
    Ok(found)
}

/// What a reached blob is: the layer at which the walk began, or what it remembers.
fn layer_of(info: &BlobInfo, start: &Layer) -> Option<Layer> {
    if info.digest == start.descriptor.digest { Some(start.clone()) } else { remembered_layer(info) }
}
