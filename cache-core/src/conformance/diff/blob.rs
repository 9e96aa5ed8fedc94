//! The blob that a diff makes.

use futures::TryStreamExt;

use crate::compression::{Compression, CompressionConfig};
use crate::conformance::Outcome;
use crate::conformance::diff::{DiffSubject, bind, small};
use crate::conformance::require::{require, require_equal, require_kind, require_some};
use crate::digest::Digest;
use crate::error::ErrorKind;
use crate::ports::{DiffOptions, Resource};

/// The compressions that have names here, with the bytes with which their streams begin.
pub(super) const COMPRESSIONS: [(Compression, &[u8]); 2] =
    [(Compression::Gzip, &[0x1f, 0x8b, 8]), (Compression::Zstd, &[0x28, 0xb5, 0x2f, 0xfd])];

/// The blob of an uncompressed layer has the DiffID as its digest, and its type says that it is plain.
pub async fn an_uncompressed_layer_is_its_own_diff_id(subject: DiffSubject) -> Outcome {
    let (lower, changes) = small();
    let layer = subject.layer(&lower, &changes).await?;
    let blob = subject.blob(&layer).await?;
    require_equal(&layer.diff_id, &Digest::of(&blob), "the DiffID is that of the tar")?;
    require_equal(&layer.descriptor.digest, &layer.diff_id, "an uncompressed layer is its own tar")?;
    require_equal(&layer.descriptor.size, &(blob.len() as u64), "a layer has the size of its blob")?;
    let compression = layer.descriptor.media_type.layer_compression();
    require_equal(&compression, &Some(Compression::Uncompressed), "the type of a layer says its compression")?;
    require(!subject.entries(&layer).await?.is_empty(), "a changed tree makes entries")
}

/// Each compression that the differ supports makes a blob of that compression with the DiffID of the plain one.
pub async fn every_compression_has_the_same_diff_id(subject: DiffSubject) -> Outcome {
    let (lower, changes) = small();
    let (below, above) = (subject.tree("a", &[&lower])?, subject.tree("b", &[&lower, &changes])?);
    let lease = subject.lease().await?;
    let plain = DiffOptions::new(CompressionConfig::uncompressed());
    let plain = subject.differ.diff(&lease, "plain", &[bind(&below)], &[bind(&above)], &plain).await?;
    for (compression, magic) in COMPRESSIONS {
        let options = DiffOptions::new(CompressionConfig::new(compression.clone()));
        if !subject.differ.supports(&options) {
            continue;
        }
        let layer = subject.differ.diff(&lease, compression.name(), &[bind(&below)], &[bind(&above)], &options).await?;
        let named = layer.descriptor.media_type.layer_compression();
        require_equal(&named, &Some(compression.clone()), "the type of a layer says the compression that was wanted")?;
        let blob = subject.blob(&layer).await?;
        require(blob.starts_with(magic), &format!("a layer is compressed as was wanted: {compression}"))?;
        require_equal(&layer.descriptor.digest, &Digest::of(&blob), "a layer has the digest of its blob")?;
        require_equal(&layer.descriptor.size, &(blob.len() as u64), "a layer has the size of its blob")?;
        require_equal(&layer.diff_id, &plain.diff_id, "the DiffID does not depend on the compression")?;
    }
    Ok(())
}

/// The lease of the call holds the blob and no ingest, and no other lease does.
pub async fn the_lease_holds_the_blob(subject: DiffSubject) -> Outcome {
    let (lower, changes) = small();
    let (below, above) = (subject.tree("a", &[&lower])?, subject.tree("b", &[&lower, &changes])?);
    let (lease, other) = (subject.lease().await?, subject.lease().await?);
    let options = DiffOptions::new(CompressionConfig::uncompressed());
    let layer = subject.differ.diff(&lease, "key", &[bind(&below)], &[bind(&above)], &options).await?;
    let held = subject.leases.resources(&lease).await?;
    require_equal(&held, &vec![Resource::Content(layer.descriptor.digest)], "the lease holds the blob")?;
    require_equal(&subject.leases.resources(&other).await?, &Vec::new(), "another lease holds nothing of it")?;
    require_equal(&subject.content.ingests().await?, &Vec::new(), "no ingest is left")
}

/// A deleted lease is `Invalid`, and nothing becomes visible.
pub async fn a_dead_lease_is_invalid(subject: DiffSubject) -> Outcome {
    let (lower, _) = small();
    let above = subject.tree("b", &[&lower])?;
    let lease = subject.lease().await?;
    subject.leases.delete(lease.id()).await?;
    let options = DiffOptions::new(CompressionConfig::uncompressed());
    let made = subject.differ.diff(&lease, "key", &[], &[bind(&above)], &options).await;
    require_kind(made, ErrorKind::Invalid, "a dead lease is refused")?;
    require_equal(&subject.content.list().try_collect().await?, &Vec::new(), "a refusal makes nothing visible")
}

/// Equal trees in other places make the same layer, and the second lease holds it too.
pub async fn equal_trees_make_equal_layers(subject: DiffSubject) -> Outcome {
    let (lower, changes) = small();
    for config in [CompressionConfig::uncompressed(), CompressionConfig::gzip(), CompressionConfig::zstd()] {
        let options = DiffOptions::new(config);
        if !subject.differ.supports(&options) {
            continue;
        }
        let mut first = None;
        for place in ["first", "second"] {
            let name = |tree: &str| format!("{place} {tree} {}", options.compression.compression);
            let (below, above) = (subject.tree(&name("a"), &[&lower])?, subject.tree(&name("b"), &[&lower, &changes])?);
            let lease = subject.lease().await?;
            let layer = subject.differ.diff(&lease, &name("key"), &[bind(&below)], &[bind(&above)], &options).await?;
            let held = subject.leases.resources(&lease).await?;
            let blob = Resource::Content(layer.descriptor.digest);
            require(held.contains(&blob), "the lease holds a blob that was there, too")?;
            match &first {
                Some(first) => require_equal(&layer, first, "equal trees make the same layer")?,
                None => first = Some(layer),
            }
        }
        require_some(first, "two layers were made")?;
    }
    Ok(())
}

/// A tree that cannot be read makes no blob.
pub async fn a_failed_diff_leaves_nothing_visible(subject: DiffSubject) -> Outcome {
    let (lower, _) = small();
    let above = subject.tree("b", &[&lower])?;
    let missing = subject.scratch.join("missing");
    let lease = subject.lease().await?;
    let options = DiffOptions::new(CompressionConfig::uncompressed());
    for (below, above) in [(&missing, &above), (&above, &missing)] {
        let made = subject.differ.diff(&lease, "key", &[bind(below)], &[bind(above)], &options).await;
        require(made.is_err(), "a tree that is not there makes no layer")?;
        require_equal(&subject.content.list().try_collect().await?, &Vec::new(), "a failure makes nothing visible")?;
    }
    Ok(())
}
