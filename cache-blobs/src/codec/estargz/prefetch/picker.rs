//! Taking prioritised entries, and before each what it needs.

use super::archive::Archive;

/// Entries of an archive in the order in which they were taken. Mirrors: stargz-snapshotter `estargz/build.go`, `moveRec`.
#[derive(Debug)]
pub(super) struct Picker<'a> {
    archive: &'a Archive,
    picked: Vec<usize>,
    seen: Vec<bool>,
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Look(usize),
    Take(usize),
}

impl<'a> Picker<'a> {
    pub(super) fn new(archive: &'a Archive) -> Self {
        Self { archive, picked: Vec::new(), seen: vec![false; archive.len()] }
    }

    /// Takes `entry` after what it [needs](Archive::needs), and what that needs. What was taken stays where it is.
    pub(super) fn pick(&mut self, entry: usize) {
        let mut steps = vec![Step::Look(entry)];
        while let Some(step) = steps.pop() {
            match step {
                Step::Take(entry) => self.picked.push(entry),
                Step::Look(entry) => {
                    // Of links in a circle each one is looked at once, too.
                    let Some(seen) = self.seen.get_mut(entry).filter(|seen| !**seen) else { continue };
                    *seen = true;
                    steps.push(Step::Take(entry));
                    // The last one in is the first one out.
                    steps.extend(self.archive.needs(entry).into_iter().rev().flatten().map(Step::Look));
                }
            }
        }
    }

    /// What was picked, in its order.
    pub(super) fn picked(&self) -> &[usize] {
        &self.picked
    }

    /// Whether `entry` was picked.
    pub(super) fn has(&self, entry: usize) -> bool {
        self.seen.get(entry).copied().unwrap_or_default()
    }
}
