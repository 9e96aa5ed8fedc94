//! What a layer does not hold although the tree does.

use std::collections::BTreeMap;

/// Paths that are remembered of each group; the others are counted. A tree where every file has the same attribute
/// must not need memory for every file.
const EXAMPLES: usize = 100;

/// Files or attributes that were left out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct LeftOut {
    /// How many.
    pub count: u64,
    /// Paths of a hundred at most, in the order in which they were left out. An applier completes files after what else lies around them.
    pub examples: Vec<Vec<u8>>,
}

impl LeftOut {
    pub(crate) fn add(&mut self, path: &[u8]) {
        self.count += 1;
        if self.examples.len() < EXAMPLES {
            self.examples.push(path.to_vec());
        }
    }

    /// Adds what `other` has.
    pub(crate) fn append(&mut self, other: Self) {
        self.count += other.count;
        let room = EXAMPLES.saturating_sub(self.examples.len());
        self.examples.extend(other.examples.into_iter().take(room));
    }
}

/// What was left out of a layer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct LayerReport {
    /// Sockets, which no archive can hold.
    pub sockets: LeftOut,
    /// Extended attributes by name.
    pub xattrs: BTreeMap<Vec<u8>, LeftOut>,
}

impl LayerReport {
    /// Whether nothing was left out.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.sockets.count == 0 && self.xattrs.is_empty()
    }
}
