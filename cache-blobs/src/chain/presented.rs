//! How the layer of a ref is shown in a remote.

use std::sync::Arc;

use cache_core::annotation::CREATED_AT;
use cache_core::cache::ImmutableRef;
use cache_core::ports::{ContentStore, Provider};
use cache_core::{Compression, Error, ErrorKind, Layer, MediaType, MediaTypeFamily, Result};

use crate::chain::remote_options::{NonDistributable, RemoteOptions};
use crate::codec::Codecs;
use crate::remote::RemoteLayer;

/// Where the blob of a layer is.
#[derive(Clone, Debug)]
pub(super) enum Place {
    /// In the store.
    Here(Arc<dyn Provider>),
}

impl Place {
    /// Where the blob of `layer` is; `None` if nobody knows.
    pub(super) async fn find(of: &ImmutableRef, layer: &Layer) -> Result<Option<Self>> {
        let content: &Arc<dyn ContentStore> = &of.backends().content;
        let is_here = content.info(&layer.descriptor.digest).await?.is_some();
        Ok(is_here.then(|| Self::Here(Arc::clone(content) as Arc<dyn Provider>)))
    }

    pub(super) fn provider(&self) -> &Arc<dyn Provider> {
        match self {
            Self::Here(provider) => provider,
        }
    }
}

/// A layer of a chain before it is shown.
#[derive(Clone, Debug)]
pub(super) struct Found {
    pub(super) of: ImmutableRef,
    pub(super) layer: Layer,
    pub(super) place: Place,
}

/// The layer `layer` of `found`, which is its own or a variant, as `options` want it shown.
///
/// Annotations are the blob's own, when the ref was created, and for a blob that is elsewhere where else it is. Only the ref's own
/// blob can be had from the URLs that the ref knows: a variant is another blob.
pub(super) fn present(found: &Found, layer: &Layer, place: &Place, options: &RemoteOptions) -> RemoteLayer {
    let mut layer = layer.clone();
    let descriptor = &mut layer.descriptor;
    descriptor.annotations.insert(CREATED_AT.to_owned(), found.of.created_at().to_utc().to_string());
    let is_own = descriptor.digest == found.layer.descriptor.digest;
    let keeps_urls = options.non_distributable == NonDistributable::Prefer && is_own && !descriptor.urls.is_empty();
    if keeps_urls {
        descriptor.media_type = descriptor.media_type.to_non_distributable();
    } else {
        descriptor.urls.clear();
        descriptor.media_type = descriptor.media_type.to_distributable();
    }
    if let Some(family) = options.family {
        descriptor.media_type = in_family(&descriptor.media_type, family);
    }
    match place {
        Place::Here(_) => {}
    }
    RemoteLayer { layer, provider: Arc::clone(place.provider()) }
}

/// The name of `media_type` in `family`; where there is none, it stays as it is.
fn in_family(media_type: &MediaType, family: MediaTypeFamily) -> MediaType {
    let named = media_type.to_family(family);
    if !media_type.has_name_in(family) {
        tracing::warn!(%media_type, ?family, "a layer type without a name in this family is kept");
    } else if named == MediaType::DOCKER_LAYER_ZSTD {
        tracing::warn!(%named, "Docker's own tools read no zstd layers in Docker manifests");
    }
    named
}

/// Refuses a compression that may not be called by a name of `family`.
pub(super) fn check_family(codecs: &Codecs, wanted: &Compression, family: Option<MediaTypeFamily>) -> Result<()> {
    let is_nameless = family == Some(MediaTypeFamily::Docker) && codecs.of(wanted)?.media_types().docker.is_none();
    if is_nameless {
        return Err(Error::new(ErrorKind::Invalid, "give Docker media types to layers in", wanted));
    }
    Ok(())
}

/// `layer` with a media type: records that were taken over from old stores may have none.
/// Mirrors: BuildKit `util/compression.DetectLayerMediaType`, which does not know zstd.
pub(super) async fn with_media_type(mut layer: Layer, place: &Place, codecs: Option<&Codecs>) -> Result<Layer> {
    if layer.descriptor.media_type.is_empty() {
        let digest = layer.descriptor.digest;
        let codecs = codecs
            .ok_or_else(|| Error::new(ErrorKind::Unsupported, "tell the media type without codecs of", digest))?;
        let reader = place.provider().open(&layer.descriptor).await?;
        let reader = reader.ok_or_else(|| Error::new(ErrorKind::NotFound, "open layer", digest))?;
        layer.descriptor.media_type = codecs.recognise(reader.as_ref()).await?.media_types().oci;
    }
    Ok(layer)
}
