//! The tar of a stored layer on its way into a packer: decoded, bounded and verified.

use std::io::{self, Read, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use cache_core::ports::BlobReader;
use cache_core::{Algorithm, Compression, Digest, DigestHasher, Error, ErrorKind, Layer, Result};

use crate::codec::{Codec, error_of_io, io_error};
use crate::content::read_some;
use crate::convert::limits::{ConversionLimits, Used};
use crate::pack::{PackWriter, PipeReader};

/// Bytes of tar that are copied at a time.
const BUFFER_BYTES: usize = 128 * 1024;

/// How the tar of a layer lies in its blob.
#[derive(Clone, Debug)]
pub(super) struct Shape {
    codec: Arc<dyn Codec>,
    /// Bytes of blob that decode to the tar, where what follows decodes to more that the DiffID covers: eStargz's table of contents.
    tar_end: Option<u64>,
}

impl Shape {
    /// The shape of `blob`, which `codec` made.
    ///
    /// # Errors
    /// `Corrupt` for an eStargz without a table of contents; what reading `blob` gives.
    pub(super) async fn of(blob: &dyn BlobReader, codec: Arc<dyn Codec>) -> Result<Self> {
        #[cfg(feature = "estargz")]
        if codec.compression() == Compression::EStargz {
            let missing = || Error::new(ErrorKind::Corrupt, "find the table of contents of", "an eStargz layer");
            let tar_end = crate::codec::estargz::tar_end(blob).await?.ok_or_else(missing)?;
            return Ok(Self { codec, tar_end: Some(tar_end) });
        }
        let _ = blob;
        Ok(Self { codec, tar_end: None })
    }

    /// The codec.
    pub(super) fn compression(&self) -> Compression {
        self.codec.compression()
    }

    /// Whether the DiffID of the layer is the digest of its tar.
    pub(super) fn is_tar_alone(&self) -> bool {
        self.tar_end.is_none()
    }
}

/// Who compares a tar with its digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verifier {
    /// The blob's digest is the tar's, and the store was told it.
    Store,
    /// Whoever decodes it, with the packer's hasher where there is one.
    Decoder,
}

/// The tar of a layer that is being read.
pub(super) struct SourceTar {
    shape: Shape,
    /// The blob, and the DiffID that it must turn out to have.
    blob: Digest,
    diff_id: Digest,
    limits: ConversionLimits,
    verifier: Verifier,
}

impl SourceTar {
    /// The tar of `layer`, whose blob is of `shape`.
    pub(super) fn new(layer: &Layer, shape: Shape, limits: ConversionLimits, verifier: Verifier) -> Self {
        Self { shape, blob: layer.descriptor.digest, diff_id: layer.diff_id, limits, verifier }
    }

    /// Writes the tar in `blob` to `out`, and verifies it.
    ///
    /// # Errors
    /// `Corrupt` if the blob does not decode to the layer's DiffID; `LimitExceeded`; what reading and writing give.
    pub(super) fn copy(self, blob: PipeReader, out: &mut PackWriter) -> Result<()> {
        let failed = |error| error_of_io("decode layer", self.blob, error);
        let blob = Counted { blob: Arc::new(Mutex::new(blob)), read: Arc::default() };
        let mut used = Used::new(self.limits.clone());
        let mut hasher = self.own_hasher(out);
        let first: Box<dyn Read + Send> = Box::new(blob.clone().take(self.shape.tar_end.unwrap_or(u64::MAX)));
        // Of no bytes there is nothing to decode: stargz begins so where there are no files.
        let mut tar = if self.shape.tar_end == Some(0) { first } else { self.shape.codec.decoder(first)? };
        let mut buffer = vec![0; BUFFER_BYTES];
        loop {
            let count = read_some(&mut tar, &mut buffer).map_err(failed)?;
            let bytes = buffer.get(..count).unwrap_or_default();
            if bytes.is_empty() {
                break;
            }
            used.decoded(bytes, blob.bytes_read())?;
            if let Some(hasher) = &mut hasher {
                hasher.update(bytes);
            }
            out.write_all(bytes).map_err(failed)?;
        }
        let hasher = hasher.or_else(|| out.hasher());
        let Some(hasher) = hasher.filter(|_| self.verifier == Verifier::Decoder) else { return Ok(()) };
        let found = if self.shape.is_tar_alone() { hasher } else { self.read_rest(blob, hasher, used)? }.finish();
        if found != self.diff_id {
            let what = format_args!("{}, whose DiffID is {found} instead of {}", self.blob, self.diff_id);
            return Err(Error::new(ErrorKind::Corrupt, "convert layer", what));
        }
        Ok(())
    }

    /// A hasher where the packer's is of no use: it has none, or one of another algorithm.
    fn own_hasher(&self, out: &PackWriter) -> Option<DigestHasher> {
        let algorithm = self.diff_id.algorithm();
        let is_hashed = out.hasher().is_some() && algorithm == Algorithm::default();
        (self.verifier == Verifier::Decoder && !is_hashed).then(|| DigestHasher::new(algorithm))
    }

    /// Hashes what decodes behind the tar.
    fn read_rest(&self, blob: Counted, hasher: DigestHasher, used: Used) -> Result<DigestHasher> {
        let decoded = self.shape.codec.decoder(Box::new(blob.clone()))?;
        let mut rest = Rest { decoded, blob, hasher, used };
        #[cfg(feature = "estargz")]
        crate::codec::estargz::read_toc_alone(&mut rest)?;
        io::copy(&mut rest, &mut io::sink()).map_err(|error| error_of_io("decode layer", self.blob, error))?;
        Ok(rest.hasher)
    }
}

/// What decodes behind the tar, hashed and counted.
struct Rest {
    decoded: Box<dyn Read + Send>,
    blob: Counted,
    hasher: DigestHasher,
    used: Used,
}

impl Read for Rest {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.decoded.read(buffer)?;
        let bytes = buffer.get(..count).unwrap_or_default();
        self.used.decoded(bytes, self.blob.bytes_read()).map_err(io_error)?;
        self.hasher.update(bytes);
        Ok(count)
    }
}

/// A blob of which is known how much was read. Clones read on where the others stopped: decoders own what they read.
#[derive(Clone)]
struct Counted {
    blob: Arc<Mutex<PipeReader>>,
    read: Arc<AtomicU64>,
}

impl Counted {
    fn bytes_read(&self) -> u64 {
        self.read.load(Ordering::Relaxed)
    }
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.blob.lock().unwrap_or_else(PoisonError::into_inner).read(buffer)?;
        self.read.fetch_add(count as u64, Ordering::Relaxed);
        Ok(count)
    }
}
