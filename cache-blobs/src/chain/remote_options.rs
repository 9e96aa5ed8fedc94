//! How a ref becomes a remote.

use cache_core::MediaTypeFamily;
use cache_core::ports::DiffOptions;

use crate::chain::compute::Creation;

/// What becomes of layers whose licence keeps them out of registries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum NonDistributable {
    /// They are treated as all others: distributable names, no URLs.
    #[default]
    Distribute,
    /// A layer with URLs keeps them and gets the name that says so, where there is one. BuildKit's
    /// `prefer-nondist-layers`.
    Prefer,
}

/// How a ref becomes a remote. Mirrors: BuildKit `cache/config.RefConfig`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RemoteOptions {
    /// How missing layers are made. Its compression is that of new layers, of all layers where it is forced, and else that of
    /// the topmost layer of variants.
    pub diff: DiffOptions,
    /// Whether missing layers are made.
    pub creation: Creation,
    /// What becomes of layers with URLs.
    pub non_distributable: NonDistributable,
    /// By whose names layers are called; `None` leaves each as it is.
    pub family: Option<MediaTypeFamily>,
}

impl RemoteOptions {
    /// Missing layers are made as `diff` says.
    pub fn new(diff: DiffOptions) -> Self {
        Self { diff, ..Self::default() }
    }

    /// The same, making what is missing or not.
    #[must_use]
    pub fn with_creation(mut self, creation: Creation) -> Self {
        self.creation = creation;
        self
    }

    /// The same with another treatment of layers with URLs.
    #[must_use]
    pub fn with_non_distributable(mut self, non_distributable: NonDistributable) -> Self {
        self.non_distributable = non_distributable;
        self
    }

    /// The same with names of `family`.
    #[must_use]
    pub fn with_family(mut self, family: MediaTypeFamily) -> Self {
        self.family = Some(family);
        self
    }
}
