//! Small blobs that are read whole and verified.

use bytes::{Bytes, BytesMut};
use cache_core::ports::Provider;
use cache_core::{Descriptor, DigestHasher};
use futures::StreamExt;

use crate::error::{DocumentProblem, Error, JsonError, Result};
use crate::json::JsonLimits;

/// The bytes of `descriptor`, which are at most those that `limits` allow. Inline data is taken where it is right.
pub(super) async fn read_document(
    provider: &dyn Provider,
    descriptor: &Descriptor,
    limits: JsonLimits,
) -> Result<Bytes> {
    let problem = |problem: DocumentProblem| Error::Document { document: descriptor.digest.to_string(), problem };
    if descriptor.size > limits.bytes {
        return Err(problem(JsonError::TooLong { maximum: limits.bytes }.into()));
    }
    if let Some(data) = descriptor.verified_data() {
        return Ok(Bytes::copy_from_slice(data));
    }
    let name = descriptor.digest.to_string();
    let reader = provider.open(descriptor).await?.ok_or_else(|| problem(DocumentProblem::Missing { name }))?;
    let wrong = || problem(DocumentProblem::Digest { digest: descriptor.digest });
    if reader.size() != descriptor.size {
        return Err(wrong());
    }
    let mut hasher = DigestHasher::new(descriptor.digest.algorithm());
    let mut bytes = BytesMut::new();
    let mut chunks = reader.read(0..descriptor.size).await?;
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk?;
        hasher.update(&chunk);
        bytes.extend_from_slice(&chunk);
        if bytes.len() as u64 > descriptor.size {
            return Err(wrong());
        }
    }
    if bytes.len() as u64 == descriptor.size && hasher.finish() == descriptor.digest {
        Ok(bytes.freeze())
    } else {
        Err(wrong())
    }
}
