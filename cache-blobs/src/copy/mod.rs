//! Copying a blob from where it can be read to where it is wanted.

mod attempt;
mod error;
mod options;
mod source;

use attempt::{Attempt, Copying};
use cache_core::Descriptor;
use cache_core::ports::{Committed, ExportTarget, Start};

pub use error::CopyError;
pub use options::{BusyKey, CopyOptions};
pub use source::BlobSource;

/// Copies the blob of `descriptor` from `source` to `target` as the ingest `key`. The copy goes on where an earlier one of the
/// same key stopped, and the target verifies digest and size. Bytes of an earlier copy that turn out to be wrong are dropped,
/// and the copy begins anew. The source is not opened for a blob that the target has, or that the descriptor carries inline.
///
/// Mirrors: containerd `core/content.Copy`, `core/remotes.FetchHandler`.
///
/// # Errors
/// [`CopyError::Missing`] if the source has no such blob; `Corrupt` if it gives another number of bytes or other bytes, of which
/// nothing is kept; `Cancelled` by [`CopyOptions::stop`]; what the source and the target give, where the bytes so far are kept for
/// the next call.
///
/// # Cancel safety
/// A dropped call leaves nothing visible; whether its bytes are kept for the next call is the target's choice.
pub async fn copy_blob(
    source: BlobSource<'_>,
    target: &dyn ExportTarget,
    descriptor: &Descriptor,
    key: &str,
    options: &CopyOptions<'_>,
) -> Result<Committed, CopyError> {
    let mut copying = Copying::new(source, target, descriptor, key, options);
    match copying.attempt(Start::Resume).await? {
        Attempt::Done(committed) => return Ok(committed),
        Attempt::Stale(error) => tracing::warn!(%error, key, "what an earlier copy left is wrong; it begins anew"),
    }
    match copying.attempt(Start::Fresh).await? {
        Attempt::Done(committed) => Ok(committed),
        Attempt::Stale(error) => Err(error.into()),
    }
}
