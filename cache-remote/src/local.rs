//! Caches in a local directory, by tag or digest.

use std::sync::Arc;

use cache_blobs::layout::{LayoutName, OciLayout};
use cache_core::ports::{ExportTarget, Fetcher, Resolver};
use cache_core::{Error, ErrorKind};

use crate::chains::CacheChains;
use crate::error::CacheError;
use crate::exporter::{ExportOptions, ExportOutcome, export_cache};
use crate::imported::ImportedCache;
use crate::importer::{ImportOptions, import_cache};

/// The tag of a cache that is given none.
pub const DEFAULT_TAG: &str = "latest";

/// Writes `chains` into `layout` and lets `tag` stand for it. What other tags stand for stays, and so do the blobs of
/// the cache that had this tag before. An empty cache changes nothing.
/// Mirrors: BuildKit `cache/remotecache/local` and `client/solve.go`, which writes the index.
///
/// # Errors
/// As [`export_cache`]; `Invalid` for an empty tag, before anything is written.
///
/// # Cancel safety
/// A dropped call leaves blobs at most, or has set the tag.
pub async fn export_to_layout(
    chains: &CacheChains,
    layout: &OciLayout,
    tag: &str,
    options: &ExportOptions,
) -> Result<ExportOutcome, CacheError> {
    if tag.is_empty() {
        return Err(Error::new(ErrorKind::Invalid, "export cache", "the empty tag").into());
    }
    let target: Arc<dyn ExportTarget> = Arc::new(layout.clone());
    let outcome = export_cache(chains, &target, options).await?;
    if let ExportOutcome::Exported(exported) = &outcome {
        let name = LayoutName::Tag(tag.to_owned());
        layout.add_to_index(vec![name.give_to(exported.descriptor.clone())]).await?;
    }
    Ok(outcome)
}

/// The cache that `name` stands for in `layout`: a full image name, a tag, or a digest; `None` if it has none such.
///
/// # Errors
/// As [`import_cache`].
pub async fn import_from_layout(
    layout: &OciLayout,
    name: &str,
    options: &ImportOptions,
) -> Result<Option<ImportedCache>, CacheError> {
    let Some(descriptor) = layout.resolve(name).await? else { return Ok(None) };
    let fetcher: Arc<dyn Fetcher> = Arc::new(layout.clone());
    import_cache(&fetcher, &descriptor, options).await.map(Some)
}
