//! What the `index.json` of a layout or archive says of an image.

use cache_core::{Descriptor, Timestamp, annotation};

use crate::compose::ComposedImage;
use crate::image_name::ImageName;

/// What an image without a name is called in the index.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Unnamed {
    /// Nothing, as in archives.
    #[default]
    Bare,
    /// `latest`, as in directories.
    Latest,
}

/// One descriptor of the manifest for each name, or one without name. `created` is the epoch, or else the time now.
/// Mirrors: containerd `core/images/archive/exporter.go`, `WithManifest`, and BuildKit `client/ociindex`.
pub fn index_entries(
    image: &ComposedImage,
    names: &[ImageName],
    created: Timestamp,
    unnamed: Unnamed,
) -> Vec<Descriptor> {
    let base =
        image.manifest.descriptor.clone().with_annotation(annotation::IMAGE_CREATED, created.to_utc().to_string());
    if names.is_empty() {
        return vec![match unnamed {
            Unnamed::Bare => base,
            Unnamed::Latest => base.with_annotation(annotation::REF_NAME, "latest"),
        }];
    }
    let entry = |name: &ImageName| {
        let full = name.to_string();
        let reference = match (name.tag(), name.digest()) {
            (Some(tag), None) => tag.to_owned(),
            _ => full.clone(),
        };
        base.clone()
            .with_annotation(annotation::CONTAINERD_IMAGE_NAME, full)
            .with_annotation(annotation::REF_NAME, reference)
    };
    names.iter().map(entry).collect()
}
