//! The end of a packing: blobs become visible.

use cache_core::annotation::{RECIPE, UNCOMPRESSED};
use cache_core::{Digest, Result};
use futures::future::join_all;

use crate::codec::{DiffIdRule, Ending, Recipe};
use crate::pack::failed_variant::VariantName;
use crate::pack::packed::{PackTarget, Packed};

/// A blob whose bytes all lie in its ingest.
#[derive(Debug)]
pub(super) struct Drained<'a> {
    pub(super) target: PackTarget<'a>,
    pub(super) name: VariantName,
    pub(super) recipe: Recipe,
    pub(super) ending: Ending,
}

/// Commits every blob of a tar. A `tar_digest` that nobody has computed is that of the plain tar among them, which is
/// committed before the others then, so that they can be told it; the rest at once, for their syncs to overlap.
pub(super) async fn commit_all(
    mut drained: Vec<Drained<'_>>,
    tar_digest: Option<Digest>,
    tar_bytes: u64,
) -> Result<Vec<Packed<()>>> {
    let plain = match tar_digest {
        Some(_) => None,
        None => drained.iter().position(|blob| blob.ending.diff_id == DiffIdRule::OfBlob),
    };
    let Some(at) = plain else {
        let blobs = drained.into_iter().map(|blob| commit(blob, tar_digest, tar_bytes));
        return join_all(blobs).await.into_iter().collect();
    };
    let first = match commit(drained.remove(at), tar_digest, tar_bytes).await {
        Ok(first) => first,
        Err(error) => {
            for blob in drained {
                blob.target.abort().await;
            }
            return Err(error);
        }
    };
    let others = drained.into_iter().map(|blob| commit(blob, Some(first.info.digest), tar_bytes));
    let mut packed = join_all(others).await.into_iter().collect::<Result<Vec<_>>>()?;
    packed.insert(at, first);
    Ok(packed)
}

async fn commit(blob: Drained<'_>, tar_digest: Option<Digest>, tar_bytes: u64) -> Result<Packed<()>> {
    let Drained { target, name, recipe, ending: Ending { annotations, diff_id, trailer: _ } } = blob;
    let known = match (diff_id, tar_digest) {
        (DiffIdRule::OfTar, Some(digest)) => Some((digest, tar_bytes)),
        (DiffIdRule::Own { diff_id, uncompressed_bytes }, _) => Some((diff_id, uncompressed_bytes)),
        (DiffIdRule::OfTar, None) | (DiffIdRule::OfBlob, _) => None,
    };
    let mut labels = target.options.labels;
    if let Some((diff_id, _)) = known {
        labels.insert(UNCOMPRESSED.to_owned(), diff_id.to_string());
    }
    labels.insert(RECIPE.to_owned(), recipe.to_label());
    let committed = target.ingest.commit(None, labels).await.map_err(|error| name.name(error))?;
    let info = committed.into_info();
    let (diff_id, uncompressed_bytes) = known.unwrap_or((info.digest, info.size));
    let media_type = target.codec.media_types().oci;
    Ok(Packed { info, media_type, diff_id, uncompressed_bytes, annotations, recipe, produced: () })
}
