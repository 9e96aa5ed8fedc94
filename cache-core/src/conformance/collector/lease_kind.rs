//! How far leases reach and how long.

use crate::annotation;
use crate::conformance::Outcome;
use crate::conformance::blob::labels;
use crate::conformance::collector::CollectorSubject;
use crate::conformance::lease::expiry::{EXPIRY, HALF, LONGER};
use crate::labels::Labels;
use crate::ports::{LeaseKind, LeaseOptions, Resource};

/// What a lease held is gone after its time, and not before.
pub async fn an_expired_lease_holds_nothing(subject: CollectorSubject) -> Outcome {
    let lease = subject.leases.create(LeaseOptions::default().with_expiry(EXPIRY)).await?;
    let digest = subject.blob(&lease, 1, Labels::new()).await?;
    subject.clock.pass(HALF).await;
    subject.collects(&[digest], &[]).await?;
    subject.clock.pass(LONGER).await;
    subject.collects(&[], &[digest]).await
}

/// A lease that is renewed before its time holds on after it.
pub async fn a_renewed_lease_holds_on(subject: CollectorSubject) -> Outcome {
    let lease = subject.leases.create(LeaseOptions::default().with_expiry(EXPIRY)).await?;
    let digest = subject.blob(&lease, 1, Labels::new()).await?;
    for _ in 0..3 {
        subject.clock.pass(HALF).await;
        subject.leases.renew(&lease).await?;
        subject.collects(&[digest], &[]).await?;
    }
    subject.clock.pass(LONGER).await;
    subject.collects(&[], &[digest]).await
}

/// A flat lease keeps just what it holds. Mirrors: `TestMetadataCollector`, flat lease.
pub async fn a_flat_lease_follows_no_labels(subject: CollectorSubject) -> Outcome {
    let making = subject.lease().await?;
    let leaf = subject.blob(&making, 1, Labels::new()).await?;
    let reference = labels([(annotation::GC_REF_CONTENT, &*leaf.to_string())]);
    let root = subject.blob(&making, 2, reference).await?;
    let flat = subject.leases.create(LeaseOptions::new(LeaseKind::Flat)).await?;
    subject.leases.attach(&flat, &[Resource::Content(root)]).await?;
    subject.leases.delete(making.id()).await?;
    subject.collects(&[root], &[leaf]).await
}

/// What a flat lease and another one both reach is reached as far as the other one reaches.
pub async fn a_flat_lease_beside_another_changes_nothing(subject: CollectorSubject) -> Outcome {
    let making = subject.lease().await?;
    let leaf = subject.blob(&making, 1, Labels::new()).await?;
    let reference = labels([(annotation::GC_REF_CONTENT, &*leaf.to_string())]);
    let root = subject.blob(&making, 2, reference).await?;
    for kinds in [[LeaseKind::Flat, LeaseKind::Permanent], [LeaseKind::Temporary, LeaseKind::Flat]] {
        for kind in kinds {
            let lease = subject.leases.create(LeaseOptions::new(kind)).await?;
            subject.leases.attach(&lease, &[Resource::Content(root)]).await?;
        }
    }
    subject.leases.delete(making.id()).await?;
    subject.collects(&[root, leaf], &[]).await
}
