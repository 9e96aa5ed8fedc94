//! How a layer is unpacked.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use cache_core::ports::LayerMode;

use super::{ApplyLimits, Durability};
use crate::changes::Tree;
use crate::tar::ReadLimits;

/// Whose files the layer's files become.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Ownership {
    /// Those of the owners in the archive. Needs privileges; every refusal is an error.
    Preserve,
    /// Those of the current user. Attributes that only a privileged user may set are left out and reported.
    Current,
}

/// What happens to device nodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Devices {
    /// They are made; a refusal is an error.
    Create,
    /// They are made; those that the system refuses are left out and reported. Choose this in a user namespace, where
    /// the kernel refuses all of them.
    SkipDenied,
}

/// Name space of overlayfs's attributes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum OverlayXattrs {
    /// `trusted.overlay.*`, which needs privileges.
    Trusted,
    /// `user.overlay.*`, for overlays mounted with `userxattr`.
    User,
}

/// What happens to whiteouts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Whiteouts {
    /// What they hide is removed from the root.
    #[default]
    Remove,
    /// They become overlayfs's own, for a root that is an upper directory.
    Overlay(OverlayXattrs),
}

/// How paths are kept below the root. Results are the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Resolution {
    /// Ask the kernel, and walk where it has no `openat2` or does not allow it.
    #[default]
    Automatic,
    /// Walk from directory to directory, reading every link.
    Walk,
}

/// How a layer is unpacked. The default does what containerd does for the current user's privileges.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ApplyOptions {
    /// Default: [`Ownership::Preserve`] for the superuser, else [`Ownership::Current`].
    pub ownership: Ownership,
    /// Default: [`Devices::Create`] for the superuser, else [`Devices::SkipDenied`].
    pub devices: Devices,
    /// Default: [`Whiteouts::Remove`].
    pub whiteouts: Whiteouts,
    /// Default: [`Resolution::Automatic`].
    pub resolution: Resolution,
    /// The system that the layer is for. Of one for Windows, what lies under `Files/` is unpacked, without its Windows
    /// attributes. Default: [`LayerMode::Linux`].
    pub layer_mode: LayerMode,
    /// Default: [`Durability::Relaxed`].
    pub durability: Durability,
    /// Bounds on what is created.
    pub limits: ApplyLimits,
    /// Bounds on the archive itself.
    pub read_limits: ReadLimits,
    /// Trees below an upper directory, topmost first. A directory that the layer needs but does not hold gets owner,
    /// mode, times and attributes from the first tree that has it. Default: none.
    pub parents: Vec<Arc<dyn Tree>>,
    /// Counter of the compressed bytes read so far, which whoever decompresses keeps up to date. Default: none, and
    /// then the ratio is not limited.
    pub compressed: Option<Arc<AtomicU64>>,
}

impl Default for ApplyOptions {
    fn default() -> Self {
        let privileged = rustix::process::geteuid().is_root();
        Self {
            ownership: if privileged { Ownership::Preserve } else { Ownership::Current },
            devices: if privileged { Devices::Create } else { Devices::SkipDenied },
            whiteouts: Whiteouts::default(),
            resolution: Resolution::default(),
            layer_mode: LayerMode::default(),
            durability: Durability::default(),
            limits: ApplyLimits::default(),
            read_limits: ReadLimits::default(),
            parents: Vec::new(),
            compressed: None,
        }
    }
}

impl ApplyOptions {
    /// Other [`ownership`](Self::ownership).
    #[must_use]
    pub fn with_ownership(mut self, ownership: Ownership) -> Self {
        self.ownership = ownership;
        self
    }

    /// Other treatment of [`devices`](Self::devices).
    #[must_use]
    pub fn with_devices(mut self, devices: Devices) -> Self {
        self.devices = devices;
        self
    }

    /// Other treatment of [`whiteouts`](Self::whiteouts).
    #[must_use]
    pub fn with_whiteouts(mut self, whiteouts: Whiteouts) -> Self {
        self.whiteouts = whiteouts;
        self
    }

    /// Other [`resolution`](Self::resolution).
    #[must_use]
    pub fn with_resolution(mut self, resolution: Resolution) -> Self {
        self.resolution = resolution;
        self
    }

    /// A layer for another system, see [`layer_mode`](Self::layer_mode).
    #[must_use]
    pub fn with_layer_mode(mut self, mode: LayerMode) -> Self {
        self.layer_mode = mode;
        self
    }

    /// Other [`durability`](Self::durability).
    #[must_use]
    pub fn with_durability(mut self, durability: Durability) -> Self {
        self.durability = durability;
        self
    }

    /// Other [`limits`](Self::limits).
    #[must_use]
    pub fn with_limits(mut self, limits: ApplyLimits) -> Self {
        self.limits = limits;
        self
    }

    /// Other [`read_limits`](Self::read_limits).
    #[must_use]
    pub fn with_read_limits(mut self, limits: ReadLimits) -> Self {
        self.read_limits = limits;
        self
    }

    /// Trees that lie below, see [`parents`](Self::parents).
    #[must_use]
    pub fn with_parents(mut self, parents: Vec<Arc<dyn Tree>>) -> Self {
        self.parents = parents;
        self
    }

    /// A counter for the limit on the ratio, see [`compressed`](Self::compressed).
    #[must_use]
    pub fn with_compressed(mut self, compressed: Arc<AtomicU64>) -> Self {
        self.compressed = Some(compressed);
        self
    }
}
