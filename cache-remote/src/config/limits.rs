//! How large a config may be that somebody else wrote.

/// Limits on a config. BuildKit itself reads at most 1 MiB of config from registries and local directories, and any
/// amount from object stores.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConfigLimits {
    /// The most bytes of JSON; 64 MiB by default, room for a quarter of a million records.
    pub max_bytes: u64,
    /// The most layers; 100 000 by default.
    pub max_layers: usize,
    /// The most records; 500 000 by default.
    pub max_records: usize,
    /// The most inputs, links, results and entries of listed chains, all together; 4 000 000 by default.
    pub max_links: usize,
    /// The most layers on top of each other; 16 384 by default.
    pub max_chain_length: usize,
}

impl Default for ConfigLimits {
    fn default() -> Self {
        Self {
            max_bytes: 64 * 1024 * 1024,
            max_layers: 100_000,
            max_records: 500_000,
            max_links: 4_000_000,
            max_chain_length: 16_384,
        }
    }
}

impl ConfigLimits {
    /// The same with at most `bytes` of JSON.
    #[must_use]
    pub fn with_max_bytes(mut self, bytes: u64) -> Self {
        self.max_bytes = bytes;
        self
    }

    /// The same with at most `layers`.
    #[must_use]
    pub fn with_max_layers(mut self, layers: usize) -> Self {
        self.max_layers = layers;
        self
    }

    /// The same with at most `records`.
    #[must_use]
    pub fn with_max_records(mut self, records: usize) -> Self {
        self.max_records = records;
        self
    }

    /// The same with at most `links`.
    #[must_use]
    pub fn with_max_links(mut self, links: usize) -> Self {
        self.max_links = links;
        self
    }

    /// The same with chains of at most `layers`.
    #[must_use]
    pub fn with_max_chain_length(mut self, layers: usize) -> Self {
        self.max_chain_length = layers;
        self
    }
}
