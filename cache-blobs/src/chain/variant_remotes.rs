//! The remotes that the variants of a chain's layers make.

use crate::remote::{Remote, RemoteLayer};

/// How many remotes a cautious caller takes of [`VariantRemotes::iter`]: of ten layers in two compressions each, all.
pub const DEFAULT_VARIANT_REMOTES: usize = 1024;

/// The variants of each layer of a chain, whose combinations are remotes. The topmost layer is in the wanted compression in all
/// of them; those below are in any. Empty if the topmost layer is not in that compression.
///
/// It holds the variants, not the combinations, of which there are as many as the product of their numbers. Mirrors: BuildKit
/// `cache/remote.go`, `getAvailableBlobs` and `appendRemote`, which make all of them.
#[derive(Clone, Debug, Default)]
pub struct VariantRemotes {
    sets: Vec<Vec<RemoteLayer>>,
}

impl VariantRemotes {
    /// The combinations of `sets`, bottom first; none if a set is empty.
    pub(super) fn new(sets: Vec<Vec<RemoteLayer>>) -> Self {
        if sets.iter().any(Vec::is_empty) { Self::default() } else { Self { sets } }
    }

    /// The variants of each layer, bottom first, each layer's own blob first where it is one of them.
    pub fn sets(&self) -> &[Vec<RemoteLayer>] {
        &self.sets
    }

    /// How many combinations there are, or `u64::MAX` if there are more.
    pub fn count(&self) -> u64 {
        if self.sets.is_empty() {
            return 0;
        }
        self.sets.iter().fold(1, |count, set| count.saturating_mul(set.len() as u64))
    }

    /// The first `cap` combinations, each made when it is asked for. The variants of the topmost layer change slowest, those of
    /// the bottom one fastest.
    pub fn iter(&self, cap: usize) -> VariantRemotesIter<'_> {
        let next = (!self.sets.is_empty()).then(|| vec![0; self.sets.len()]);
        VariantRemotesIter { sets: &self.sets, next, left: cap }
    }
}

/// The remotes of [`VariantRemotes::iter`].
#[derive(Clone, Debug)]
pub struct VariantRemotesIter<'a> {
    sets: &'a [Vec<RemoteLayer>],
    /// Which variant of each layer comes next; `None` after the last combination.
    next: Option<Vec<usize>>,
    left: usize,
}

impl VariantRemotesIter<'_> {
    /// Moves on to the combination after `chosen`.
    fn step(&self, mut chosen: Vec<usize>) -> Option<Vec<usize>> {
        for (at, set) in chosen.iter_mut().zip(self.sets) {
            *at += 1;
            if *at < set.len() {
                return Some(chosen);
            }
            *at = 0;
        }
        None
    }
}

impl Iterator for VariantRemotesIter<'_> {
    type Item = Remote;

    fn next(&mut self) -> Option<Remote> {
        if self.left == 0 {
            return None;
        }
        let chosen = self.next.take()?;
        self.left -= 1;
        let layers = self.sets.iter().zip(&chosen).filter_map(|(set, at)| set.get(*at).cloned());
        let remote = Remote::new(layers.collect());
        self.next = self.step(chosen);
        Some(remote)
    }
}
