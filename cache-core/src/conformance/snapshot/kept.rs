//! Which snapshots a collection frees.

use std::sync::Arc;

use crate::annotation;
use crate::conformance::blob::{labels, put};
use crate::conformance::require::{require, require_equal};
use crate::conformance::sample::sample;
use crate::conformance::snapshot::SnapshotSubject;
use crate::conformance::{Outcome, Unmet};
use crate::labels::Labels;
use crate::ports::{Collector, ContentStore, LeaseKind, LeaseOptions, Resource};

impl SnapshotSubject {
    fn collection(&self) -> Result<(&Arc<dyn Collector>, &Arc<dyn ContentStore>), Unmet> {
        let (collector, content) = self.collection.as_ref().ok_or(Unmet::needs("a collector of snapshots"))?;
        Ok((collector, content))
    }

    /// Requires that after a collection just `kept` are there, and that the collector counts the others.
    async fn collects(&self, kept: &[&str]) -> Outcome {
        let before = self.snapshotter.list().await?.len();
        let collected = self.collection()?.0.collect().await?;
        let mut keys: Vec<_> = self.snapshotter.list().await?.into_iter().map(|info| info.key).collect();
        keys.sort();
        let mut wanted: Vec<_> = kept.iter().map(|key| (*key).to_owned()).collect();
        wanted.sort();
        require_equal(&keys, &wanted, "what is reached stays, and it alone")?;
        let freed = before.saturating_sub(kept.len());
        require_equal(&collected.snapshots, &(freed as u64), "the snapshots that were freed are counted")
    }
}

/// Snapshots of every kind are freed with their lease, children before parents.
pub async fn what_no_lease_holds_is_freed(subject: SnapshotSubject) -> Outcome {
    subject.collection()?;
    let (first, second) = (subject.lease().await?, subject.lease().await?);
    subject.one_of_each(&first).await?;
    subject.prepare(&second, "other", None).await?;
    subject.collects(&["base", "top", "active", "view", "other"]).await?;
    subject.leases.delete(first.id()).await?;
    subject.collects(&["other"]).await?;
    subject.leases.delete(second.id()).await?;
    subject.collects(&[]).await
}

/// A lease of any kind that holds a snapshot keeps its parents. Mirrors: `TestMetadataCollector`, flat lease.
pub async fn parents_stay_with_their_children(subject: SnapshotSubject) -> Outcome {
    subject.collection()?;
    let making = subject.lease().await?;
    subject.one_of_each(&making).await?;
    subject.layer(&making, "other", Some("base")).await?;
    let mut holding = Vec::new();
    for (kind, key) in [
        (LeaseKind::Permanent, "active"),
        (LeaseKind::Flat, "view"),
        (LeaseKind::Flat, "top"),
        (LeaseKind::Temporary, "base"),
    ] {
        let lease = subject.leases.create(LeaseOptions::new(kind)).await?;
        subject.leases.attach(&lease, &[subject.resource(key)]).await?;
        holding.push(lease);
    }
    subject.leases.delete(making.id()).await?;
    let mut kept = &["base", "top", "view", "active"][..];
    subject.collects(kept).await?;
    for lease in holding {
        subject.leases.delete(lease.id()).await?;
        kept = kept.split_last().map_or(&[][..], |(_, rest)| rest);
        // The leases end from the top down; those below keep what is under them.
        subject.collects(kept).await?;
    }
    Ok(())
}

/// Labels of blobs keep snapshots, those of snapshots keep blobs and themselves; a flat lease follows none.
/// Mirrors: `TestGCRefs`.
pub async fn labels_keep_snapshots_and_blobs(subject: SnapshotSubject) -> Outcome {
    let content = subject.collection()?.1;
    let making = subject.lease().await?;
    let digest = put(&**content, &making, "blob", &sample(1, 100), Labels::new()).await?.digest;
    let reference = labels([(annotation::GC_REF_CONTENT, &*digest.to_string())]);
    subject.prepare(&making, "active", None).await?;
    subject.snapshotter.commit(&making, "layer", "active", reference).await?;
    let key = format!("{}{}", annotation::GC_REF_SNAPSHOT, subject.snapshotter.name());
    let config = put(&**content, &making, "config", &sample(2, 100), labels([(&*format!("{key}/a"), "layer")])).await?;
    subject.prepare(&making, "active", None).await?;
    subject.snapshotter.commit(&making, "root", "active", labels([(annotation::GC_ROOT, "")])).await?;
    // The label of another snapshotter, and one that only begins like this one's, mean other snapshots.
    let other = labels([(&*format!("{key}x"), "unreached"), (&*format!("{key}x/a"), "unreached")]);
    let other = put(&**content, &making, "other", &sample(3, 100), other).await?;
    subject.layer(&making, "unreached", None).await?;
    let holding = subject.lease().await?;
    let held = [config.digest, other.digest].map(Resource::Content);
    subject.leases.attach(&holding, &held).await?;
    subject.leases.delete(making.id()).await?;
    subject.collects(&["layer", "root"]).await?;
    require(content.info(&digest).await?.is_some(), "a snapshot's label keeps a blob")?;
    let flat = subject.leases.create(LeaseOptions::new(LeaseKind::Flat)).await?;
    subject.leases.attach(&flat, &held).await?;
    subject.leases.delete(holding.id()).await?;
    subject.collects(&["root"]).await?;
    require_equal(&content.info(&digest).await?, &None, "a blob goes with the snapshot that kept it")
}
