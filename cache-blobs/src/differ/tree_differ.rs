//! The differ that reads trees and packs what changed.

use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use cache_core::ports::{
    Access, ContentStore, DiffOptions, Differ, LayerMode, Lease, Mount, MountedTree, Mounter, Pool,
};
use cache_core::{Compression, CompressionConfig, Error, ErrorKind, Layer, Result};

use rustix::fs::{Mode, OFlags, openat};

use crate::changes::{
    self, DirectoryTree, LowerTree, MemoryTree, Operation, Overlay, Tree, double_walk, overlay_upper,
};
use crate::codec::Codecs;
use crate::differ::blobs::WantedBlobs;
use crate::differ::upperdir::{Upperdir, upperdir};
use crate::failure::{layer_failure, tree_failure};
use crate::layer::{self, LayerOptions, LayerReport, write_layer_ahead};
use crate::pack::{Budget, PackWriter, Packed, PackedVariants, pack_variants};

/// How a [`TreeDiffer`] finds what changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum DifferPath {
    /// By the upperdir where the mounts differ in one, else, or where that fails, by the double walk.
    #[default]
    Auto,
    /// By the upperdir alone; anything else is an error. BuildKit has this as `BUILDKIT_DEBUG_FORCE_OVERLAY_DIFF=1`, and hides
    /// why it failed.
    OverlayOnly,
    /// By the double walk alone.
    WalkingOnly,
}

/// How a difference was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FoundBy {
    /// By reading an upperdir.
    Upperdir,
    /// By comparing two trees.
    DoubleWalk,
}

/// A packed difference.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Difference {
    /// The layer.
    pub layer: Layer,
    /// Length of its uncompressed stream in bytes.
    pub uncompressed_bytes: u64,
    /// How it was found.
    pub found_by: FoundBy,
    /// What the trees hold and the layer does not.
    pub report: LayerReport,
    /// The same in the further compressions, in the order in which they were asked for.
    pub variants: Vec<Layer>,
}

/// Compares snapshots of this machine and packs the difference: by reading an overlay's upperdir where the mounts differ in
/// one, by walking both trees else. Upperdirs are read without mounting anything.
///
/// Mirrors: BuildKit `cache/blobs_linux.go` and containerd `plugins/diff/walking`.
#[derive(Clone, Debug)]
pub struct TreeDiffer {
    content: Arc<dyn ContentStore>,
    mounter: Arc<dyn Mounter>,
    pool: Arc<dyn Pool>,
    codecs: Codecs,
    budget: Arc<Budget>,
    path: DifferPath,
}

impl TreeDiffer {
    /// A differ that writes to `content`, mounts through `mounter` and packs within `budget`.
    pub fn new(
        content: Arc<dyn ContentStore>,
        mounter: Arc<dyn Mounter>,
        pool: Arc<dyn Pool>,
        codecs: Codecs,
        budget: Arc<Budget>,
    ) -> Self {
        Self { content, mounter, pool, codecs, budget, path: DifferPath::Auto }
    }

    /// The same, finding what changed by `path`.
    #[must_use]
    pub fn with_path(mut self, path: DifferPath) -> Self {
        self.path = path;
        self
    }

    /// As [`Differ::diff`], and tells how it was found and what was left out.
    ///
    /// # Errors
    /// As [`Differ::diff`].
    ///
    /// # Cancel safety
    /// As [`Differ::diff`].
    pub async fn compare(
        &self,
        lease: &Lease,
        key: &str,
        lower: &[Mount],
        upper: &[Mount],
        options: &DiffOptions,
    ) -> Result<Difference> {
        if let Some(shapeless) = configs(options).find(|config| !has_shape(options.layer_mode, config)) {
            return Err(Error::new(ErrorKind::Unsupported, "write a Windows layer of", key)
                .with_source(format!("{} has no Windows layers", shapeless.compression)));
        }
        let wanted = &WantedBlobs::of(&self.codecs, options)?;
        let call = Call { lease, key, lower, upper, options, wanted };
        // BuildKit never reads upperdirs for Windows layers either.
        let walk = self.path == DifferPath::WalkingOnly || options.layer_mode == LayerMode::Windows;
        let upperdir = if walk { None } else { upperdir(lower, upper) };
        let outcome = match (self.path, upperdir) {
            (DifferPath::OverlayOnly, None) => {
                return Err(Error::new(ErrorKind::Unsupported, "find the upperdir of", key)
                    .with_source("the mounts do not differ in one upperdir"));
            }
            (_, None) => self.pack_trees(&call).await.map(|packed| (FoundBy::DoubleWalk, packed)),
            (path, Some(upperdir)) => match self.pack_upperdir(&call, upperdir).await {
                Err(Failure::Trees(error)) if path == DifferPath::Auto => {
                    tracing::warn!(key, %error, "the upperdir cannot be read as one, so both trees are compared");
                    self.pack_trees(&call).await.map(|packed| (FoundBy::DoubleWalk, packed))
                }
                outcome => outcome.map(|packed| (FoundBy::Upperdir, packed)),
            },
        };
        let (found_by, packed) = outcome.map_err(Failure::into_inner)?;
        let layers: Vec<_> = packed.variants.iter().map(Packed::layer).collect();
        let variants = wanted.link(&*self.content, &layers).await?;
        let own = packed.variants.into_iter().next().expect("a difference has a blob of its own");
        Ok(Difference {
            layer: own.layer(),
            uncompressed_bytes: own.uncompressed_bytes,
            found_by,
            report: packed.produced,
            variants,
        })
    }

    async fn pack_upperdir(&self, call: &Call<'_>, upperdir: Upperdir) -> Result<PackedVariants<LayerReport>, Failure> {
        let (key, options) = (call.key.to_owned(), call.layer_options());
        self.pack(call, move |out| {
            let failed = |error| Failure::Trees(tree_failure(&key, error));
            let upper: Arc<dyn Tree> = Arc::new(DirectoryTree::open(&upperdir.upper).map_err(failed)?);
            if upperdir.lowers.is_empty() {
                let view = Overlay::new(vec![upper]);
                let changes = double_walk(None, &view).map_err(failed)?.with_helper();
                return written(&key, write_layer_ahead(changes, out, options));
            }
            let open = |path: &PathBuf| LowerTree::open(path).map(|tree| Arc::new(tree) as Arc<dyn Tree>);
            let lowers = upperdir.lowers.iter().map(open).collect::<Result<Vec<_>, _>>().map_err(failed)?;
            let changes = overlay_upper(&Overlay::new(lowers), &upper).map_err(failed)?;
            written(&key, write_layer_ahead(changes, out, options))
        })
        .await
    }

    async fn pack_trees(&self, call: &Call<'_>) -> Result<PackedVariants<LayerReport>, Failure> {
        let (key, options) = (call.key.to_owned(), call.layer_options());
        let lower = self.mounted(call.lower).await?;
        let upper = self.mounted(call.upper).await?;
        self.pack(call, move |out| {
            let trees = opened(lower.as_deref()).and_then(|lower| Ok((lower, opened(upper.as_deref())?)));
            let (lower, upper) = trees.map_err(|error| Failure::Trees(tree_failure(&key, error)))?;
            let upper = upper.unwrap_or_else(|| Box::new(MemoryTree::new()));
            let changes =
                double_walk(lower.as_deref(), &*upper).map_err(|error| Failure::Trees(tree_failure(&key, error)))?;
            let changes = changes.with_helper();
            written(&key, write_layer_ahead(changes, out, options))
        })
        .await
    }

    async fn mounted(&self, mounts: &[Mount]) -> Result<Option<Arc<dyn MountedTree>>> {
        if mounts.is_empty() { Ok(None) } else { self.mounter.mount(mounts, Access::ReadOnly).await.map(Some) }
    }

    async fn pack<F>(&self, call: &Call<'_>, produce: F) -> Result<PackedVariants<LayerReport>, Failure>
    where
        F: FnOnce(&mut PackWriter) -> Result<LayerReport, Failure> + Send + 'static,
    {
        let targets = call.wanted.begin(&*self.content, call.lease, call.key).await?;
        pack_variants(&self.budget, &self.pool, targets, produce).await
    }
}

/// The arguments of one call.
struct Call<'a> {
    lease: &'a Lease,
    key: &'a str,
    lower: &'a [Mount],
    upper: &'a [Mount],
    options: &'a DiffOptions,
    wanted: &'a WantedBlobs,
}

impl Call<'_> {
    fn layer_options(&self) -> LayerOptions {
        let options = LayerOptions::default().with_xattrs(self.options.xattrs).with_mode(self.options.layer_mode);
        match self.options.epoch {
            Some(epoch) => options.with_epoch(epoch.unix_seconds()),
            None => options,
        }
    }
}

/// All that a difference is wanted as.
fn configs(options: &DiffOptions) -> impl Iterator<Item = &CompressionConfig> {
    std::iter::once(&options.compression).chain(&options.variants)
}

/// Whether layers of the wanted compression have the wanted shape. The table of an eStargz layer knows no Windows records.
fn has_shape(mode: LayerMode, config: &CompressionConfig) -> bool {
    match mode {
        LayerMode::Linux => true,
        LayerMode::Windows => {
            matches!(config.compression, Compression::Uncompressed | Compression::Gzip | Compression::Zstd)
        }
    }
}

/// Why a path to the layer failed.
enum Failure {
    /// The trees could not be read this way; another way may do.
    Trees(Error),
    /// Nothing would help: the store, the codec or the caller.
    Final(Error),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Final(error)
    }
}

impl Failure {
    fn into_inner(self) -> Error {
        match self {
            Self::Trees(error) | Self::Final(error) => error,
        }
    }
}

fn written<W>(key: &str, outcome: Result<(W, LayerReport), layer::Error>) -> Result<LayerReport, Failure> {
    match outcome {
        Ok((_, report)) => Ok(report),
        Err(error @ layer::Error::Changes(_)) => Err(Failure::Trees(layer_failure(key, error))),
        Err(error) => Err(Failure::Final(layer_failure(key, error))),
    }
}

fn opened(tree: Option<&dyn MountedTree>) -> Result<Option<Box<dyn Tree>>, changes::Error> {
    let Some(tree) = tree else { return Ok(None) };
    // A mount's own handle may only name the tree; reading it takes one of its own.
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let root = openat(tree.directory(), ".", flags, Mode::empty())
        .map_err(|error| changes::Error::io(Operation::Open, b"", error))?;
    Ok(Some(Box::new(DirectoryTree::from_fd(root))))
}

#[async_trait]
impl Differ for TreeDiffer {
    fn supports(&self, options: &DiffOptions) -> bool {
        let has_shape = configs(options).all(|config| has_shape(options.layer_mode, config));
        has_shape && WantedBlobs::of(&self.codecs, options).is_ok()
    }

    async fn diff(
        &self,
        lease: &Lease,
        key: &str,
        lower: &[Mount],
        upper: &[Mount],
        options: &DiffOptions,
    ) -> Result<Layer> {
        let difference = self.compare(lease, key, lower, upper, options).await?;
        if !difference.report.is_complete() {
            tracing::debug!(key, report = ?difference.report, "the layer does not hold all that the tree does");
        }
        Ok(difference.layer)
    }
}
