//! How the layer of a ref is shown in a remote.

use std::sync::Arc;

use cache_core::annotation::CREATED_AT;
use cache_core::cache::ImmutableRef;
use cache_core::{Compression, Error, ErrorKind, Layer, MediaType, MediaTypeFamily, Result};

use crate::chain::distribution::add_sources;
use crate::chain::place::{Lazy, Place, store};
use crate::chain::remote_options::{NonDistributable, RemoteOptions};
use crate::codec::Codecs;
use crate::convert::codec_of;
use crate::remote::RemoteLayer;

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
pub(super) fn present(found: &Found, layer: &Layer, options: &RemoteOptions) -> RemoteLayer {
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
    let provider = match &found.place {
        Place::Here => store(&found.of),
        Place::Elsewhere(_) => {
            add_sources(&mut descriptor.annotations, &found.of.image_names());
            if is_own { Arc::new(Lazy { of: found.of.clone(), layer: found.layer.clone() }) } else { store(&found.of) }
        }
    };
    RemoteLayer { layer, provider }
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

/// A layer with a media type: records that were taken over from old stores may have none.
/// Mirrors: BuildKit `util/compression.DetectLayerMediaType`, which does not know zstd.
pub(super) async fn with_media_type(mut found: Found, codecs: Option<&Codecs>) -> Result<Found> {
    let descriptor = &mut found.layer.descriptor;
    if !descriptor.media_type.is_empty() {
        return Ok(found);
    }
    let digest = descriptor.digest;
    let codecs =
        codecs.ok_or_else(|| Error::new(ErrorKind::Unsupported, "tell the media type without codecs of", digest))?;
    let missing = || Error::new(ErrorKind::NotFound, "open layer", digest);
    let codec = match &found.place {
        Place::Here => {
            let content = found.of.backends().content.as_ref();
            let info = content.info(&digest).await?.ok_or_else(missing)?;
            let unknown = || Error::new(ErrorKind::Unsupported, "tell the media type of", digest);
            codec_of(content, codecs, &info).await?.ok_or_else(unknown)?
        }
        // Of a blob that is elsewhere, only its ends are read.
        Place::Elsewhere(source) => {
            let reader = source.open(descriptor).await?.ok_or_else(missing)?;
            codecs.recognise(reader.as_ref()).await?
        }
    };
    descriptor.media_type = codec.media_types().oci;
    Ok(found)
}
