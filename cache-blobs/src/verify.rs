//! Verifying a layer blob: its digest, its size and its DiffID in one pass.

use std::io::{self, Read};
use std::sync::{Arc, Mutex, PoisonError};

use cache_core::ports::{BlobReader, Pool};
use cache_core::{Compression, Descriptor, Digest, DigestHasher, Error, ErrorKind, Result};

use crate::codec::{Codecs, error_of_io};
use crate::pack::read_blocking;

/// Bytes that are decoded at a time.
const BUFFER_BYTES: usize = 64 * 1024;

/// A layer blob that is what its descriptor says.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Verified {
    /// The compression that its content shows.
    pub compression: Compression,
    /// The digest of what it decodes to.
    pub diff_id: Digest,
    /// Length in bytes of what it decodes to.
    pub uncompressed_bytes: u64,
}

/// Reads and decodes the layer blob of `descriptor`, and checks its digest and size, that its content is what its media type
/// says, if that is one of a known codec, and its DiffID, if one is expected.
///
/// # Errors
/// `Corrupt` if anything is not as promised, or the blob does not decode; `Unsupported` for a compression without a codec; what
/// `reader` gives.
///
/// # Cancel safety
/// Nothing is changed. A dropped call's work ends at its next read.
pub async fn verify_blob(
    pool: &dyn Pool,
    codecs: &Codecs,
    reader: &dyn BlobReader,
    descriptor: &Descriptor,
    expected_diff_id: Option<Digest>,
) -> Result<Verified> {
    let blob = descriptor.digest;
    let corrupt = move |what: String| Error::new(ErrorKind::Corrupt, "verify blob", format_args!("{blob}: {what}"));
    if reader.size() != descriptor.size {
        return Err(corrupt(format!("{} bytes instead of {}", reader.size(), descriptor.size)));
    }
    let stream = reader.read(0..descriptor.size).await?;
    let known = codecs.clone();
    let algorithm = blob.algorithm();
    let (digest, verified) = read_blocking(pool, stream, move |source| {
        let hasher = Arc::new(Mutex::new(DigestHasher::new(algorithm)));
        let verified = decode(&known, Hashed { source, hasher: Arc::clone(&hasher) }, blob)?;
        let hasher = hasher.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Ok::<_, Error>((hasher.finish(), verified))
    })
    .await?;
    if digest != blob {
        return Err(corrupt(format!("its bytes have the digest {digest}")));
    }
    if !codecs.agree(&descriptor.media_type, &verified.compression) {
        return Err(corrupt(format!("{} under {}", verified.compression, descriptor.media_type)));
    }
    match expected_diff_id {
        Some(expected) if expected != verified.diff_id => {
            Err(corrupt(format!("DiffID {} instead of {expected}", verified.diff_id)))
        }
        _ => Ok(verified),
    }
}

fn decode(codecs: &Codecs, source: Hashed<impl Read + Send + 'static>, blob: Digest) -> Result<Verified> {
    let mut decoding = codecs.decode(Box::new(source))?;
    let mut hasher = DigestHasher::default();
    let mut uncompressed_bytes = 0;
    let mut buffer = vec![0; BUFFER_BYTES];
    loop {
        let bytes = match decoding.read(&mut buffer) {
            Ok(0) => break,
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error_of_io("decode blob", blob, error)),
        };
        hasher.update(buffer.get(..bytes).unwrap_or_default());
        uncompressed_bytes += bytes as u64;
    }
    Ok(Verified { compression: decoding.codec().compression(), diff_id: hasher.finish(), uncompressed_bytes })
}

/// Hashes what is read through it. A decoder reads its source to the end, so all of the blob is hashed.
struct Hashed<R> {
    source: R,
    /// Shared with the caller, because the decoder owns the reader.
    hasher: Arc<Mutex<DigestHasher>>,
}

impl<R: Read> Read for Hashed<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let bytes = self.source.read(buffer)?;
        let read = buffer.get(..bytes).unwrap_or_default();
        self.hasher.lock().unwrap_or_else(PoisonError::into_inner).update(read);
        Ok(bytes)
    }
}
