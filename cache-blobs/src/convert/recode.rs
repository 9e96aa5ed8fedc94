//! The bytes of a conversion: decode, verify, pack.

use cache_core::ports::{Begun, Expected, Lease, Start};
use cache_core::{Compression, Descriptor, Error, ErrorKind, Layer, Result};

use crate::convert::converter::ConverterBackends;
use crate::convert::limits::ConversionLimits;
use crate::convert::repack::repack;
use crate::convert::source_tar::{Shape, SourceTar, Verifier};
use crate::convert::stored_codec::{check_media_type, codec_of};
use crate::verify_blob;

/// A new blob with the tar of `layer` in `wanted`, held by `lease`.
pub(super) async fn recode(
    backends: &ConverterBackends,
    limits: ConversionLimits,
    lease: &Lease,
    layer: &Layer,
    wanted: &Compression,
    level: Option<i32>,
) -> Result<Layer> {
    let source = &layer.descriptor;
    let missing = || Error::new(ErrorKind::NotFound, "convert layer", source.digest);
    let content = backends.content.as_ref();
    let info = content.info(&source.digest).await?.ok_or_else(missing)?;
    let reader = content.open(source).await?.ok_or_else(missing)?;
    let unknown = || Error::new(ErrorKind::Unsupported, "convert layer of an unknown compression", source.digest);
    let from = codec_of(content, &backends.codecs, &info).await?.ok_or_else(unknown)?;
    check_media_type(&backends.codecs, source, &from.compression())?;
    let to = backends.codecs.of(wanted)?;
    let shape = Shape::of(reader.as_ref(), from).await?;
    // A plain tar is known before it is made, unless the DiffID covers more.
    let is_known = *wanted == Compression::Uncompressed && shape.is_tar_alone();
    let expected = Expected { digest: is_known.then_some(layer.diff_id), size: None };
    // The lease is in the key, so that other processes have ingests of their own.
    let key = format!("convert-{}-to-{wanted}-{}", source.digest, lease.id());
    let ingest = match backends.content.begin(lease, &key, expected, Start::Fresh).await? {
        Begun::Started(ingest) => ingest,
        Begun::AlreadyThere(info) => {
            // Nothing is to be written, but only a blob that holds this tar may be tied to it.
            let codecs = &backends.codecs;
            verify_blob(backends.pool.as_ref(), codecs, reader.as_ref(), source, Some(layer.diff_id)).await?;
            let descriptor = Descriptor::new(to.media_types().oci, info.digest, info.size);
            return Ok(Layer::new(descriptor, layer.diff_id));
        }
    };
    let verifier = if is_known { Verifier::Store } else { Verifier::Decoder };
    let tar = SourceTar::new(layer, shape, limits, verifier);
    let packed = repack(backends, reader.as_ref(), tar, &*to, level, ingest).await;
    match packed {
        Ok(packed) => Ok(packed.layer()),
        Err(error) => {
            // A store that refuses a digest keeps the bytes, which nobody wants.
            if let Err(abort) = backends.content.abort(&key).await {
                tracing::warn!(error = %abort, key, "an ingest could not be aborted after its conversion failed");
            }
            Err(error)
        }
    }
}
