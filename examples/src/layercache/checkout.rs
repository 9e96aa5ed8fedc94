//! Layers written out as a plain directory.

use std::fs;
use std::path::Path;

use cache_blobs::embedded::Embedded;
use cache_blobs::remote::RemoteLayer;
use cache_core::ports::{ApplyOptions, ApplySource, Mount, MountKind};

use crate::failure::Failure;

/// Creates `into`, which must be empty or absent.
pub(crate) fn empty_directory(into: &Path) -> Result<(), Failure> {
    let failed = |error| Failure::while_doing(format!("create {}", into.display()), error);
    fs::create_dir_all(into).map_err(failed)?;
    match fs::read_dir(into).map_err(failed)?.next() {
        None => Ok(()),
        Some(_) => Err(Failure::work(format!("{} is not empty", into.display()))),
    }
}

/// Unpacks `layers`, bottom first, into the directory `into`. Each blob is verified on the way.
pub(crate) async fn unpack(store: &Embedded, layers: &[RemoteLayer], into: &Path) -> Result<(), Failure> {
    let source =
        into.canonicalize().map_err(|error| Failure::while_doing(format!("find {}", into.display()), error))?;
    let options = ["rw", "rbind"].map(str::to_owned).to_vec();
    let mounts = [Mount { kind: MountKind::Bind, source, options }];
    let applier = store.backends.applier.as_ref().ok_or_else(|| Failure::work("the store has no applier"))?;
    for RemoteLayer { layer, provider } in layers {
        let descriptor = &layer.descriptor;
        let reader = provider.open(descriptor).await?;
        let reader = reader.ok_or_else(|| Failure::work(format!("the blob {} is missing", descriptor.digest)))?;
        let expected = ApplyOptions::default().with_expected_diff_id(layer.diff_id);
        applier.apply(descriptor, ApplySource::Reader(reader), &mounts, &expected).await?;
    }
    Ok(())
}
