//! Tying a variant to a blob.

use crate::error::{Error, ErrorKind, Result};
use crate::labels::{LabelChange, Labels};
use crate::layer::Layer;
use crate::ports::Manager;
use crate::variants::labels::{Remember, labels};

/// Makes `variant` a variant of `main`, and `main` one of `variant`. Each blob remembers what it is called, unless it knows
/// already, and its annotations: those of `main` that are a blob's own, and all of `variant`, which a codec gave.
///
/// Until `main` names it, `variant` must be held by a lease; from then on it stays as long as `main` does, if that is held by
/// a lease that is not flat. The variant's labels are written first: whatever a crash leaves between the two, `main` names
/// nothing that does not know what it is, and the next call for the same blobs completes it. A call that finds everything in place
/// writes nothing.
///
/// # Errors
/// `NotFound` if the store has not both blobs; `LimitExceeded` for an annotation that is too long for a label; the
/// store's own failures.
///
/// # Cancel safety
/// As for a crash.
///
/// Mirrors: BuildKit `cache/blobs.go`, `linkBlob`; unlike that, the media type that a blob remembers is not replaced.
pub async fn link_variant(content: &dyn Manager, main: &Layer, variant: &Layer) -> Result<()> {
    let (of_main, of_variant) = (main.descriptor.digest, variant.descriptor.digest);
    if of_main != of_variant {
        add(content, variant, labels(variant, Remember::All, of_main)).await?;
    }
    let mut labels_of_main = labels(main, Remember::BlobsOwn, of_variant);
    // BuildKit's main blobs name themselves.
    labels_of_main.extend(labels(main, Remember::BlobsOwn, of_main));
    add(content, main, labels_of_main).await
}

/// Adds what the blob of `layer` lacks of `labels`.
async fn add(content: &dyn Manager, layer: &Layer, labels: Labels) -> Result<()> {
    let digest = layer.descriptor.digest;
    let info = content.info(&digest).await?;
    let info = info.ok_or_else(|| Error::new(ErrorKind::NotFound, "link variant", digest))?;
    let missing = labels.into_iter().filter(|(key, _)| !info.labels.contains_key(key));
    let changes: Vec<_> = missing.map(|(key, value)| LabelChange::Set(key, value)).collect();
    if !changes.is_empty() {
        content.change_labels(&digest, &changes).await?;
    }
    Ok(())
}
