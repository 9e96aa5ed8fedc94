//! One directory of each tree, side by side.

use std::cmp::Ordering;
use std::iter::Peekable;
use std::sync::Arc;
use std::vec::IntoIter;

use super::same::is_same;
use super::tree::{join, sorted_entries};
use super::{Change, ChangeKind, Directory, Error, TreeEntry};

/// Two directories to compare, or one without a counterpart.
#[derive(Debug)]
pub(super) struct Pair {
    path: Vec<u8>,
    lower: Option<Side>,
    upper: Option<Side>,
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
    /// Open directories that are found under `path`.
    pub(super) fn open(
        path: Vec<u8>,
        lower: Option<&Arc<dyn Directory>>,
        upper: Option<&Arc<dyn Directory>>,
    ) -> Self {
        let side = |directory: Option<&Arc<dyn Directory>>| directory.cloned().map(Side::Open);
        Self { path, lower: side(lower), upper: side(upper) }
    }

    /// Compares what is in the two, not what is below. What did not change takes no room in the result.
    pub(super) fn compare(self) -> Steps {
        let mut names = Names::of(self.lower, self.upper)?;
        let mut steps = Vec::new();
        while let Some((lower, upper)) = names.next() {
            let step = step(&self.path, lower, upper).transpose();
            let failed = matches!(step, Some(Err(_)));
            steps.extend(step);
            if failed {
                break;
            }
        }
        Ok(steps)
    }
}

fn step(above: &[u8], lower: Option<TreeEntry>, upper: Option<TreeEntry>) -> Result<Option<Step>, Error> {
    let path = join(above, &upper.as_ref().or(lower.as_ref()).expect("one of the two is there").name);
    let Some(upper) = upper else {
        return Ok(Some(Step { change: Some(Change::deleted(path)), below: None }));
    };
    let kind = match &lower {
        None => Some(ChangeKind::Add),
        Some(lower) if !is_same(&path, lower, &upper)? => Some(ChangeKind::Modify),
        Some(_) if upper.metadata.is_hard_linked() => Some(ChangeKind::Unmodified),
        Some(_) => None,
    };
    let below = upper.metadata.is_directory().then(|| {
        // A lower file of another kind gives way to the directory, and all below that is new.
        let lower = lower.filter(|lower| lower.metadata.is_directory()).map(Side::Below);
        Box::new(Pair { path: path.clone(), lower, upper: Some(Side::Below(upper.clone())) })
    });
    let change = kind.map(|kind| Change::present(kind, path, upper));
    Ok((change.is_some() || below.is_some()).then_some(Step { change, below }))
}

/// The entries of two directories in the order of their names.
struct Names {
    lower: Peekable<IntoIter<TreeEntry>>,
    upper: Peekable<IntoIter<TreeEntry>>,
}

impl Names {
    fn of(lower: Option<Side>, upper: Option<Side>) -> Result<Self, Error> {
        let entries = |side: Option<Side>| match side {
            Some(Side::Open(directory)) => sorted_entries(&directory),
            Some(Side::Below(entry)) => sorted_entries(&entry.open()?),
            None => Ok(Vec::new()),
        };
        let (lower, upper) = (entries(lower)?, entries(upper)?);
        Ok(Self { lower: lower.into_iter().peekable(), upper: upper.into_iter().peekable() })
    }

    /// What comes first in either directory: an entry of one, or those of both under the same name.
    fn next(&mut self) -> Option<(Option<TreeEntry>, Option<TreeEntry>)> {
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
