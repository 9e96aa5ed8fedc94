//! Blobs that do not arrive.

use bytes::Bytes;

use crate::conformance::Outcome;
use crate::conformance::blob::started;
use crate::conformance::export::ExportSubject;
use crate::conformance::require::{require_equal, require_kind};
use crate::conformance::sample::sample;
use crate::digest::Digest;
use crate::error::ErrorKind;
use crate::labels::Labels;
use crate::ports::Expected;

fn expected(bytes: &Bytes) -> Expected {
    Expected { digest: Some(Digest::of(bytes)), size: Some(bytes.len() as u64) }
}

/// A blob that is wholly written but not committed is not there.
pub async fn nothing_is_visible_before_its_commit(subject: ExportSubject) -> Outcome {
    let bytes = sample(1, 1000);
    let mut ingest = started(subject.target.begin("key", expected(&bytes)).await)?;
    require_equal(&subject.read_bytes(&bytes).await?, &None, "nothing is visible before a write")?;
    ingest.write(bytes.clone()).await?;
    require_equal(&subject.read_bytes(&bytes).await?, &None, "nothing is visible before the commit")?;
    ingest.commit(None, Labels::new()).await?;
    require_equal(&subject.read_bytes(&bytes).await?, &Some(bytes), "a blob is visible after its commit")
}

/// Bytes other than those expected, at the beginning or at the commit, are `Corrupt` and not there.
pub async fn other_bytes_are_corrupt(subject: ExportSubject) -> Outcome {
    let (bytes, wanted) = (sample(1, 1000), sample(2, 1000));
    for (at_beginning, at_end) in [
        (expected(&wanted), None),
        (Expected::UNKNOWN, Some(Digest::of(&wanted))),
        (expected(&wanted), Some(Digest::of(&bytes))),
    ] {
        let mut ingest = started(subject.target.begin("key", at_beginning).await)?;
        ingest.write(bytes.clone()).await?;
        require_kind(ingest.commit(at_end, Labels::new()).await, ErrorKind::Corrupt, "other bytes are refused")?;
        for absent in [&bytes, &wanted] {
            require_equal(&subject.read_bytes(absent).await?, &None, "a refused blob is not there")?;
        }
    }
    Ok(())
}

/// A blob that was refused although it was whole is not what the next writer of its key goes on from.
pub async fn a_refused_blob_is_not_resumed(subject: ExportSubject) -> Outcome {
    let (bytes, wanted) = (sample(1, 1000), sample(2, 1000));
    let mut ingest = started(subject.target.begin("key", expected(&wanted)).await)?;
    ingest.write(bytes).await?;
    require_kind(ingest.commit(None, Labels::new()).await, ErrorKind::Corrupt, "other bytes are refused")?;
    let again = started(subject.target.begin("key", expected(&wanted)).await)?;
    require_equal(&again.offset(), &0, "nothing of a refused blob is kept")?;
    again.abort().await?;
    subject.export("key", &wanted).await?;
    require_equal(&subject.read_bytes(&wanted).await?, &Some(wanted), "the right bytes are taken afterwards")
}

/// Fewer bytes than expected are `Corrupt` and not there.
pub async fn too_few_bytes_are_corrupt(subject: ExportSubject) -> Outcome {
    let bytes = sample(1, 1000);
    let short = bytes.slice(..999);
    for digest in [Some(Digest::of(&bytes)), None] {
        let mut ingest = started(subject.target.begin("key", Expected { digest, size: Some(1000) }).await)?;
        ingest.write(short.clone()).await?;
        require_kind(ingest.commit(None, Labels::new()).await, ErrorKind::Corrupt, "a short blob is refused")?;
        for absent in [&bytes, &short] {
            require_equal(&subject.read_bytes(absent).await?, &None, "a refused blob is not there")?;
        }
    }
    Ok(())
}

/// More bytes than expected are `LimitExceeded`, and the writer commits nothing any more.
pub async fn too_many_bytes_are_refused(subject: ExportSubject) -> Outcome {
    let bytes = sample(1, 1000);
    let mut ingest = started(subject.target.begin("key", expected(&bytes)).await)?;
    ingest.write(bytes.clone()).await?;
    let past = ingest.write(Bytes::from_static(b"!")).await;
    require_kind(past, ErrorKind::LimitExceeded, "a write past the expected size is refused")?;
    require_kind(ingest.commit(None, Labels::new()).await, ErrorKind::Invalid, "an ended writer commits nothing")?;
    require_equal(&subject.read_bytes(&bytes).await?, &None, "a refused blob is not there")
}

/// An aborted blob is not there.
pub async fn an_aborted_blob_is_not_there(subject: ExportSubject) -> Outcome {
    let bytes = sample(1, 1000);
    let mut ingest = started(subject.target.begin("key", expected(&bytes)).await)?;
    ingest.write(bytes.clone()).await?;
    ingest.abort().await?;
    require_equal(&subject.read_bytes(&bytes).await?, &None, "an aborted blob is not there")
}

/// A writer that is dropped, or kept, makes nothing visible.
pub async fn a_dropped_writer_leaves_nothing_visible(subject: ExportSubject) -> Outcome {
    let bytes = sample(1, 1000);
    for keep in [false, true] {
        let mut ingest = started(subject.target.begin("key", expected(&bytes)).await)?;
        let offset = usize::try_from(ingest.offset()).unwrap_or(usize::MAX).min(bytes.len());
        ingest.write(bytes.slice(offset..)).await?;
        if keep {
            ingest.keep().await?;
        } else {
            drop(ingest);
        }
        require_equal(&subject.read_bytes(&bytes).await?, &None, "nothing is visible without a commit")?;
    }
    Ok(())
}
