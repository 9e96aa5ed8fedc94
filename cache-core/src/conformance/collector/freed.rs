//! What is freed.

use futures::TryStreamExt;

use crate::conformance::Outcome;
use crate::conformance::blob::{ALL, named, put, read_range, started};
use crate::conformance::collector::{CollectorSubject, NOTHING};
use crate::conformance::require::{require, require_equal, require_some};
use crate::conformance::sample::sample;
use crate::digest::Digest;
use crate::labels::Labels;
use crate::ports::{Committed, Expected, LeaseKind, LeaseOptions, Start};

/// A blob whose lease was deleted is gone for readers, infos and lists, and is counted.
pub async fn what_nobody_holds_is_gone(subject: CollectorSubject) -> Outcome {
    let lease = subject.lease().await?;
    let first = subject.blob(&lease, 1, Labels::new()).await?;
    let second = subject.blob(&lease, 2, Labels::new()).await?;
    subject.leases.delete(lease.id()).await?;
    let collected = subject.collector.collect().await?;
    require_equal(&(collected.blobs, collected.snapshots, collected.ingests), &(2, 0, 0), "what was freed is counted")?;
    require(collected.bytes >= 2000, "the bytes that were freed are counted")?;
    for digest in [first, second] {
        require(subject.content.open(&named(digest)).await?.is_none(), "a freed blob does not open")?;
        require_equal(&subject.content.info(&digest).await?, &None, "a freed blob has no info")?;
    }
    require_equal(&subject.content.list().try_collect().await?, &Vec::new(), "a freed blob is not listed")
}

/// There is nothing to free where nothing was made.
pub async fn an_empty_store_has_nothing_to_free(subject: CollectorSubject) -> Outcome {
    require_equal(&subject.collector.collect().await?, &NOTHING, "nothing was there")
}

/// What was freed is not freed again, and what is held is not counted.
pub async fn a_second_collection_frees_nothing(subject: CollectorSubject) -> Outcome {
    let (stays, goes) = (subject.lease().await?, subject.lease().await?);
    let kept = subject.blob(&stays, 1, Labels::new()).await?;
    let freed = subject.blob(&goes, 2, Labels::new()).await?;
    subject.leases.delete(goes.id()).await?;
    subject.collects(&[kept], &[freed]).await?;
    require_equal(&subject.collector.collect().await?, &NOTHING, "a second collection frees nothing")
}

/// Freed bytes are new when they are committed again, and have nothing of the labels from before.
pub async fn what_was_freed_can_be_committed_again(subject: CollectorSubject) -> Outcome {
    let labels = Labels::from([("old".to_owned(), "label".to_owned())]);
    let first = subject.lease().await?;
    let digest = subject.blob(&first, 1, labels).await?;
    subject.leases.delete(first.id()).await?;
    subject.collects(&[], &[digest]).await?;
    let second = subject.lease().await?;
    let expected = Expected { digest: Some(digest), size: Some(1000) };
    let mut ingest = started(subject.content.begin(&second, "blob 1", expected, Start::Resume).await)?;
    require_equal(&ingest.offset(), &0, "no bytes of a freed blob are resumed")?;
    ingest.write(sample(1, 1000)).await?;
    let committed = ingest.commit(None, Labels::new()).await?;
    require(matches!(committed, Committed::New(_)), "freed content is new again")?;
    require_equal(&committed.info().labels, &Labels::new(), "labels of a freed blob are gone")?;
    subject.collects(&[digest], &[]).await
}

/// A reader that was opened before the collection reads the whole blob after it.
pub async fn an_open_reader_reads_on(subject: CollectorSubject) -> Outcome {
    let lease = subject.lease().await?;
    let bytes = sample(1, 300_000);
    let digest = put(&*subject.content, &lease, "key", &bytes, Labels::new()).await?.digest;
    let reader = require_some(subject.content.open(&named(digest)).await?, "a committed blob opens")?;
    require(read_range(&*reader, 0..10).await? == bytes[..10], "a reader reads")?;
    subject.leases.delete(lease.id()).await?;
    subject.collects(&[], &[digest]).await?;
    require_equal(&reader.size(), &300_000, "an open reader keeps its size")?;
    require(read_range(&*reader, ALL).await? == bytes, "an open reader reads on")
}

/// An ingest that was kept under a lease that ended is gone with its bytes, and is counted.
pub async fn a_kept_ingest_goes_with_its_lease(subject: CollectorSubject) -> Outcome {
    let lease = subject.lease().await?;
    let mut ingest = started(subject.content.begin(&lease, "key", Expected::UNKNOWN, Start::Fresh).await)?;
    ingest.write(sample(1, 1000)).await?;
    ingest.keep().await?;
    subject.leases.delete(lease.id()).await?;
    let collected = subject.collector.collect().await?;
    require_equal(&(collected.blobs, collected.ingests), &(0, 1), "the ingest that was freed is counted")?;
    require_equal(&subject.content.ingests().await?, &Vec::new(), "a freed ingest is not listed")?;
    let lease = subject.lease().await?;
    let again = started(subject.content.begin(&lease, "key", Expected::UNKNOWN, Start::Resume).await)?;
    require_equal(&again.offset(), &0, "a freed ingest has no bytes")
}

/// What only an abandoned temporary lease held is gone.
pub async fn what_an_abandoned_lease_held_is_gone(subject: CollectorSubject) -> Outcome {
    let lease = subject.leases.create(LeaseOptions::new(LeaseKind::Temporary)).await?;
    let digest: Digest = subject.blob(&lease, 1, Labels::new()).await?;
    subject.collects(&[digest], &[]).await?;
    subject.leases.abandon(lease.id());
    subject.collects(&[], &[digest]).await
}
