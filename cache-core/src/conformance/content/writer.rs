//! Writers before their commit.

use bytes::Bytes;

use crate::conformance::Outcome;
use crate::conformance::blob::started;
use crate::conformance::content::ContentSubject;
use crate::conformance::require::{require_equal, require_kind};
use crate::conformance::sample::sample;
use crate::digest::Digest;
use crate::error::ErrorKind;
use crate::labels::Labels;
use crate::ports::{Expected, Start};

/// Offset and times are exact after every write. Mirrors: case `UpdateStatus`.
pub async fn status_follows_every_write(subject: ContentSubject) -> Outcome {
    let lease = subject.lease().await?;
    let bytes = sample(1, 256);
    let expected = Expected { digest: None, size: Some(256) };
    let clock = &subject.clock;
    let opening = clock.window();
    let mut ingest = started(subject.store.begin(&lease, "key", expected, Start::Fresh).await)?;
    let before = ingest.status();
    require_equal(&before.key.as_str(), &"key", "the status has the key")?;
    require_equal(&before.expected, &expected, "the status has what is expected")?;
    require_equal(&(before.offset, ingest.offset()), &(0, 0), "a fresh ingest is empty")?;
    opening.require(before.started_at, "an ingest is started when it begins")?;
    opening.require(before.updated_at, "an ingest is first updated when it begins")?;
    for (from, to) in [(0, 64), (64, 192), (192, 256)] {
        clock.tick().await;
        let writing = clock.window();
        ingest.write(bytes.slice(from..to)).await?;
        let status = ingest.status();
        let offsets = (status.offset, ingest.offset());
        require_equal(&offsets, &(to as u64, to as u64), "the offset counts every byte")?;
        writing.require(status.updated_at, "a write moves the time of the last update")?;
        require_equal(&status.started_at, &before.started_at, "a write does not move the start")?;
    }
    clock.tick().await;
    let committing = clock.window();
    let info = ingest.commit(None, Labels::new()).await?.into_info();
    require_equal(&info.digest, &Digest::of(&bytes), "the pieces make the whole")?;
    committing.require(info.created_at, "a blob is created at its commit")
}

/// More bytes than were expected are `LimitExceeded`. The writer is ended: every further call is `Invalid`, and the
/// true offset is there to resume.
pub async fn a_write_past_the_expected_size_ends_the_writer(subject: ContentSubject) -> Outcome {
    let lease = subject.lease().await?;
    let store = &subject.store;
    let bytes = sample(1, 100);
    let expected = Expected { digest: None, size: Some(100) };
    for wants_commit in [false, true] {
        let mut ingest = started(store.begin(&lease, "key", expected, Start::Fresh).await)?;
        ingest.write(bytes.slice(..60)).await?;
        let past = ingest.write(Bytes::from(vec![0; 41])).await;
        require_kind(past, ErrorKind::LimitExceeded, "a write past the expected size is refused")?;
        if wants_commit {
            let commit = ingest.commit(None, Labels::new()).await;
            require_kind(commit, ErrorKind::Invalid, "an ended writer commits nothing")?;
        } else {
            let write = ingest.write(bytes.slice(60..)).await;
            require_kind(write, ErrorKind::Invalid, "an ended writer takes no bytes")?;
            drop(ingest);
        }
    }
    let mut again = started(store.begin(&lease, "key", expected, Start::Resume).await)?;
    let offset = usize::try_from(again.offset()).unwrap_or(usize::MAX).min(bytes.len());
    again.write(bytes.slice(offset..)).await?;
    let info = again.commit(Some(Digest::of(&bytes)), Labels::new()).await?.into_info();
    require_equal(&info.size, &100, "the offset of a resumed ingest is true")
}

/// An aborted ingest is gone and its key is free.
pub async fn abort_drops_the_bytes(subject: ContentSubject) -> Outcome {
    let lease = subject.lease().await?;
    let store = &subject.store;
    let mut ingest = started(store.begin(&lease, "key", Expected::UNKNOWN, Start::Fresh).await)?;
    ingest.write(sample(1, 100)).await?;
    ingest.abort().await?;
    require_equal(&store.ingests().await?, &Vec::new(), "an aborted ingest is listed no more")?;
    let again = started(store.begin(&lease, "key", Expected::UNKNOWN, Start::Resume).await)?;
    require_equal(&again.offset(), &0, "an aborted ingest keeps no bytes")
}

/// The key of a dropped writer is free. What it wrote is kept or not, but its offset is true. Mirrors: case `Resume`.
pub async fn a_dropped_writer_gives_the_key_free(subject: ContentSubject) -> Outcome {
    let lease = subject.lease().await?;
    let store = &subject.store;
    let bytes = sample(1, 100);
    let mut ingest = started(store.begin(&lease, "key", Expected::UNKNOWN, Start::Fresh).await)?;
    ingest.write(bytes.slice(..60)).await?;
    drop(ingest);
    require_equal(&store.info(&Digest::of(&bytes[..60])).await?, &None, "a dropped writer commits nothing")?;
    let mut again = started(store.begin(&lease, "key", Expected::UNKNOWN, Start::Resume).await)?;
    let offset = usize::try_from(again.offset()).unwrap_or(usize::MAX).min(bytes.len());
    again.write(bytes.slice(offset..)).await?;
    let info = again.commit(Some(Digest::of(&bytes)), Labels::new()).await?.into_info();
    require_equal(&info.size, &100, "the offset of a resumed ingest is true")
}
