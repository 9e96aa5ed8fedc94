//! What leases hold.

use crate::conformance::Outcome;
use crate::conformance::blob::started;
use crate::conformance::check::Violation;
use crate::conformance::collector::CollectorSubject;
use crate::conformance::require::{require, require_equal};
use crate::conformance::sample::sample;
use crate::digest::Digest;
use crate::labels::Labels;
use crate::ports::{Begun, Expected, Resource, Start};

/// Of two leases each keeps the blob. Mirrors: `TestContentLeased`.
pub async fn a_blob_stays_until_its_last_lease_ends(subject: CollectorSubject) -> Outcome {
    let (first, second) = (subject.lease().await?, subject.lease().await?);
    let digest = subject.blob(&first, 1, Labels::new()).await?;
    let other = subject.blob(&first, 2, Labels::new()).await?;
    subject.collects(&[digest, other], &[]).await?;
    require_equal(&subject.blob(&second, 1, Labels::new()).await?, &digest, "equal bytes have one digest")?;
    let held = subject.leases.resources(&second).await?;
    require_equal(&held, &vec![Resource::Content(digest)], "a commit hands the lease from ingest to content")?;
    subject.leases.delete(first.id()).await?;
    subject.collects(&[digest], &[other]).await?;
    subject.leases.delete(second.id()).await?;
    subject.collects(&[], &[digest]).await
}

/// A lease that asked for content that was there holds it, though it wrote nothing.
pub async fn what_was_there_already_is_held(subject: CollectorSubject) -> Outcome {
    let (first, second) = (subject.lease().await?, subject.lease().await?);
    let digest = subject.blob(&first, 1, Labels::new()).await?;
    let expected = Expected { digest: Some(digest), size: None };
    match subject.content.begin(&second, "key", expected, Start::Fresh).await? {
        Begun::AlreadyThere(_) => {}
        Begun::Started(_) => return Err(Violation::new("content that exists is not written again").into()),
    }
    subject.leases.delete(first.id()).await?;
    subject.collects(&[digest], &[]).await
}

/// A resource that a lease was given by hand is held until it is taken from it.
pub async fn what_is_attached_stays_and_what_is_detached_goes(subject: CollectorSubject) -> Outcome {
    let (first, second) = (subject.lease().await?, subject.lease().await?);
    let digest = subject.blob(&first, 1, Labels::new()).await?;
    subject.leases.attach(&second, &[Resource::Content(digest)]).await?;
    subject.leases.delete(first.id()).await?;
    subject.collects(&[digest], &[]).await?;
    subject.leases.detach(&second, &[Resource::Content(digest)]).await?;
    subject.collects(&[], &[digest]).await
}

/// An ingest that was kept under a live lease has its bytes after a collection. Mirrors: `TestIngestLeased`.
pub async fn a_kept_ingest_stays_with_its_lease(subject: CollectorSubject) -> Outcome {
    let lease = subject.lease().await?;
    let bytes = sample(1, 1000);
    let mut ingest = started(subject.content.begin(&lease, "key", Expected::UNKNOWN, Start::Fresh).await)?;
    ingest.write(bytes.slice(..600)).await?;
    ingest.keep().await?;
    let held = subject.leases.resources(&lease).await?;
    require_equal(&held, &vec![Resource::Ingest("key".to_owned())], "a lease holds its ingests")?;
    subject.collector.collect().await?;
    let mut again = started(subject.content.begin(&lease, "key", Expected::UNKNOWN, Start::Resume).await)?;
    require_equal(&again.offset(), &600, "a held ingest keeps its bytes")?;
    again.write(bytes.slice(600..)).await?;
    let info = again.commit(Some(Digest::of(&bytes)), Labels::new()).await?.into_info();
    subject.collects(&[info.digest], &[]).await
}

/// A collection between two writes takes nothing from the writer.
pub async fn an_open_writer_is_not_disturbed(subject: CollectorSubject) -> Outcome {
    let lease = subject.lease().await?;
    let bytes = sample(1, 1000);
    let mut ingest = started(subject.content.begin(&lease, "key", Expected::UNKNOWN, Start::Fresh).await)?;
    subject.collector.collect().await?;
    ingest.write(bytes.slice(..600)).await?;
    require_equal(&subject.collector.collect().await?.ingests, &0, "an open ingest is not freed")?;
    ingest.write(bytes.slice(600..)).await?;
    let info = ingest.commit(Some(Digest::of(&bytes)), Labels::new()).await?.into_info();
    subject.collects(&[info.digest], &[]).await
}

/// A held ingest keeps the blob that it expects, when another has committed that blob meanwhile.
pub async fn an_ingest_keeps_what_it_expects(subject: CollectorSubject) -> Outcome {
    let (first, second) = (subject.lease().await?, subject.lease().await?);
    let bytes = sample(1, 1000);
    let expected = Expected { digest: Some(Digest::of(&bytes)), size: None };
    started(subject.content.begin(&first, "slow", expected, Start::Fresh).await)?.keep().await?;
    let digest = subject.blob(&second, 1, Labels::new()).await?;
    subject.leases.delete(second.id()).await?;
    subject.collects(&[digest], &[]).await?;
    subject.leases.delete(first.id()).await?;
    subject.collects(&[], &[digest]).await
}

/// Resources that do not exist are no obstacle, and hold what comes under their name later.
pub async fn a_lease_may_hold_what_is_not_there(subject: CollectorSubject) -> Outcome {
    let (first, second) = (subject.lease().await?, subject.lease().await?);
    let digest = Digest::of(sample(1, 1000));
    let snapshot = Resource::Snapshot { snapshotter: "absent".to_owned(), key: "absent".to_owned() };
    let held = [Resource::Content(digest), Resource::Ingest("absent".to_owned()), snapshot];
    subject.leases.attach(&first, &held).await?;
    subject.collector.collect().await?;
    require(subject.blob(&second, 1, Labels::new()).await? == digest, "equal bytes have one digest")?;
    subject.leases.delete(second.id()).await?;
    subject.collects(&[digest], &[]).await
}
