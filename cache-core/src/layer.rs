//! Layers and chains of layers with the digests that identify them.

use crate::annotation;
use crate::descriptor::Descriptor;
use crate::digest::Digest;
use crate::error::{Error, ErrorKind, Result};

/// One layer: a blob and the digest of the tar in it.
///
/// The DiffID is a field. It becomes the `containerd.io/uncompressed` annotation only at the border, by
/// [`to_annotated`](Self::to_annotated) and [`from_annotated`](Self::from_annotated).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layer {
    /// The blob, without the annotation that carries the DiffID.
    pub descriptor: Descriptor,
    /// The digest of the uncompressed stream.
    pub diff_id: Digest,
}

impl Layer {
    /// A layer of a blob whose uncompressed stream has the digest `diff_id`.
    pub fn new(mut descriptor: Descriptor, diff_id: Digest) -> Self {
        descriptor.annotations.remove(annotation::UNCOMPRESSED);
        Self { descriptor, diff_id }
    }

    /// The layer that an annotated descriptor stands for.
    ///
    /// # Errors
    /// `Invalid` if the annotation `containerd.io/uncompressed` is missing or is no digest.
    pub fn from_annotated(descriptor: Descriptor) -> Result<Self> {
        let missing = || Error::new(ErrorKind::Invalid, "read the uncompressed annotation of", descriptor.digest);
        let diff_id = descriptor.annotations.get(annotation::UNCOMPRESSED).ok_or_else(missing)?;
        let diff_id = diff_id.parse().map_err(|error| missing().with_source(Box::<Error>::new(error)))?;
        Ok(Self::new(descriptor, diff_id))
    }

    /// The descriptor with the annotation that carries the DiffID, as remote caches hold it.
    pub fn to_annotated(&self) -> Descriptor {
        self.descriptor.clone().with_annotation(annotation::UNCOMPRESSED, self.diff_id.to_string())
    }

    /// The digest that identifies this blob with this DiffID. Mirrors: BuildKit `cache/refs.go`, `getBlobChainID`.
    pub fn blob_id(&self) -> Digest {
        chain_id(&[self.descriptor.digest, self.diff_id]).expect("two digests have a chain id")
    }
}

/// Layers from the bottom up.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BlobChain(Vec<Layer>);

impl BlobChain {
    /// A chain of `layers`, bottom first.
    pub fn new(layers: Vec<Layer>) -> Self {
        Self(layers)
    }

    /// The layers, bottom first.
    pub fn layers(&self) -> &[Layer] {
        &self.0
    }

    /// The layers, bottom first.
    pub fn into_layers(self) -> Vec<Layer> {
        self.0
    }

    /// The DiffIDs, bottom first.
    pub fn diff_ids(&self) -> Vec<Digest> {
        self.0.iter().map(|layer| layer.diff_id).collect()
    }

    /// The OCI chain id: it identifies the file system that the layers make. `None` for no layers.
    pub fn chain_id(&self) -> Option<Digest> {
        chain_id(&self.diff_ids())
    }

    /// The blob-chain id: it identifies the file system together with the blobs that carry it. `None` for no layers.
    pub fn blob_chain_id(&self) -> Option<Digest> {
        let blob_ids: Vec<_> = self.0.iter().map(Layer::blob_id).collect();
        chain_id(&blob_ids)
    }
}

/// Folds digests from the left: of one digest it is that digest, of more it is the SHA-256 of the fold so far, a space
/// and the next digest, all as text. Mirrors: image-spec `identity.ChainID`. `None` for no digests.
pub fn chain_id(digests: &[Digest]) -> Option<Digest> {
    let (first, rest) = digests.split_first()?;
    Some(rest.iter().fold(*first, |parent, digest| child_chain_id(Some(parent), *digest)))
}

/// The chain id of `digest` on top of a parent's chain id.
pub fn child_chain_id(parent: Option<Digest>, digest: Digest) -> Digest {
    match parent {
        None => digest,
        Some(parent) => Digest::of(format!("{parent} {digest}")),
    }
}
