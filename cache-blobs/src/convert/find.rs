//! Looking for a compression among the variants of a layer.

use std::sync::Arc;

use cache_core::annotation::RECIPE;
use cache_core::ports::{BlobInfo, ContentStore};
use cache_core::variants::{VariantWalk, remembered_layer};
use cache_core::{Compression, Descriptor, ErrorKind, Layer, MediaType, Result};

use crate::codec::{Codec, Codecs, Recipe};

/// The variant of `layer` in `wanted`, the layer itself first; `None` if there is none. What a blob is, its recipe says, or else
/// its content; its media type says nothing. The level plays no part.
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

/// The codec that made a stored blob; `None` if the known ones do not know it.
pub(super) async fn codec_of(
    content: &dyn ContentStore,
    codecs: &Codecs,
    info: &BlobInfo,
) -> Result<Option<Arc<dyn Codec>>> {
    if let Some(recipe) = info.labels.get(RECIPE).and_then(|label| Recipe::from_label(label).ok())
        && let Ok(codec) = codecs.named(&recipe.codec)
    {
        return Ok(Some(codec));
    }
    let descriptor = Descriptor::new(MediaType::default(), info.digest, info.size);
    let Some(reader) = content.open(&descriptor).await? else { return Ok(None) };
    match codecs.recognise(reader.as_ref()).await {
        Ok(codec) => Ok(Some(codec)),
        Err(error) if error.kind() == ErrorKind::Unsupported => Ok(None),
        Err(error) => Err(error),
    }
}
