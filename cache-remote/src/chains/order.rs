//! An order in which every record comes after those that it links to, kept while links are added.

use std::collections::HashSet;

use super::graph::{Graph, ItemId};

impl Graph {
    /// Whether `to` depends on `from`, or is it.
    pub(super) fn leads(&self, from: ItemId, to: ItemId) -> bool {
        let limit = self.order(to);
        self.order(from) <= limit && self.forward(from, limit).contains(&to)
    }

    pub(super) fn order(&self, item: ItemId) -> u32 {
        self.items[item.index()].order
    }

    /// Orders `source` before `child`; false if that cannot be, because `source` depends on `child` or is it.
    ///
    /// Only records between the two can be in the way, so nearly always nothing is visited: a link from an earlier
    /// record to a later one is in order already. Mirrors: Pearce and Kelly, "A dynamic topological sort algorithm for
    /// directed acyclic graphs" (2006).
    pub(super) fn put_before(&mut self, source: ItemId, child: ItemId) -> bool {
        let (low, high) = (self.order(child), self.order(source));
        if high < low {
            return true;
        }
        let after = self.forward(child, high);
        if after.contains(&source) {
            return false;
        }
        let before = self.backward(source, low);
        let sorted = |set: HashSet<ItemId>| {
            let mut items: Vec<_> = set.into_iter().collect();
            items.sort_by_key(|item| self.order(*item));
            items
        };
        let items: Vec<_> = sorted(before).into_iter().chain(sorted(after)).collect();
        let mut places: Vec<_> = items.iter().map(|item| self.order(*item)).collect();
        places.sort();
        for (item, place) in items.into_iter().zip(places) {
            self.items[item.index()].order = place;
        }
        true
    }

    /// `from` and what depends on it, as far as its place is at most `limit`.
    fn forward(&self, from: ItemId, limit: u32) -> HashSet<ItemId> {
        let mut found = HashSet::from([from]);
        let mut queue = vec![from];
        while let Some(item) = queue.pop() {
            for child in &self.items[item.index()].children {
                if self.order(*child) <= limit && found.insert(*child) {
                    queue.push(*child);
                }
            }
        }
        found
    }

    /// `from` and what it depends on, as far as its place is at least `limit`.
    fn backward(&self, from: ItemId, limit: u32) -> HashSet<ItemId> {
        let mut found = HashSet::from([from]);
        let mut queue = vec![from];
        while let Some(item) = queue.pop() {
            for (source, _) in self.items[item.index()].slots.iter().flatten() {
                if self.order(*source) >= limit && found.insert(*source) {
                    queue.push(*source);
                }
            }
        }
        found
    }
}
