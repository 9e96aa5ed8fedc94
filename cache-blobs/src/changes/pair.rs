//! One directory of each tree, side by side.

use std::cmp::Ordering;
use std::iter::Peekable;
use std::sync::Arc;
use std::vec::IntoIter;

use super::same::{Alike, alike, capability, is_opened, is_same_opened, leads_to_same};
use super::tree::{join, sorted_entries};
use super::{Change, ChangeKind, Directory, Error, Parent, TreeEntry};

/// An upper directory to compare with a lower one, if there is any.
#[derive(Debug)]
pub(super) struct Pair {
    path: Vec<u8>,
    lower: Option<Side>,
    upper: Side,
    /// The upper one as an entry; `None` for the root.
    parent: Option<Arc<Parent>>,
}

/// A directory that is opened no sooner than it is read.
#[derive(Debug)]
enum Side {
    Open(Arc<dyn Directory>),
    Below(TreeEntry),
}

/// What is said of one name: the change, and where to look for more before the next name.
#[derive(Debug)]
pub(super) struct Step {
    pub(super) change: Option<Change>,
    pub(super) below: Option<Box<Pair>>,
}

/// All that is said of a pair, names in byte order; an error in it is the last. The error outside is of the directories.
pub(super) type Steps = Result<Vec<Result<Step, Error>>, Error>;

impl Pair {
    /// Open directories that are found under `path`, where the upper one is `parent`.
    pub(super) fn open(
        path: Vec<u8>,
        lower: Option<Arc<dyn Directory>>,
        upper: Arc<dyn Directory>,
        parent: Option<Arc<Parent>>,
    ) -> Self {
        Self { path, lower: lower.map(Side::Open), upper: Side::Open(upper), parent }
    }

    /// Compares what is in the two, not what is below. What did not change takes no room in the result.
    pub(super) fn compare(self) -> Steps {
        let names: Vec<Name> = Names::of(self.lower, self.upper)?.map(Name::of).collect();
        // One directory after the other, since a thread's own directory is one of the two.
        let lower: Vec<_> = names.iter().map(|name| name.capability(name.lower.as_ref())).collect();
        let upper: Vec<_> = names.iter().map(|name| name.capability(name.upper.as_ref())).collect();
        let mut steps = Vec::new();
        for (name, capabilities) in names.into_iter().zip(lower.into_iter().zip(upper)) {
            let step = name.step(&self.path, self.parent.as_ref(), capabilities).transpose();
            let failed = matches!(step, Some(Err(_)));
            steps.extend(step);
            if failed {
                break;
            }
        }
        Ok(steps)
    }
}

/// One name in both directories.
struct Name {
    lower: Option<TreeEntry>,
    upper: Option<TreeEntry>,
    alike: Alike,
}

type Capability = Result<Option<Vec<u8>>, Error>;

impl Name {
    fn of((lower, upper): (Option<TreeEntry>, Option<TreeEntry>)) -> Self {
        let both = lower.as_ref().zip(upper.as_ref());
        let alike = both.map_or(Alike::No, |(lower, upper)| alike(&lower.metadata, &upper.metadata));
        Self { lower, upper, alike }
    }

    /// The capability of one of the two, where it makes a difference and nothing more is asked for.
    fn capability(&self, entry: Option<&TreeEntry>) -> Capability {
        let asked = |entry: &&TreeEntry| self.alike == Alike::ByMetadata && !is_opened(&entry.metadata);
        entry.filter(asked).map_or(Ok(None), capability)
    }

    fn is_same(&self, above: &[u8], (old, new): (Capability, Capability)) -> Result<bool, Error> {
        match (self.alike, &self.lower, &self.upper) {
            (Alike::Identical, ..) => Ok(true),
            (Alike::ByMetadata, Some(lower), Some(upper)) if is_opened(&lower.metadata) => {
                is_same_opened(above, lower, upper)
            }
            (Alike::ByMetadata, Some(lower), Some(upper)) => Ok(old? == new? && leads_to_same(lower, upper)?),
            _ => Ok(false),
        }
    }

    fn step(
        self,
        above: &[u8],
        parent: Option<&Arc<Parent>>,
        capabilities: (Capability, Capability),
    ) -> Result<Option<Step>, Error> {
        let is_same = self.is_same(above, capabilities)?;
        let Self { lower, upper, .. } = self;
        let Some(upper) = upper else {
            let deleted = lower.map(|lower| Change::deleted(join(above, &lower.name), parent.cloned()));
            return Ok(deleted.map(|change| Step { change: Some(change), below: None }));
        };
        let kind = match &lower {
            None => Some(ChangeKind::Add),
            Some(_) if !is_same => Some(ChangeKind::Modify),
            Some(_) if upper.metadata.is_hard_linked() => Some(ChangeKind::Unmodified),
            Some(_) if upper.metadata.is_directory() => None,
            Some(_) => return Ok(None),
        };
        let path = join(above, &upper.name);
        let below = upper.metadata.is_directory().then(|| {
            // A lower file of another kind gives way to the directory, and all below that is new.
            let lower = lower.filter(|lower| lower.metadata.is_directory()).map(Side::Below);
            let itself = Arc::new(Parent { entry: upper.clone(), parent: parent.cloned() });
            Box::new(Pair { path: path.clone(), lower, upper: Side::Below(upper.clone()), parent: Some(itself) })
        });
        let change = kind.map(|kind| Change::present(kind, path, upper, parent.cloned()));
        Ok(Some(Step { change, below }))
    }
}

/// The entries of two directories in the order of their names.
struct Names {
    lower: Peekable<IntoIter<TreeEntry>>,
    upper: Peekable<IntoIter<TreeEntry>>,
}

impl Names {
    fn of(lower: Option<Side>, upper: Side) -> Result<Self, Error> {
        let entries = |side: Side| match side {
            Side::Open(directory) => sorted_entries(&directory),
            Side::Below(entry) => sorted_entries(&entry.open()?),
        };
        let (lower, upper) = (lower.map(entries).transpose()?.unwrap_or_default(), entries(upper)?);
        Ok(Self { lower: lower.into_iter().peekable(), upper: upper.into_iter().peekable() })
    }
}

impl Iterator for Names {
    type Item = (Option<TreeEntry>, Option<TreeEntry>);

    /// What comes first in either directory: an entry of one, or those of both under the same name.
    fn next(&mut self) -> Option<Self::Item> {
        let order = match (self.lower.peek(), self.upper.peek()) {
            (None, None) => return None,
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(lower), Some(upper)) => lower.name.cmp(&upper.name),
        };
        Some(match order {
            Ordering::Less => (self.lower.next(), None),
            Ordering::Equal => (self.lower.next(), self.upper.next()),
            Ordering::Greater => (None, self.upper.next()),
        })
    }
}
