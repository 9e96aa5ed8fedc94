//! The double walk: two whole trees side by side.
//!
//! Mirrors: containerd `continuity/fs` `Changes`, `doubleWalkDiff`.

use std::iter::Peekable;
use std::sync::Arc;
use std::vec::IntoIter;

use super::same::is_same;
use super::tree::{join, sorted_entries};
use super::{Change, ChangeKind, Directory, Error, Tree, TreeEntry};

/// Compares two trees; without a lower one everything is an addition.
///
/// Costs a look at every file of both trees, however few changed. Changes come depth first, names in byte order
/// within each directory; a removed tree is one deletion.
///
/// # Errors
/// When a root cannot be opened.
pub fn double_walk(lower: Option<&dyn Tree>, upper: &dyn Tree) -> Result<DoubleWalk, Error> {
    let lower = lower.map(Tree::root).transpose()?;
    DoubleWalk::of(Vec::new(), lower.as_ref(), Some(&upper.root()?))
}

/// Iterator over the changes between two trees.
///
/// Holds one directory of each tree open per level of depth, or per name still to come in it.
#[derive(Debug)]
pub struct DoubleWalk {
    levels: Vec<Level>,
    failed: bool,
}

#[derive(Debug)]
struct Level {
    path: Vec<u8>,
    lower: Peekable<IntoIter<TreeEntry>>,
    upper: Peekable<IntoIter<TreeEntry>>,
}

impl Level {
    fn new(
        path: Vec<u8>,
        lower: Option<&Arc<dyn Directory>>,
        upper: Option<&Arc<dyn Directory>>,
    ) -> Result<Self, Error> {
        let entries = |directory: Option<&Arc<dyn Directory>>| match directory {
            Some(directory) => sorted_entries(directory).map(|entries| entries.into_iter().peekable()),
            None => Ok(Vec::new().into_iter().peekable()),
        };
        Ok(Self { path, lower: entries(lower)?, upper: entries(upper)? })
    }

    /// What comes first in either directory: an entry of one, or those of both under the same name.
    fn next(&mut self) -> Option<(Option<TreeEntry>, Option<TreeEntry>)> {
        let order = match (self.lower.peek(), self.upper.peek()) {
            (None, None) => return None,
            (Some(_), None) => std::cmp::Ordering::Less,
            (None, Some(_)) => std::cmp::Ordering::Greater,
            (Some(lower), Some(upper)) => lower.name.cmp(&upper.name),
        };
        let lower = order.is_le().then(|| self.lower.next()).flatten();
        let upper = order.is_ge().then(|| self.upper.next()).flatten();
        Some((lower, upper))
    }
}

impl DoubleWalk {
    /// A walk of two directories that are found under `path`.
    pub(super) fn of(
        path: Vec<u8>,
        lower: Option<&Arc<dyn Directory>>,
        upper: Option<&Arc<dyn Directory>>,
    ) -> Result<Self, Error> {
        Ok(Self { levels: vec![Level::new(path, lower, upper)?], failed: false })
    }

    fn advance(&mut self) -> Result<Option<Change>, Error> {
        while let Some(level) = self.levels.last_mut() {
            let Some((lower, upper)) = level.next() else {
                self.levels.pop();
                continue;
            };
            let path = join(&level.path, &upper.as_ref().or(lower.as_ref()).expect("one of the two is there").name);
            let Some(upper) = upper else {
                return Ok(Some(Change::deleted(path)));
            };
            if upper.metadata.is_directory() {
                // A lower file of another kind gives way to the directory, and all below that is new.
                let below = lower.as_ref().filter(|lower| lower.metadata.is_directory());
                let below = below.map(TreeEntry::open).transpose()?;
                self.levels.push(Level::new(path.clone(), below.as_ref(), Some(&upper.open()?))?);
            }
            let kind = match lower {
                None => ChangeKind::Add,
                Some(lower) if !is_same(&path, &lower, &upper)? => ChangeKind::Modify,
                Some(_) if upper.metadata.is_hard_linked() => ChangeKind::Unmodified,
                Some(_) => continue,
            };
            return Ok(Some(Change::present(kind, path, upper)));
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
