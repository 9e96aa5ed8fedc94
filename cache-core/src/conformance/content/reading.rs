//! Reading blobs.

use bytes::Bytes;

use crate::conformance::blob::{put, read_range};
use crate::conformance::content::ContentSubject;
use crate::conformance::require::{require, require_equal, require_some};
use crate::conformance::sample::sample;
use crate::conformance::{Outcome, Unmet};
use crate::descriptor::Descriptor;
use crate::labels::Labels;
use crate::media_type::MediaType;

/// A window longer than the blob gives exactly the blob. Mirrors: case `SmallBlob`.
pub async fn past_the_end_gives_the_blob(subject: ContentSubject) -> Outcome {
    let lease = subject.lease().await?;
    let bytes = Bytes::from_static(b"foobar");
    let info = put(&*subject.store, &lease, "key", &bytes, Labels::new()).await?;
    let descriptor = Descriptor::new(MediaType::default(), info.digest, info.size);
    let reader = require_some(subject.store.open(&descriptor).await?, "a committed blob opens")?;
    require_equal(&reader.size(), &6, "a reader knows its size")?;
    require_equal(&read_range(&*reader, 0..7).await?, &bytes, "a longer window gives the blob")?;
    require_equal(&read_range(&*reader, 0..u64::MAX).await?, &bytes, "the longest window gives the blob")
}

/// Any range gives the bytes that the blob has there, in any order, and more than once.
pub async fn every_range_gives_its_bytes(subject: ContentSubject) -> Outcome {
    const SIZE: usize = 200_000;
    let lease = subject.lease().await?;
    let bytes = sample(1, SIZE);
    let info = put(&*subject.store, &lease, "key", &bytes, Labels::new()).await?;
    let descriptor = Descriptor::new(MediaType::default(), info.digest, info.size);
    let reader = require_some(subject.store.open(&descriptor).await?, "a committed blob opens")?;
    let edges = [0, 1, 4095, 4096, 4097, 65_536, 131_072, SIZE - 1, SIZE, SIZE + 1, usize::MAX];
    for from in edges.into_iter().rev() {
        for to in edges.into_iter().filter(|to| *to >= from) {
            let found = read_range(&*reader, from as u64..to as u64).await?;
            let wanted = bytes.slice(from.min(SIZE)..to.min(SIZE));
            require(found == wanted, &format!("the range {from}..{to} gives its bytes"))?;
        }
    }
    Ok(())
}

/// A descriptor with a wrong size and media type opens the blob of its digest all the same.
pub async fn only_the_digest_is_required(subject: ContentSubject) -> Outcome {
    let lease = subject.lease().await?;
    let bytes = sample(1, 100);
    let info = put(&*subject.store, &lease, "key", &bytes, Labels::new()).await?;
    let descriptor = Descriptor::new(MediaType::OCI_LAYER_ZSTD, info.digest, 7);
    let reader = require_some(subject.store.open(&descriptor).await?, "a digest is enough to open a blob")?;
    require_equal(&reader.size(), &100, "a reader knows the size of the blob, not of the descriptor")?;
    require(read_range(&*reader, 0..100).await? == bytes, "a reader gives the bytes of the digest")
}

/// Where a reader names a local file, the file holds exactly the blob, and nobody may write to it.
pub async fn a_local_file_holds_the_blob(subject: ContentSubject) -> Outcome {
    let lease = subject.lease().await?;
    let bytes = sample(1, 100_000);
    let info = put(&*subject.store, &lease, "key", &bytes, Labels::new()).await?;
    let descriptor = Descriptor::new(MediaType::default(), info.digest, info.size);
    let reader = require_some(subject.store.open(&descriptor).await?, "a committed blob opens")?;
    let file = reader.local_file().ok_or(Unmet::needs("a store that has local files"))?;
    require(std::fs::read(&file)? == bytes, "the local file holds the blob")?;
    require(std::fs::metadata(&file)?.permissions().readonly(), "the local file is read-only")
}
