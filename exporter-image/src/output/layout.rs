//! Images in OCI layout directories.

use std::sync::Arc;

use cache_blobs::layout::OciLayout;
use cache_core::ports::Provider;

use super::index_entries::{Unnamed, index_entries};
use super::options::OutputOptions;
use crate::compose::ComposedImage;
use crate::error::Result;
use crate::image::{ExportedImage, ImageExporter};
use crate::image_name::ImageName;

/// Writes `image`, whose layers `provider` has, into `layout`, and then lists it there under its names, or as `latest`
/// without any. Other entries of the layout stay. Mirrors: BuildKit's `oci` exporter with `tar=false`.
///
/// # Errors
/// As [`ImageExporter::export`], and those of [`OciLayout::add_to_index`]. The layout's index is as it was then.
///
/// # Cancel safety
/// A dropped call leaves blobs that the index does not name.
pub async fn write_layout(
    layout: &OciLayout,
    image: &ComposedImage,
    provider: &dyn Provider,
    options: &OutputOptions,
) -> Result<ExportedImage> {
    let exporter = ImageExporter::new(Arc::new(layout.clone())).with_progress(Arc::clone(&options.progress));
    let mut exported = exporter.export(image, provider, &[]).await?;
    layout.add_to_index(index_entries(image, &options.names, options.created, Unnamed::Latest)).await?;
    exported.names = options.names.iter().map(ImageName::to_string).collect();
    Ok(exported)
}
