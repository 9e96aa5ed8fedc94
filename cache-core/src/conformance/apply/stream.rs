//! Streams: compressed or not, to their end.

use bytes::Bytes;

use crate::conformance::apply::{ApplySubject, bind, small_layer};
use crate::conformance::blob::put;
use crate::conformance::require::{require_equal, require_kind};
use crate::conformance::tree::{gzip, observe, require_tree, zstd};
use crate::conformance::{Outcome, Unmet};
use crate::descriptor::Descriptor;
use crate::digest::Digest;
use crate::error::ErrorKind;
use crate::labels::Labels;
use crate::media_type::MediaType;
use crate::ports::{ApplyOptions, ApplySource, LeaseOptions};

/// Digest and length of the uncompressed stream, what follows the end of the archive counted.
pub async fn the_diff_id_is_that_of_the_whole_stream(subject: ApplySubject) -> Outcome {
    let tar = small_layer().bytes();
    for (number, padding) in [0, 512, 10_240, 300_000].into_iter().enumerate() {
        let padded = Bytes::from([tar.as_ref(), &vec![0; padding]].concat());
        let root = subject.directory(&format!("root {number}"))?;
        let applied = subject.apply(&root, &padded).await?;
        require_equal(&applied.diff_id, &Digest::of(&padded), "the DiffID is that of the whole stream")?;
        require_equal(&applied.size, &(padded.len() as u64), "the size is that of the whole stream")?;
    }
    Ok(())
}

/// The uncompressed layer, gzip in one member and in several, and zstd with a skippable frame.
pub async fn every_compression_gives_the_same_files(subject: ApplySubject) -> Outcome {
    let tar = small_layer().bytes();
    let wanted = subject.directory("wanted")?;
    small_layer().make(&wanted)?;
    let wanted = observe(&wanted)?;
    let halves = tar.split_at(tar.len() / 2);
    let blobs = [
        (tar.to_vec(), MediaType::OCI_LAYER),
        (tar.to_vec(), MediaType::DOCKER_LAYER),
        (gzip(&[&tar]), MediaType::OCI_LAYER_GZIP),
        (gzip(&[halves.0, halves.1]), MediaType::OCI_LAYER_GZIP),
        (gzip(&[&tar]), MediaType::DOCKER_LAYER_GZIP),
        (zstd(&tar), MediaType::OCI_LAYER_ZSTD),
    ];
    for (number, (blob, media_type)) in blobs.into_iter().enumerate() {
        let root = subject.directory(&format!("root {number}"))?;
        let blob = Bytes::from(blob);
        let descriptor = Descriptor::of(media_type.clone(), &blob);
        let applied = match subject.apply_as(&root, &blob, &descriptor, &ApplyOptions::default()).await {
            // A build without one of the codecs says so.
            Err(error) if error.kind() == ErrorKind::Unsupported && number > 1 => continue,
            applied => applied?,
        };
        require_equal(&applied.diff_id, &Digest::of(&tar), "the DiffID is that of the uncompressed stream")?;
        require_equal(&applied.size, &(tar.len() as u64), "the size is that of the uncompressed stream")?;
        require_tree(&root, &wanted, &format!("a layer of type {media_type} becomes its files"))?;
    }
    Ok(())
}

/// A blob of the content store is found by its digest.
pub async fn a_committed_blob_is_unpacked(subject: ApplySubject) -> Outcome {
    let (content, leases) = subject.content.as_ref().ok_or(Unmet::needs("a content store"))?;
    let tar = small_layer().bytes();
    let lease = leases.create(LeaseOptions::default()).await?;
    put(&**content, &lease, "layer", &tar, Labels::new()).await?;
    let (wanted, root) = (subject.directory("wanted")?, subject.directory("root")?);
    small_layer().make(&wanted)?;
    let descriptor = Descriptor::of(MediaType::OCI_LAYER, &tar);
    let options = ApplyOptions::default().with_expected_diff_id(Digest::of(&tar));
    let applied = subject.applier.apply(&descriptor, ApplySource::Committed, &[bind(&root)], &options).await?;
    require_equal(&applied.diff_id, &Digest::of(&tar), "the DiffID is that of the stream")?;
    require_tree(&root, &observe(&wanted)?, "a committed blob becomes its files")?;
    // A blob that is there is still not another one.
    let other = Descriptor { size: descriptor.size + 1, ..descriptor };
    let applied = subject.applier.apply(&other, ApplySource::Committed, &[bind(&root)], &options).await;
    require_kind(applied, ErrorKind::Corrupt, "a committed blob of another size is refused")
}
