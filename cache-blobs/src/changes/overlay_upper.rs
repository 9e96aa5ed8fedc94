//! The changes that an overlay's upper directory holds.
//!
//! Mirrors: BuildKit `util/overlay` `Changes`.

use std::sync::Arc;
use std::vec::IntoIter;

use super::overlay::{Opacity, Part, opacity};
use super::pair::Pair;
use super::same::is_same;
use super::tree::{join, sorted_entries};
use super::upper_directory::shown;
use super::{Change, ChangeKind, Directory, DoubleWalk, Error, Parent, Tree, TreeEntry};

/// Finds what changed by looking at the upper directory only; the result equals that of
/// [`double_walk`](super::double_walk()) on the mounted overlay, but costs no look at what did not change.
///
/// `base` is what lies below: a mounted lower directory, or an [`Overlay`](super::Overlay) of the lower directories. `upper` is the
/// bare upper directory, with its whiteouts.
///
/// Like BuildKit, and unlike the double walk, it does not report a file that overlayfs copied up without any change,
/// not even when the copy has got other names: the result has them as files of their own.
///
/// # Errors
/// When a root cannot be opened. The iterator gives [`Error::Unsupported`] for renamed directories, and so do the contents of
/// metadata-only copies; fall back to the double walk of a mounted overlay then.
pub fn overlay_upper(base: &dyn Tree, upper: &Arc<dyn Tree>) -> Result<OverlayUpper, Error> {
    let level = Level::new(Vec::new(), Part::new(upper.root()?), Some(base.root()?), None)?;
    Ok(OverlayUpper { levels: vec![level], nested: None, failed: false })
}

/// Iterator over the changes in an upper directory.
#[derive(Debug)]
pub struct OverlayUpper {
    levels: Vec<Level>,
    /// The walk of an opaque directory, which takes the place of that directory's own level.
    nested: Option<DoubleWalk>,
    failed: bool,
}

#[derive(Debug)]
struct Level {
    path: Vec<u8>,
    /// As the upper directory has them, whiteouts included.
    entries: IntoIter<TreeEntry>,
    /// The same directory.
    part: Part,
    /// The same without overlay's own attributes.
    view: Arc<dyn Directory>,
    /// What lies below, where that is a directory.
    base: Option<Arc<dyn Directory>>,
    /// The directory as an entry; `None` for the root.
    parent: Option<Arc<Parent>>,
}

impl Level {
    fn new(
        path: Vec<u8>,
        part: Part,
        base: Option<Arc<dyn Directory>>,
        parent: Option<Arc<Parent>>,
    ) -> Result<Self, Error> {
        let entries = sorted_entries(&part.directory)?.into_iter();
        let view = shown(path.clone(), Arc::clone(&part.directory));
        Ok(Self { path, entries, part, view, base, parent })
    }
}

impl OverlayUpper {
    fn advance(&mut self) -> Result<Option<Change>, Error> {
        loop {
            match self.nested.as_mut().map(Iterator::next) {
                Some(Some(change)) => return change.map(Some),
                Some(None) => self.nested = None,
                None => {}
            }
            let Some(level) = self.levels.last_mut() else {
                return Ok(None);
            };
            let Some(entry) = level.entries.next() else {
                self.levels.pop();
                continue;
            };
            let path = join(&level.path, &entry.name);
            let below = level.base.as_ref().map(|base| base.metadata(&entry.name)).transpose()?.flatten();
            if level.part.hides(&entry.name, &entry.metadata)? {
                match below {
                    Some(_) => return Ok(Some(Change::deleted(path, level.parent.clone()))),
                    None => continue,
                }
            }
            let lower = below.zip(level.base.clone()).map(|(metadata, directory)| TreeEntry {
                directory,
                name: entry.name.clone(),
                metadata,
            });
            let opacity = match entry.metadata.is_directory() {
                true => Some(opacity(&*entry.directory, &entry.name, &path)?),
                false => None,
            };
            // Contents and attributes are read through the view, so that overlay's own attributes stay hidden.
            let shown = TreeEntry { directory: Arc::clone(&level.view), ..entry.clone() };
            let kind = match &lower {
                None => Some(ChangeKind::Add),
                Some(lower) if is_same(&level.path, lower, &shown)? => None,
                Some(_) => Some(ChangeKind::Modify),
            };
            let parent = level.parent.clone();
            if let Some(opacity) = opacity {
                let itself = Arc::new(Parent { entry: shown.clone(), parent: parent.clone() });
                self.descend(opacity, path.clone(), &entry, lower.as_ref(), itself)?;
            }
            if let Some(kind) = kind {
                return Ok(Some(Change::present(kind, path, shown, parent)));
            }
        }
    }

    fn descend(
        &mut self,
        opacity: Opacity,
        path: Vec<u8>,
        entry: &TreeEntry,
        lower: Option<&TreeEntry>,
        itself: Arc<Parent>,
    ) -> Result<(), Error> {
        let part = Part { directory: entry.open()?, xattr_whiteouts: opacity == Opacity::XattrWhiteouts };
        let base = lower.filter(|lower| lower.metadata.is_directory()).map(TreeEntry::open).transpose()?;
        if opacity == Opacity::Opaque && lower.is_some() {
            let view = part.alone(path.clone());
            self.nested = Some(DoubleWalk::of(Pair::open(path, base, view, Some(itself)))?);
        } else {
            self.levels.push(Level::new(path, part, base, Some(itself))?);
        }
        Ok(())
    }
}

impl Iterator for OverlayUpper {
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
