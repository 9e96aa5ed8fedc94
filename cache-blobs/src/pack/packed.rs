//! What is packed, and how.

use cache_core::ports::{BlobInfo, Ingest};
use cache_core::{Annotations, Descriptor, Digest, Labels, Layer, MediaType};

use crate::codec::{Codec, Recipe};

/// How a layer is packed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PackOptions {
    /// The codec's level; `None` is its default.
    pub level: Option<i32>,
    /// Labels of the blob besides the DiffID and the recipe.
    pub labels: Labels,
}

impl PackOptions {
    /// The same at `level`; `None` is the codec's default.
    #[must_use]
    pub fn with_level(mut self, level: Option<i32>) -> Self {
        self.level = level;
        self
    }

    /// The same with `labels` on the blob.
    #[must_use]
    pub fn with_labels(mut self, labels: Labels) -> Self {
        self.labels = labels;
        self
    }
}

/// One blob that a tar becomes.
#[derive(Debug)]
pub struct PackTarget<'a> {
    /// What makes its bytes.
    pub codec: &'a dyn Codec,
    /// What takes them; it must be fresh.
    pub ingest: Box<dyn Ingest>,
    /// How they are made.
    pub options: PackOptions,
}

impl PackTarget<'_> {
    /// Drops what its ingest has after a failure, which is what counts.
    pub(crate) async fn abort(self) {
        if let Err(error) = self.ingest.abort().await {
            tracing::warn!(%error, "an ingest could not be aborted after its layer failed");
        }
    }
}

/// A packed layer.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Packed<T> {
    /// The committed blob.
    pub info: BlobInfo,
    /// The codec's OCI media type.
    pub media_type: MediaType,
    /// The layer's DiffID.
    pub diff_id: Digest,
    /// Bytes that the DiffID covers.
    pub uncompressed_bytes: u64,
    /// The codec's annotations.
    pub annotations: Annotations,
    /// How the blob was made.
    pub recipe: Recipe,
    /// What the producer gave.
    pub produced: T,
}

impl<T> Packed<T> {
    /// The layer with the codec's media type and annotations.
    pub fn layer(&self) -> Layer {
        let mut descriptor = Descriptor::new(self.media_type.clone(), self.info.digest, self.info.size);
        descriptor.annotations = self.annotations.clone();
        Layer::new(descriptor, self.diff_id)
    }

    /// The same with what the producer gave.
    pub(super) fn with_produced<U>(self, produced: U) -> Packed<U> {
        let Self { info, media_type, diff_id, uncompressed_bytes, annotations, recipe, produced: _ } = self;
        Packed { info, media_type, diff_id, uncompressed_bytes, annotations, recipe, produced }
    }
}

/// One tar, packed as several blobs.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PackedVariants<T> {
    /// What the producer gave.
    pub produced: T,
    /// The blobs in the order of their targets.
    pub variants: Vec<Packed<()>>,
}
