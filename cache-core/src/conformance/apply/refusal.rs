//! Blobs that are refused.

use bytes::Bytes;

use crate::conformance::Outcome;
use crate::conformance::apply::{ApplySubject, bind, small_layer};
use crate::conformance::require::{require_equal, require_kind};
use crate::conformance::sample::sample;
use crate::conformance::tree::{gzip, zstd};
use crate::descriptor::Descriptor;
use crate::digest::Digest;
use crate::error::ErrorKind;
use crate::media_type::MediaType;
use crate::ports::{ApplyOptions, ApplySource};

/// A committed blob that is not there is `NotFound`.
pub async fn a_missing_blob_is_not_found(subject: ApplySubject) -> Outcome {
    let root = subject.directory("root")?;
    let absent = Descriptor::of(MediaType::OCI_LAYER, b"never written");
    let applied =
        subject.applier.apply(&absent, ApplySource::Committed, &[bind(&root)], &ApplyOptions::default()).await;
    require_kind(applied, ErrorKind::NotFound, "a missing blob is not found")
}

/// A blob of another digest or size than its descriptor's is `Corrupt`, in every compression.
pub async fn another_blob_is_corrupt(subject: ApplySubject) -> Outcome {
    let tar = small_layer().bytes();
    let blobs = [
        (tar.clone(), MediaType::OCI_LAYER),
        (gzip(&[&tar]).into(), MediaType::OCI_LAYER_GZIP),
        (zstd(&tar).into(), MediaType::OCI_LAYER_ZSTD),
    ];
    for (number, (blob, media_type)) in blobs.into_iter().enumerate() {
        let right = Descriptor::of(media_type, &blob);
        let root = subject.directory(&format!("right {number}"))?;
        if let Err(error) = subject.apply_as(&root, &blob, &right, &ApplyOptions::default()).await {
            // A build without one of the codecs says so.
            require_equal(&(error.kind(), number > 0), &(ErrorKind::Unsupported, true), "the right blob is unpacked")?;
            continue;
        }
        let wrong = [
            Descriptor { digest: Digest::of("other bytes"), ..right.clone() },
            Descriptor { size: right.size + 1, ..right.clone() },
            Descriptor { size: right.size - 1, ..right.clone() },
            Descriptor { size: 0, ..right.clone() },
        ];
        for (variant, descriptor) in wrong.into_iter().enumerate() {
            let root = subject.directory(&format!("wrong {number} {variant}"))?;
            let applied = subject.apply_as(&root, &blob, &descriptor, &ApplyOptions::default()).await;
            require_kind(applied, ErrorKind::Corrupt, "another blob is refused")?;
        }
    }
    Ok(())
}

/// A layer that has not the DiffID that it must have is `Corrupt`.
pub async fn another_diff_id_is_corrupt(subject: ApplySubject) -> Outcome {
    let tar = small_layer().bytes();
    let descriptor = Descriptor::of(MediaType::OCI_LAYER, &tar);
    let right = ApplyOptions::default().with_expected_diff_id(Digest::of(&tar));
    subject.apply_as(&subject.directory("right")?, &tar, &descriptor, &right).await?;
    let wrong = ApplyOptions::default().with_expected_diff_id(Digest::of("other bytes"));
    let applied = subject.apply_as(&subject.directory("wrong")?, &tar, &descriptor, &wrong).await;
    require_kind(applied, ErrorKind::Corrupt, "another DiffID is refused")
}

/// A layer that ends in the middle of a file or of its compression is `Corrupt`, though its descriptor fits.
pub async fn a_truncated_layer_is_corrupt(subject: ApplySubject) -> Outcome {
    let tar = small_layer().bytes();
    let (gzip, zstd) = (gzip(&[&tar]), zstd(&tar));
    let cut = [
        // Within the content of the second entry.
        (tar.slice(..512 * 2 + 3), MediaType::OCI_LAYER),
        // Within a header.
        (tar.slice(..700), MediaType::OCI_LAYER),
        (Bytes::copy_from_slice(&gzip[..gzip.len() / 2]), MediaType::OCI_LAYER_GZIP),
        (Bytes::copy_from_slice(&gzip[..gzip.len() - 4]), MediaType::OCI_LAYER_GZIP),
        (Bytes::copy_from_slice(&zstd[..zstd.len() / 2]), MediaType::OCI_LAYER_ZSTD),
    ];
    for (number, (blob, media_type)) in cut.into_iter().enumerate() {
        let root = subject.directory(&format!("root {number}"))?;
        let descriptor = Descriptor::of(media_type, &blob);
        let applied = subject.apply_as(&root, &blob, &descriptor, &ApplyOptions::default()).await;
        if number > 1 && matches!(&applied, Err(error) if error.kind() == ErrorKind::Unsupported) {
            continue;
        }
        require_kind(applied, ErrorKind::Corrupt, "a truncated layer is refused")?;
    }
    Ok(())
}

/// Bytes that are no tar, and a header whose checksum is wrong, are `Corrupt`.
pub async fn what_is_no_layer_is_corrupt(subject: ApplySubject) -> Outcome {
    let mut wrong_sum = small_layer().bytes().to_vec();
    wrong_sum[0] ^= 1;
    for (number, blob) in [sample(1, 10_240), wrong_sum.into()].into_iter().enumerate() {
        let root = subject.directory(&format!("root {number}"))?;
        let applied = subject.apply(&root, &blob).await;
        require_kind(applied, ErrorKind::Corrupt, "what is no layer is refused")?;
    }
    Ok(())
}
