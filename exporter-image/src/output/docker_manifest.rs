//! The `manifest.json` of Docker archives.

use serde::{Deserialize, Serialize};

use crate::compose::ComposedImage;
use crate::error::Result;
use crate::image_name::ImageName;

/// One image of a Docker archive. Mirrors: moby `image/tarexport`, `manifestItem`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct DockerImage {
    /// Path of the config in the archive.
    pub(crate) config: String,
    /// Names with tags, as short as they can be; `null` for none.
    #[serde(default)]
    pub(crate) repo_tags: Option<Vec<String>>,
    /// Paths of the layers in the archive, bottom first.
    #[serde(default)]
    pub(crate) layers: Option<Vec<String>>,
}

/// The bytes of `manifest.json` for one image whose blobs are in the archive as in a layout.
pub(crate) fn docker_manifest(image: &ComposedImage, names: &[ImageName]) -> Result<Vec<u8>> {
    let layers: Vec<_> = image.layers.iter().map(|layer| super::entries::blob_path(&layer.descriptor.digest)).collect();
    // Docker refuses a name with a digest here.
    let tags: Vec<_> = names.iter().filter(|name| name.digest().is_none()).map(ImageName::familiar).collect();
    let item = DockerImage {
        config: super::entries::blob_path(&image.config.descriptor.digest),
        repo_tags: (!tags.is_empty()).then_some(tags),
        layers: (!layers.is_empty()).then_some(layers),
    };
    Ok(cache_core::json::to_vec(&[item])?)
}
