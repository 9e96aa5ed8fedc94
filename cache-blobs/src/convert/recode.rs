//! The bytes of a conversion: decode, verify, pack.

use std::io::{self, Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use cache_core::ports::{Begun, Expected, Lease, Start};
use cache_core::{Compression, Descriptor, Digest, DigestHasher, Error, ErrorKind, Layer, Result};
use futures::{future, pin_mut};

use crate::codec::{Codec, error_of_io};
use crate::convert::converter::ConverterBackends;
use crate::convert::find::codec_of;
use crate::convert::limits::{ConversionLimits, Used};
use crate::pack::{PackOptions, PackWriter, Packed, PipeReader, feed, pack, pipe};
use crate::verify_blob;

/// Bytes of tar that are copied at a time.
const BUFFER_BYTES: usize = 128 * 1024;

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
    if !backends.codecs.agree(&source.media_type, &from.compression()) {
        let what = format_args!("{}, which is {} under {}", source.digest, from.compression(), source.media_type);
        return Err(Error::new(ErrorKind::Corrupt, "convert layer", what));
    }
    let to = backends.codecs.of(wanted)?;
    // A plain tar is known before it is made.
    let is_known = *wanted == Compression::Uncompressed;
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
    let stream = reader.read(0..reader.size()).await?;
    let (writer, blob) = pipe();
    let tar = Tar {
        blob,
        from,
        digest: layer.diff_id,
        verified_by: if is_known { Verifier::Store } else { Verifier::Packer },
        limits,
        layer: source.digest,
    };
    let options = PackOptions::default().with_level(level);
    let packing = pack(&backends.budget, &backends.pool, &*to, ingest, options, move |out| tar.copy(out));
    let feeding = feed(stream, writer);
    pin_mut!(packing, feeding);
    let packed: Result<Packed<()>> = match future::select(packing, feeding).await {
        future::Either::Left((packed, _feeding)) => packed,
        future::Either::Right(((), packing)) => packing.await,
    };
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

/// Who compares a tar with its digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verifier {
    /// The blob's digest is the tar's, and the store was told it.
    Store,
    /// The packer hashes the tar anyway.
    Packer,
}

/// A tar on its way from one blob to another.
struct Tar {
    blob: PipeReader,
    from: Arc<dyn Codec>,
    /// What it must turn out to be.
    digest: Digest,
    verified_by: Verifier,
    limits: ConversionLimits,
    /// The blob that it is in.
    layer: Digest,
}

impl Tar {
    fn copy(self, out: &mut PackWriter) -> Result<()> {
        let failed = |error| error_of_io("decode layer", self.layer, error);
        // A packer that hashes nothing, or by another algorithm, is helped.
        let is_hashed = self.verified_by == Verifier::Store
            || out.digest().is_some_and(|digest| digest.algorithm() == self.digest.algorithm());
        let mut hasher = (!is_hashed).then(|| DigestHasher::new(self.digest.algorithm()));
        let mut used = Used::new(self.limits);
        let read = Arc::<AtomicU64>::default();
        let mut tar = self.from.decoder(Box::new(Counted { blob: self.blob, read: Arc::clone(&read) }))?;
        let mut buffer = vec![0; BUFFER_BYTES];
        loop {
            let bytes = match tar.read(&mut buffer) {
                Ok(0) => break,
                Ok(count) => buffer.get(..count).unwrap_or_default(),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(failed(error)),
            };
            used.decoded(bytes, read.load(Ordering::Relaxed))?;
            if let Some(hasher) = &mut hasher {
                hasher.update(bytes);
            }
            out.write_all(bytes).map_err(failed)?;
        }
        let found = hasher.map(DigestHasher::finish).or_else(|| out.digest());
        match found.filter(|found| self.verified_by == Verifier::Packer && *found != self.digest) {
            Some(found) => {
                let what = format_args!("{}, whose DiffID is {found} instead of {}", self.layer, self.digest);
                Err(Error::new(ErrorKind::Corrupt, "convert layer", what))
            }
            None => Ok(()),
        }
    }
}

/// A blob of which is known how much was read.
struct Counted {
    blob: PipeReader,
    /// Shared with the caller, because the decoder owns the reader.
    read: Arc<AtomicU64>,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.blob.read(buffer)?;
        self.read.fetch_add(count as u64, Ordering::Relaxed);
        Ok(count)
    }
}
