//! What a caller wants of a layer.

use std::collections::BTreeSet;

use futures::TryStreamExt;

use crate::compression::{CodecId, Compression, CompressionConfig};
use crate::conformance::diff::{DiffSubject, bind, small};
use crate::conformance::require::{require, require_equal, require_some};
use crate::conformance::tree::Change;
use crate::conformance::{Outcome, Unmet};
use crate::error::ErrorKind;
use crate::layer::Layer;
use crate::ports::{DiffOptions, LayerMode, Resource, XattrPolicy};
use crate::timestamp::Timestamp;
use crate::variants::{VariantWalk, remembered_layer};

/// Options that the differ does not support are `Unsupported`, never overlooked: a codec that nobody has, above all.
pub async fn what_is_not_supported_is_refused(subject: DiffSubject) -> Outcome {
    let (lower, _) = small();
    let above = subject.tree("b", &[&lower])?;
    let plain = || DiffOptions::new(CompressionConfig::uncompressed());
    let unknown = DiffOptions::new(CompressionConfig::new(Compression::Custom(CodecId::new("nobody-has-this-codec"))));
    require(!subject.differ.supports(&unknown), "a codec that nobody has is not supported")?;
    let mut everything = plain().with_epoch(Timestamp::UNIX_EPOCH);
    everything.xattrs = XattrPolicy::All;
    let unknown_variant = plain().with_variants([unknown.compression.clone()]);
    require(!subject.differ.supports(&unknown_variant), "a variant by a codec that nobody has is not supported")?;
    let variant = plain().with_variants([CompressionConfig::gzip()]);
    let unheeded = [unknown, unknown_variant, variant, plain().with_layer_mode(LayerMode::Windows), everything];
    // A level that a codec does not have is a call to be fixed; a differ without levels does not support any.
    let levels = [i32::MIN, i32::MAX].map(|level| DiffOptions::new(CompressionConfig::gzip().with_level(level)));
    let kinds = [&[ErrorKind::Unsupported][..], &[ErrorKind::Unsupported, ErrorKind::Invalid]];
    let wanted = unheeded.into_iter().zip(std::iter::repeat(kinds[0]));
    let wanted = wanted.chain(levels.into_iter().zip(std::iter::repeat(kinds[1])));
    let lease = subject.lease().await?;
    for (number, (options, kinds)) in wanted.enumerate() {
        if subject.differ.supports(&options) {
            continue;
        }
        let made = subject.differ.diff(&lease, &format!("key {number}"), &[], &[bind(&above)], &options).await;
        let kind = made.err().map(|error| error.kind());
        require(kind.is_some_and(|kind| kinds.contains(&kind)), &format!("{options:?} is refused: found {kind:?}"))?;
        require_equal(&subject.content.list().try_collect().await?, &Vec::new(), "a refusal makes nothing visible")?;
    }
    Ok(())
}

/// Times after the epoch become the epoch, earlier ones stay, and the DiffID changes with them.
pub async fn an_epoch_bounds_times(subject: DiffSubject) -> Outcome {
    const EPOCH: i64 = 1_000_000_000;
    let above = subject.tree(
        "b",
        &[&[
            Change::directory("d", 0o755),
            Change::file("d/earlier", "1", 0o644),
            Change::file("d/later", "2", 0o644),
            Change::time("d/earlier", EPOCH - 10, 5),
            Change::time("d/later", EPOCH + 10, 5),
            Change::time("d", EPOCH + 20, 0),
        ]],
    )?;
    let epoch = Timestamp::from_unix(EPOCH, 0).ok_or(Unmet::needs("times of this century"))?;
    let options = DiffOptions::new(CompressionConfig::uncompressed());
    if !subject.differ.supports(&options.clone().with_epoch(epoch)) {
        return Err(Unmet::needs("a differ that supports an epoch"));
    }
    let lease = subject.lease().await?;
    for (options, [directory, earlier, later]) in [
        (options.clone(), [EPOCH + 20, EPOCH - 10, EPOCH + 10]),
        (options.with_epoch(epoch), [EPOCH, EPOCH - 10, EPOCH]),
    ] {
        let key = format!("{:?}", options.epoch);
        let layer = subject.differ.diff(&lease, &key, &[], &[bind(&above)], &options).await?;
        let found: Vec<_> =
            subject.entries(&layer).await?.into_iter().map(|entry| (entry.name, entry.modified)).collect();
        let wanted = [("d/", directory), ("d/earlier", earlier), ("d/later", later)];
        let wanted: Vec<_> = wanted.map(|(name, time)| (name.to_owned(), time.unsigned_abs())).into();
        require_equal(&found, &wanted, "an epoch bounds times, in whole seconds")?;
    }
    Ok(())
}

/// A level that the differ supports changes the blob at most, not the DiffID.
pub async fn a_level_keeps_the_diff_id(subject: DiffSubject) -> Outcome {
    let (lower, _) = small();
    let above = subject.tree("b", &[&lower])?;
    let lease = subject.lease().await?;
    let mut diff_ids = Vec::new();
    for config in
        [CompressionConfig::uncompressed(), CompressionConfig::gzip(), CompressionConfig::gzip().with_level(1)]
    {
        let options = DiffOptions::new(config);
        if subject.differ.supports(&options) {
            let key = format!("{:?}", options.compression.level);
            let layer = subject.differ.diff(&lease, &key, &[], &[bind(&above)], &options).await?;
            diff_ids.push(layer.diff_id);
        }
    }
    diff_ids.dedup();
    require_equal(&diff_ids.len(), &1, "a level keeps the DiffID")
}

/// Further compressions are blobs of the same tar that the lease holds, and variants to which the layer's own blob leads.
pub async fn variants_are_linked_to_the_layer(subject: DiffSubject) -> Outcome {
    let (lower, _) = small();
    let above = subject.tree("b", &[&lower])?;
    let lease = subject.lease().await?;
    for (own, other) in
        [(CompressionConfig::gzip(), Compression::Uncompressed), (CompressionConfig::uncompressed(), Compression::Gzip)]
    {
        let options = DiffOptions::new(own).with_variants([CompressionConfig::new(other.clone())]);
        if !subject.differ.supports(&options) {
            continue;
        }
        let key = format!("with {other}");
        let layer = subject.differ.diff(&lease, &key, &[], &[bind(&above)], &options).await?;
        let mut walk = VariantWalk::new(&*subject.content, layer.descriptor.digest);
        let mut found = Vec::new();
        while let Some(info) = walk.next().await? {
            let reached = require_some(remembered_layer(&info), "a variant remembers what it is")?;
            require_equal(&reached.diff_id, &layer.diff_id, "variants have the same tar")?;
            found.push(reached);
        }
        let held = subject.leases.resources(&lease).await?;
        let is_held = |layer: &Layer| held.contains(&Resource::Content(layer.descriptor.digest));
        require(found.iter().all(is_held), "the lease holds every variant")?;
        let compressions = found.iter().filter_map(|layer| layer.descriptor.media_type.layer_compression());
        let named: BTreeSet<_> = compressions.collect();
        require_equal(&named, &BTreeSet::from([Compression::Uncompressed, Compression::Gzip]), "variants are linked")?;
    }
    Ok(())
}
