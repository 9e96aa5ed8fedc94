//! Small blobs, whole and verified.

use cache_core::ports::BlobReader;
use cache_core::{Descriptor, DigestHasher, Error, ErrorKind};
use futures::TryStreamExt;

use crate::error::CacheError;

/// The bytes of `descriptor` from `reader`, if they are as many as it says, at most `most`, and have its digest.
pub(crate) async fn read_blob(
    reader: &dyn BlobReader,
    descriptor: &Descriptor,
    limit: &'static str,
    most: u64,
) -> Result<Vec<u8>, CacheError> {
    if descriptor.size > most || reader.size() > most {
        return Err(CacheError::Limit { limit, most });
    }
    let corrupt = || Error::new(ErrorKind::Corrupt, "read blob", descriptor.digest);
    if reader.size() != descriptor.size {
        return Err(corrupt().into());
    }
    let mut hasher = DigestHasher::new(descriptor.digest.algorithm());
    let mut bytes = Vec::new();
    let mut stream = reader.read(0..descriptor.size).await?;
    while let Some(chunk) = stream.try_next().await? {
        bytes.extend_from_slice(&chunk);
        hasher.update(&chunk);
        if bytes.len() as u64 > descriptor.size {
            return Err(corrupt().into());
        }
    }
    if bytes.len() as u64 != descriptor.size || hasher.finish() != descriptor.digest {
        return Err(corrupt().into());
    }
    Ok(bytes)
}
