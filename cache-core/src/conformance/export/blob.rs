//! Blobs that arrive.

use bytes::Bytes;

use crate::conformance::blob::started;
use crate::conformance::check::Violation;
use crate::conformance::export::ExportSubject;
use crate::conformance::require::{require, require_equal};
use crate::conformance::sample::sample;
use crate::conformance::{Outcome, Unmet};
use crate::descriptor::Descriptor;
use crate::digest::Digest;
use crate::labels::Labels;
use crate::media_type::MediaType;
use crate::ports::{Begun, Expected};

impl ExportSubject {
    /// Exports `bytes` in pieces, expecting what they are.
    pub(super) async fn export(&self, key: &str, bytes: &Bytes) -> Result<(), Unmet> {
        let descriptor = Descriptor::of(MediaType::OCI_LAYER, bytes);
        let mut ingest = started(self.target.begin(key, Expected::of(&descriptor)).await)?;
        for from in (0..bytes.len()).step_by(10_000) {
            ingest.write(bytes.slice(from..bytes.len().min(from + 10_000))).await?;
        }
        let info = ingest.commit(Some(descriptor.digest), Labels::new()).await?.into_info();
        require_equal(&(info.digest, info.size), &(descriptor.digest, descriptor.size), "a commit says what it made")
    }
}

/// A committed blob is read back as it was written.
pub async fn what_is_committed_is_readable(subject: ExportSubject) -> Outcome {
    for (seed, size) in [(1, 1), (2, 1000), (3, 123_456)] {
        let bytes = sample(seed, size);
        subject.export(&format!("blob {seed}"), &bytes).await?;
        require(subject.read_bytes(&bytes).await? == Some(bytes), "a committed blob is read back")?;
    }
    Ok(())
}

/// Several blobs are under way at once, as the layers of an image are.
pub async fn blobs_are_written_side_by_side(subject: ExportSubject) -> Outcome {
    let blobs = [1, 2, 3, 4].map(|seed| sample(seed, 40_000));
    let mut open = Vec::new();
    for (number, bytes) in blobs.iter().enumerate() {
        let expected = Expected { digest: Some(Digest::of(bytes)), size: Some(40_000) };
        open.push((bytes, started(subject.target.begin(&format!("blob {number}"), expected).await)?));
    }
    for from in (0..40_000).step_by(10_000) {
        for (bytes, ingest) in &mut open {
            ingest.write(bytes.slice(from..from + 10_000)).await?;
        }
    }
    // The last begun is committed first.
    for (_, ingest) in open.into_iter().rev() {
        ingest.commit(None, Labels::new()).await?;
    }
    for bytes in blobs {
        require(subject.read_bytes(&bytes).await? == Some(bytes), "no two blobs are mixed")?;
    }
    Ok(())
}

/// A blob may have no bytes.
pub async fn an_empty_blob_is_a_blob(subject: ExportSubject) -> Outcome {
    subject.export("empty", &Bytes::new()).await?;
    require_equal(&subject.read_bytes(&Bytes::new()).await?, &Some(Bytes::new()), "the empty blob is read back")
}

/// Content that the target has is `AlreadyThere`, at the beginning or at the commit, and stays as it is.
pub async fn what_is_there_is_not_written_again(subject: ExportSubject) -> Outcome {
    let bytes = sample(1, 1000);
    subject.export("first", &bytes).await?;
    let expected = Expected { digest: Some(Digest::of(&bytes)), size: Some(1000) };
    match subject.target.begin("second", expected).await? {
        Begun::AlreadyThere(info) => {
            require_equal(&(info.digest, info.size), &(Digest::of(&bytes), 1000), "the answer names the blob")?;
        }
        Begun::Started(_) => return Err(Violation::new("content that exists is not written again").into()),
    }
    require(subject.read_bytes(&bytes).await? == Some(bytes), "what was there stays")
}

/// A key whose blob was committed, aborted or dropped can be begun again.
pub async fn a_key_is_used_again(subject: ExportSubject) -> Outcome {
    subject.export("key", &sample(1, 1000)).await?;
    for abort in [true, false] {
        let bytes = sample(2, 1000);
        let expected = Expected { digest: Some(Digest::of(&bytes)), size: Some(1000) };
        let mut ingest = started(subject.target.begin("key", expected).await)?;
        ingest.write(bytes.slice(..10)).await?;
        if abort {
            ingest.abort().await?;
        }
    }
    let bytes = sample(3, 1000);
    subject.export("key", &bytes).await?;
    require(subject.read_bytes(&bytes).await? == Some(bytes), "nothing of an earlier blob is left under the key")
}
