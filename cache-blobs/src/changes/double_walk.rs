//! The double walk: two whole trees side by side.
//!
//! Mirrors: containerd `continuity/fs` `Changes`, `doubleWalkDiff`.

use std::vec::IntoIter;

use super::lookahead::Lookahead;
use super::pair::{Pair, Steps};
use super::walker_thread::spawn_walker;
use super::{Change, Error, Tree};

/// Compares two trees; without a lower one everything is an addition.
///
/// Costs a look at every file of both trees, however few changed. Changes come depth first, names in byte order
/// within each directory; a removed tree is one deletion.
///
/// # Errors
/// When a root cannot be opened.
pub fn double_walk(lower: Option<&dyn Tree>, upper: &dyn Tree) -> Result<DoubleWalk, Error> {
    let lower = lower.map(Tree::root).transpose()?;
    DoubleWalk::of(Pair::open(Vec::new(), lower, upper.root()?, None))
}

/// Iterator over the changes between two trees.
///
/// Holds one directory of each tree open per level of depth, or per name still to come in it, and a few that are compared
/// ahead.
#[derive(Debug)]
pub struct DoubleWalk {
    levels: Vec<IntoIter<Result<Numbered, Error>>>,
    lookahead: Lookahead,
    failed: bool,
}

#[derive(Debug)]
struct Numbered {
    change: Option<Change>,
    below: Option<u64>,
}

impl DoubleWalk {
    /// A walk of two directories and all below them.
    pub(super) fn of(pair: Pair) -> Result<Self, Error> {
        let mut walk = Self { levels: Vec::new(), lookahead: Lookahead::new(), failed: false };
        walk.enter(pair.compare())?;
        Ok(walk)
    }

    /// The same walk with a thread of its own that compares directories ahead. What it gives does not depend on it: where no
    /// thread can be had, the walk is merely slower.
    #[must_use]
    pub fn with_helper(self) -> Self {
        if let Err(error) = spawn_walker(self.lookahead.helper()) {
            tracing::debug!(%error, "two trees are compared by one thread");
        }
        self
    }

    fn enter(&mut self, steps: Steps) -> Result<(), Error> {
        let (mut pairs, mut level) = (Vec::new(), Vec::new());
        for step in steps? {
            level.push(step.map(|step| {
                let below = step.below.map(|pair| {
                    pairs.push(*pair);
                    pairs.len() as u64 - 1
                });
                Numbered { change: step.change, below }
            }));
        }
        if !pairs.is_empty() {
            let first = self.lookahead.announce(pairs.into_iter());
            for below in level.iter_mut().flatten().filter_map(|step| step.below.as_mut()) {
                *below += first;
            }
        }
        self.levels.push(level.into_iter());
        Ok(())
    }

    fn advance(&mut self) -> Result<Option<Change>, Error> {
        while let Some(level) = self.levels.last_mut() {
            let Some(step) = level.next().transpose()? else {
                self.levels.pop();
                continue;
            };
            if let Some(below) = step.below {
                self.enter(self.lookahead.take(below))?;
            }
            if step.change.is_some() {
                return Ok(step.change);
            }
        }
        Ok(None)
    }
}

impl Iterator for DoubleWalk {
    type Item = Result<Change, Error>;

    /// Ends after the first error.
    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        let change = self.advance().transpose();
        self.failed = matches!(change, Some(Err(_)));
        change
    }
}
