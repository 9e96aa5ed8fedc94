//! What a layer holds beyond the changes themselves.

use cache_core::ports::{LayerMode, XattrPolicy};

/// How a layer is written. The default gives the bytes of containerd and BuildKit.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct LayerOptions {
    /// Which extended attributes are kept.
    pub xattrs: XattrPolicy,
    /// Latest modification time, in seconds since 1970; later ones become it. Whiteouts always have time 0.
    pub epoch: Option<i64>,
    /// The system that the layer is for.
    pub mode: LayerMode,
}

impl LayerOptions {
    /// Other extended attributes.
    #[must_use]
    pub fn with_xattrs(mut self, xattrs: XattrPolicy) -> Self {
        self.xattrs = xattrs;
        self
    }

    /// An upper bound for modification times (`SOURCE_DATE_EPOCH`), in seconds since 1970.
    #[must_use]
    pub fn with_epoch(mut self, epoch: i64) -> Self {
        self.epoch = Some(epoch);
        self
    }

    /// A layer for another system.
    #[must_use]
    pub fn with_mode(mut self, mode: LayerMode) -> Self {
        self.mode = mode;
        self
    }
}
