//! What a layer holds beyond the changes themselves.

/// Which extended attributes a layer keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum XattrPolicy {
    /// Only `security.capability`, as containerd and BuildKit do. The digest equals theirs.
    #[default]
    CapabilityOnly,
    /// All but overlayfs's own. The digest differs from theirs as soon as a file has another attribute.
    All,
}

/// How a layer is written. The default gives the bytes of containerd and BuildKit.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct LayerOptions {
    /// Which extended attributes are kept.
    pub xattrs: XattrPolicy,
    /// Latest modification time, in seconds since 1970; later ones become it. Whiteouts always have time 0.
    pub epoch: Option<i64>,
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
}
