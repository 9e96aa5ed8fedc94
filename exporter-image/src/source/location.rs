//! Where an image is, as users write it.

use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;

use cache_blobs::layout::{LayoutOptions, OciLayout};
use cache_core::ErrorKind;
use cache_core::ports::Pool;

use super::archive::ImageArchive;
use super::choose::by_name;
use super::load::{LoadOptions, SourceImage, load_one_of};
use crate::error::Result;

/// An image in the file system: `oci:DIR[:TAG]`, `oci-archive:FILE[:TAG]` or `docker-archive:FILE[:NAME]`. As in skopeo
/// the path ends at the first colon after the type; build the value itself for a path that holds one. A tag may also be
/// the full name of the image, or its digest.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ImageSource {
    /// An OCI image layout in a directory.
    Layout {
        /// The directory.
        directory: PathBuf,
        /// Which image of the layout.
        tag: Option<String>,
    },
    /// An OCI image layout in a tar.
    OciArchive {
        /// The file.
        file: PathBuf,
        /// Which image of the archive.
        tag: Option<String>,
    },
    /// What `docker save` writes: images that `manifest.json` lists.
    DockerArchive {
        /// The file.
        file: PathBuf,
        /// Which image of the archive.
        name: Option<String>,
    },
}

impl FromStr for ImageSource {
    type Err = cache_core::Error;

    fn from_str(text: &str) -> Result<Self, cache_core::Error> {
        let invalid = || cache_core::Error::new(ErrorKind::Invalid, "parse image source", text.escape_debug());
        let (kind, rest) = text.split_once(':').ok_or_else(invalid)?;
        let (path, name) = match rest.split_once(':') {
            Some((path, name)) => (path, Some(name.to_owned())),
            None => (rest, None),
        };
        if path.is_empty() || name.as_deref() == Some("") {
            return Err(invalid());
        }
        let path = PathBuf::from(path);
        match kind {
            "oci" => Ok(Self::Layout { directory: path, tag: name }),
            "oci-archive" => Ok(Self::OciArchive { file: path, tag: name }),
            "docker-archive" => Ok(Self::DockerArchive { file: path, name }),
            _ => Err(invalid()),
        }
    }
}

impl ImageSource {
    /// Finds the image and reads all but its layers.
    ///
    /// # Errors
    /// As [`load_image`](super::load_image); `NotFound` if there is no such file, directory or name; [`Error::Choose`](crate::Error::Choose) if
    /// there are several images and none was named; what the file system gives.
    pub async fn open(&self, pool: &Arc<dyn Pool>, options: &LoadOptions) -> Result<SourceImage> {
        match self {
            Self::Layout { directory, tag } => {
                let target = directory.display().to_string();
                let limits = LayoutOptions::default().with_max_index_bytes(options.manifest_limits.bytes);
                let layout = OciLayout::open(directory, Arc::clone(pool), limits).await?;
                let absent = || cache_core::Error::new(ErrorKind::NotFound, "open image layout", &target);
                let layout = layout.ok_or_else(absent)?;
                let index = layout.index().await?;
                let roots = by_name(&target, &index.manifests, tag.as_deref())?;
                load_one_of(Arc::new(layout), &target, &roots, options).await
            }
            Self::OciArchive { file, tag } => {
                let target = file.display().to_string();
                let archive = ImageArchive::open(file.clone(), Arc::clone(pool)).await?;
                let index = archive.index(options.manifest_limits).await?;
                let roots = by_name(&target, &index.manifests, tag.as_deref())?;
                load_one_of(Arc::new(archive), &target, &roots, options).await
            }
            Self::DockerArchive { file, name } => {
                let archive = ImageArchive::open(file.clone(), Arc::clone(pool)).await?;
                let (archive, manifest) = archive.docker_image(name.as_deref(), options).await?;
                super::load::load_image(Arc::new(archive), &manifest, options).await
            }
        }
    }
}
