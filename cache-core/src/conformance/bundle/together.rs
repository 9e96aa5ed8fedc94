//! What the parts do together.

use std::fs;

use crate::conformance::blob::{put, started};
use crate::conformance::bundle::BundleSubject;
use crate::conformance::check::Violation;
use crate::conformance::lease::expiry::{EXPIRY, LONGER};
use crate::conformance::require::{require, require_equal, require_some};
use crate::conformance::sample::sample;
use crate::conformance::tree::{Archive, Change, Ticks, apply, observe, require_tree};
use crate::conformance::{Outcome, Unmet};
use crate::descriptor::Descriptor;
use crate::digest::Digest;
use crate::labels::Labels;
use crate::media_type::MediaType;
use crate::ports::{
    Access, ApplyOptions, ApplySource, Expected, Lease, LeaseOptions, Mount, Prepared, Resource, Start,
};

impl BundleSubject {
    async fn prepare(&self, lease: &Lease, key: &str, parent: Option<&str>) -> Result<Vec<Mount>, Unmet> {
        match self.backends.snapshotter.prepare(lease, key, parent, Labels::new()).await? {
            Prepared::Mounts(mounts) => Ok(mounts),
            Prepared::AlreadyCommitted => {
                Err(Violation::new("a snapshot that nobody named by a label is not already committed").into())
            }
        }
    }

    fn snapshot(&self, key: &str) -> Resource {
        Resource::Snapshot { snapshotter: self.backends.snapshotter.name().to_owned(), key: key.to_owned() }
    }
}

/// The stores accept the leases of the manager, which tells what they hold in each of them.
pub async fn one_lease_holds_blobs_and_snapshots(subject: BundleSubject) -> Outcome {
    let lease = subject.lease().await?;
    let content = &*subject.backends.content;
    let info = put(content, &lease, "blob", &sample(1, 100), Labels::new()).await?;
    started(content.begin(&lease, "kept", Expected::UNKNOWN, Start::Fresh).await)?.keep().await?;
    subject.prepare(&lease, "key", None).await?;
    let mut held = subject.backends.leases.resources(&lease).await?;
    held.sort();
    let wanted = vec![Resource::Content(info.digest), Resource::Ingest("kept".to_owned()), subject.snapshot("key")];
    require_equal(&held, &wanted, "one lease holds things in every store")
}

/// When a lease is deleted or expires, one collection frees what it held in every store.
pub async fn a_lease_that_ends_frees_blobs_and_snapshots(subject: BundleSubject) -> Outcome {
    let collector = subject.collector()?;
    for expires in [false, true] {
        let lasting = LeaseOptions::default();
        let options = if expires { lasting.with_expiry(EXPIRY) } else { lasting };
        let lease = subject.backends.leases.create(options).await?;
        let digest = put(&*subject.backends.content, &lease, "blob", &sample(1, 100), Labels::new()).await?.digest;
        subject.prepare(&lease, "key", None).await?;
        let collected = collector.collect().await?;
        require_equal(&(collected.blobs, collected.snapshots), &(0, 0), "a live lease holds on")?;
        if expires {
            subject.clock.pass(LONGER).await;
        } else {
            subject.backends.leases.delete(lease.id()).await?;
        }
        let collected = collector.collect().await?;
        require_equal(&(collected.blobs, collected.snapshots), &(1, 1), "a lease that ended holds nothing")?;
        require_equal(&subject.backends.content.info(&digest).await?, &None, "the blob is gone")?;
        require_equal(&subject.backends.snapshotter.stat("key").await?, &None, "the snapshot is gone")?;
    }
    Ok(())
}

/// The mounter mounts what the snapshotter gives: changes in one snapshot are in the one over it.
pub async fn what_is_written_in_a_snapshot_is_seen_by_the_next(subject: BundleSubject) -> Outcome {
    let lease = subject.lease().await?;
    let mounts = subject.prepare(&lease, "key", None).await?;
    let tree = subject.backends.mounter.mount(&mounts, Access::ReadWrite).await?;
    let changes = [Change::directory("d", 0o755), Change::file("d/f", "content", 0o600)];
    apply(&tree.path(), &changes, &mut Ticks::default())?;
    let wanted = observe(&tree.path())?;
    drop(tree);
    subject.backends.snapshotter.commit(&lease, "name", "key", Labels::new()).await?;
    let mounts = subject.prepare(&lease, "next", Some("name")).await?;
    let tree = subject.backends.mounter.mount(&mounts, Access::ReadOnly).await?;
    require(tree.path().join("d/f").exists(), "what is written in a snapshot is seen by the next")?;
    require_tree(&tree.path(), &wanted, "what is written in a snapshot is seen by the next")
}

/// The applier finds blobs of the content store and unpacks them into mounts of the snapshotter.
pub async fn a_committed_layer_is_unpacked_into_a_snapshot(subject: BundleSubject) -> Outcome {
    let applier = subject.backends.applier.as_ref().ok_or(Unmet::needs("an applier"))?;
    let lease = subject.lease().await?;
    let archive = Archive::of(&[Change::directory("d", 0o755), Change::file("d/f", "content", 0o640)]);
    let tar = archive.bytes();
    put(&*subject.backends.content, &lease, "layer", &tar, Labels::new()).await?;
    let mounts = subject.prepare(&lease, "key", None).await?;
    let descriptor = Descriptor::of(MediaType::OCI_LAYER, &tar);
    let options = ApplyOptions::default().with_expected_diff_id(Digest::of(&tar));
    applier.apply(&descriptor, ApplySource::Committed, &mounts, &options).await?;
    subject.backends.snapshotter.commit(&lease, "name", "key", Labels::new()).await?;
    let mounts = subject.backends.snapshotter.view(&lease, "view", Some("name"), Labels::new()).await?;
    let tree = subject.backends.mounter.mount(&mounts, Access::ReadOnly).await?;
    let wanted = subject.scratch.join("wanted");
    fs::create_dir(&wanted)?;
    fs::set_permissions(&wanted, std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
    archive.make(&wanted)?;
    require_tree(&tree.path(), &observe(&wanted)?, "a layer becomes its files in a snapshot")
}

/// Times of leases, blobs, ingests and snapshots are those of the bundle's clock.
pub async fn all_take_their_time_from_one_clock(subject: BundleSubject) -> Outcome {
    subject.clock.tick().await;
    let window = subject.clock.window();
    let lease = subject.lease().await?;
    let content = &*subject.backends.content;
    let info = put(content, &lease, "blob", &sample(1, 100), Labels::new()).await?;
    let ingest = started(content.begin(&lease, "kept", Expected::UNKNOWN, Start::Fresh).await)?;
    subject.prepare(&lease, "key", None).await?;
    let created = subject.backends.leases.list().await?.into_iter().find(|info| info.id == lease.id());
    let snapshot = subject.backends.snapshotter.stat("key").await?;
    let found = [
        (Some(subject.backends.clock.now()), "the bundle's clock"),
        (created.map(|info| info.created_at), "a lease"),
        (Some(info.created_at), "a blob"),
        (Some(ingest.status().started_at), "an ingest"),
        (snapshot.map(|info| info.created_at), "a snapshot"),
    ];
    for (time, of) in found {
        let time = require_some(time, "what was made is there")?;
        window.require(time, &format!("{of} has the time of the bundle's clock"))?;
    }
    Ok(())
}
