//! Differences between snapshots, and their application.

use std::fmt::Debug;

use async_trait::async_trait;

use crate::compression::CompressionConfig;
use crate::descriptor::Descriptor;
use crate::digest::Digest;
use crate::error::Result;
use crate::layer::Layer;
use crate::ports::content::BlobReader;
use crate::ports::lease::Lease;
use crate::ports::snapshot::Mount;
use crate::timestamp::Timestamp;

/// The shape of a layer's tar.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum LayerMode {
    /// Paths as they are.
    #[default]
    Linux,
    /// Paths under `Files/`, beside `Hives/`, with Windows attributes.
    Windows,
}

/// Which extended attributes a layer keeps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum XattrPolicy {
    /// `security.capability` alone, as BuildKit and containerd do; needed for equal DiffIDs.
    #[default]
    CapabilityOnly,
    /// All but those by which overlayfs keeps its own state.
    All,
}

/// How a difference becomes a layer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct DiffOptions {
    /// The compression. Its [`conversion`](CompressionConfig::conversion) says nothing to a differ.
    pub compression: CompressionConfig,
    /// The shape of the tar.
    pub layer_mode: LayerMode,
    /// Times after this one become this one.
    pub epoch: Option<Timestamp>,
    /// Which extended attributes are kept.
    pub xattrs: XattrPolicy,
    /// Further compressions of the same tar, from the same reading of the trees. Each becomes a blob that is linked as a variant
    /// ([`link_variant`](crate::variants::link_variant)) of the layer.
    pub variants: Vec<CompressionConfig>,
}

impl DiffOptions {
    /// A Linux layer in `compression`.
    pub fn new(compression: CompressionConfig) -> Self {
        Self { compression, ..Self::default() }
    }

    /// The same with the shape `layer_mode`.
    #[must_use]
    pub fn with_layer_mode(mut self, layer_mode: LayerMode) -> Self {
        self.layer_mode = layer_mode;
        self
    }

    /// The same with times bounded by `epoch`.
    #[must_use]
    pub fn with_epoch(mut self, epoch: Timestamp) -> Self {
        self.epoch = Some(epoch);
        self
    }

    /// The same with the extended attributes of `xattrs`.
    #[must_use]
    pub fn with_xattrs(mut self, xattrs: XattrPolicy) -> Self {
        self.xattrs = xattrs;
        self
    }

    /// The same in further compressions, too.
    #[must_use]
    pub fn with_variants(mut self, variants: impl IntoIterator<Item = CompressionConfig>) -> Self {
        self.variants = variants.into_iter().collect();
        self
    }
}

/// Compares mounts and writes the difference as a blob. Mirrors: containerd `core/diff.Comparer`.
#[async_trait]
pub trait Differ: Send + Sync + Debug + 'static {
    /// Whether it heeds all of `options`. A remote differ knows no custom codecs.
    fn supports(&self, options: &DiffOptions) -> bool;

    /// The layer that leads from `lower` (empty: from nothing) to `upper` (empty: to nothing), whose committed blob
    /// `lease` holds, as it holds those of its [variants](DiffOptions::variants). `key` names the ingest, those of variants begin
    /// with it; two calls at a time need two keys.
    ///
    /// # Errors
    /// `Unsupported` for options it does not heed; what reading the trees and writing the blob give. Nothing is visible
    /// then, but blobs of variants that were committed before one was refused.
    ///
    /// # Cancel safety
    /// A dropped call leaves nothing visible, or some whole blobs where there are variants.
    async fn diff(
        &self,
        lease: &Lease,
        key: &str,
        lower: &[Mount],
        upper: &[Mount],
        options: &DiffOptions,
    ) -> Result<Layer>;
}

/// What a [`ParentDiffer`] knows of a snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParentDiff {
    /// The digest of the layer's tar.
    pub diff_id: Digest,
    /// The blob; stores that keep none have just the DiffID.
    pub blob: Option<Descriptor>,
}

/// Knows the difference of a snapshot to its parent without comparing them; it is asked before a [`Differ`].
/// Mirrors: the `CompareWithParent` that BuildKit's differ once had.
///
/// # Cancel safety
/// A dropped call leaves nothing but what `lease` holds.
#[async_trait]
pub trait ParentDiffer: Send + Sync + Debug + 'static {
    /// The difference of the committed snapshot `key` to its parent, with its blob, if any, held by `lease`; `None` if
    /// nothing is known of it.
    ///
    /// # Errors
    /// The backend's own failures.
    async fn compare_with_parent(&self, lease: &Lease, key: &str, options: &DiffOptions) -> Result<Option<ParentDiff>>;
}

/// The blob that is applied.
#[derive(Debug)]
pub enum ApplySource {
    /// A blob that the content store has.
    Committed,
    /// A blob that is read from here and verified on the way.
    Reader(Box<dyn BlobReader>),
}

/// What an applied layer was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Applied {
    /// The digest of the whole uncompressed stream, trailing bytes counted.
    pub diff_id: Digest,
    /// Its length in bytes.
    pub size: u64,
}

/// How a layer is applied.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ApplyOptions {
    /// The DiffID that the layer must have; else the call fails with `Corrupt`.
    pub expected_diff_id: Option<Digest>,
    /// The shape of the tar.
    pub layer_mode: LayerMode,
}

impl ApplyOptions {
    /// The layer must have this DiffID.
    #[must_use]
    pub fn with_expected_diff_id(mut self, diff_id: Digest) -> Self {
        self.expected_diff_id = Some(diff_id);
        self
    }

    /// The tar has the shape `layer_mode`.
    #[must_use]
    pub fn with_layer_mode(mut self, layer_mode: LayerMode) -> Self {
        self.layer_mode = layer_mode;
        self
    }
}

/// Unpacks layers into mounts. Mirrors: containerd `core/diff.Applier`.
#[async_trait]
pub trait Applier: Send + Sync + Debug + 'static {
    /// Unpacks the layer of `descriptor` over `mounts`.
    ///
    /// # Errors
    /// `Corrupt` where digest, size, DiffID or format are not as promised; `LimitExceeded` past a documented limit;
    /// `NotFound` if a committed blob is missing. The mounts hold part of the layer then: do not commit them.
    ///
    /// # Cancel safety
    /// As for errors.
    async fn apply(
        &self,
        descriptor: &Descriptor,
        source: ApplySource,
        mounts: &[Mount],
        options: &ApplyOptions,
    ) -> Result<Applied>;
}
