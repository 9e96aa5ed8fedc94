//! Media types of layers, manifests and configs in their OCI and Docker spellings.

use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::compression::Compression;

/// A media type. Unknown ones are kept as they are.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct MediaType(Cow<'static, str>);

macro_rules! media_types {
    ($($(#[$doc:meta])* $name:ident = $text:literal;)*) => {
        impl MediaType {
            $($(#[$doc])* pub const $name: Self = Self(Cow::Borrowed($text));)*
        }
    };
}

media_types! {
    /// OCI layer, uncompressed.
    OCI_LAYER = "application/vnd.oci.image.layer.v1.tar";
    /// OCI layer, gzip (eStargz too).
    OCI_LAYER_GZIP = "application/vnd.oci.image.layer.v1.tar+gzip";
    /// OCI layer, zstd.
    OCI_LAYER_ZSTD = "application/vnd.oci.image.layer.v1.tar+zstd";
    /// OCI non-distributable layer, uncompressed.
    OCI_LAYER_NON_DISTRIBUTABLE = "application/vnd.oci.image.layer.nondistributable.v1.tar";
    /// OCI non-distributable layer, gzip.
    OCI_LAYER_NON_DISTRIBUTABLE_GZIP = "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip";
    /// OCI non-distributable layer, zstd.
    OCI_LAYER_NON_DISTRIBUTABLE_ZSTD = "application/vnd.oci.image.layer.nondistributable.v1.tar+zstd";
    /// Docker layer, uncompressed.
    DOCKER_LAYER = "application/vnd.docker.image.rootfs.diff.tar";
    /// Docker layer, gzip.
    DOCKER_LAYER_GZIP = "application/vnd.docker.image.rootfs.diff.tar.gzip";
    /// Docker layer, zstd.
    DOCKER_LAYER_ZSTD = "application/vnd.docker.image.rootfs.diff.tar.zstd";
    /// Docker foreign layer, uncompressed.
    DOCKER_LAYER_FOREIGN = "application/vnd.docker.image.rootfs.foreign.diff.tar";
    /// Docker foreign layer, gzip.
    DOCKER_LAYER_FOREIGN_GZIP = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip";
    /// OCI image manifest.
    OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json";
    /// OCI image index.
    OCI_INDEX = "application/vnd.oci.image.index.v1+json";
    /// OCI image config.
    OCI_CONFIG = "application/vnd.oci.image.config.v1+json";
    /// Docker image manifest, schema 2.
    DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json";
    /// Docker manifest list.
    DOCKER_MANIFEST_LIST = "application/vnd.docker.distribution.manifest.list.v2+json";
    /// Docker image config.
    DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json";
    /// BuildKit's remote-cache config.
    BUILDKIT_CACHE_CONFIG = "application/vnd.buildkit.cacheconfig.v0";
}

/// Which family of media types an exported manifest uses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum MediaTypeFamily {
    /// `application/vnd.oci.image.…`
    #[default]
    Oci,
    /// `application/vnd.docker.…`
    Docker,
}

/// One row of the table of layer types: compression, then its names.
struct LayerTypes {
    compression: Compression,
    oci: MediaType,
    docker: MediaType,
    oci_non_distributable: MediaType,
    docker_foreign: Option<MediaType>,
}

/// Mirrors: BuildKit `util/compression` and the tables of `util/compression/compression.go`. Docker never named a
/// foreign zstd layer, so that cell is empty.
const LAYER_TYPES: [LayerTypes; 3] = [
    LayerTypes {
        compression: Compression::Uncompressed,
        oci: MediaType::OCI_LAYER,
        docker: MediaType::DOCKER_LAYER,
        oci_non_distributable: MediaType::OCI_LAYER_NON_DISTRIBUTABLE,
        docker_foreign: Some(MediaType::DOCKER_LAYER_FOREIGN),
    },
    LayerTypes {
        compression: Compression::Gzip,
        oci: MediaType::OCI_LAYER_GZIP,
        docker: MediaType::DOCKER_LAYER_GZIP,
        oci_non_distributable: MediaType::OCI_LAYER_NON_DISTRIBUTABLE_GZIP,
        docker_foreign: Some(MediaType::DOCKER_LAYER_FOREIGN_GZIP),
    },
    LayerTypes {
        compression: Compression::Zstd,
        oci: MediaType::OCI_LAYER_ZSTD,
        docker: MediaType::DOCKER_LAYER_ZSTD,
        oci_non_distributable: MediaType::OCI_LAYER_NON_DISTRIBUTABLE_ZSTD,
        docker_foreign: None,
    },
];

impl LayerTypes {
    fn has(&self, media_type: &MediaType) -> bool {
        [&self.oci, &self.docker, &self.oci_non_distributable].contains(&media_type)
            || self.docker_foreign.as_ref() == Some(media_type)
    }
}

impl MediaType {
    /// A media type of any name.
    pub fn new(name: impl Into<Cow<'static, str>>) -> Self {
        Self(name.into())
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether nothing is known, as in records of old stores.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn layer_types(&self) -> Option<&'static LayerTypes> {
        const TABLE: &[LayerTypes; 3] = &LAYER_TYPES;
        TABLE.iter().find(|row| row.has(self))
    }

    /// Whether this is one of the eleven known layer types.
    pub fn is_layer(&self) -> bool {
        self.layer_types().is_some()
    }

    /// The compression that a layer type names; eStargz is seen as gzip. `None` if this is no known layer type.
    pub fn layer_compression(&self) -> Option<Compression> {
        self.layer_types().map(|row| row.compression.clone())
    }

    /// Whether the layer's licence keeps it out of registries (OCI non-distributable, Docker foreign).
    pub fn is_non_distributable(&self) -> bool {
        self.layer_types()
            .is_some_and(|row| self == &row.oci_non_distributable || row.docker_foreign.as_ref() == Some(self))
    }

    fn is_docker(&self) -> bool {
        self.0.starts_with("application/vnd.docker.")
    }

    /// The same layer type in `family`; unchanged if there is no such name (see [`Self::has_name_in`]).
    #[must_use]
    pub fn to_family(&self, family: MediaTypeFamily) -> Self {
        let Some(row) = self.layer_types() else { return self.clone() };
        match (family, self.is_non_distributable()) {
            (MediaTypeFamily::Oci, false) => row.oci.clone(),
            (MediaTypeFamily::Oci, true) => row.oci_non_distributable.clone(),
            (MediaTypeFamily::Docker, false) => row.docker.clone(),
            (MediaTypeFamily::Docker, true) => row.docker_foreign.clone().unwrap_or_else(|| self.clone()),
        }
    }

    /// Whether `family` has a name for this layer type.
    pub fn has_name_in(&self, family: MediaTypeFamily) -> bool {
        self.is_layer() && self.to_family(family).is_docker() == (family == MediaTypeFamily::Docker)
    }

    /// The same layer type without the restriction on distribution, in its own family.
    #[must_use]
    pub fn to_distributable(&self) -> Self {
        let Some(row) = self.layer_types() else { return self.clone() };
        if self.is_docker() { row.docker.clone() } else { row.oci.clone() }
    }

    /// The same layer type as one that stays where its URLs point, in its own family; unchanged where there is no name.
    #[must_use]
    pub fn to_non_distributable(&self) -> Self {
        let Some(row) = self.layer_types() else { return self.clone() };
        if self.is_docker() {
            row.docker_foreign.clone().unwrap_or_else(|| self.clone())
        } else {
            row.oci_non_distributable.clone()
        }
    }
}

impl fmt::Display for MediaType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<String> for MediaType {
    fn from(name: String) -> Self {
        Self(Cow::Owned(name))
    }
}
