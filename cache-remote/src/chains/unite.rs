//! Making one record of several that are found to be equal.

use super::graph::{Edge, Graph, Item, ItemId, Way, number};

impl Graph {
    /// Makes one record of each pair of `twins`, unless one depends on the other, and then of the twins that this makes
    /// among what depends on them. Of two records the first one added takes in the other.
    pub(super) fn unite(&mut self, mut twins: Vec<(ItemId, ItemId)>, absorbed: &mut Vec<(ItemId, ItemId)>) {
        twins.reverse();
        while let Some((a, b)) = twins.pop() {
            let (a, b) = (self.living(a), self.living(b));
            let (main, other) = (a.min(b), a.max(b));
            if main == other || self.leads(main, other) || self.leads(other, main) {
                continue;
            }
            for child in self.absorb(main, other) {
                twins.extend(self.twins(child, main).into_iter().map(|twin| (child, twin)));
            }
            absorbed.push((main, other));
        }
    }

    /// The records that share a link of every input with `child`, one of them from `source`.
    fn twins(&self, child: ItemId, source: ItemId) -> Vec<ItemId> {
        let Item { digest, slots, .. } = &self.items[child.index()];
        let links = slots.iter().enumerate().flat_map(|(slot, links)| links.iter().map(move |link| (slot, *link)));
        let ways = links.filter(|(_, (from, _))| *from == source).filter_map(|(slot, (_, selector))| {
            self.ways.get(&Way { source, digest: *digest, slot: number(slot), selector })
        });
        let shares = |other: &ItemId| {
            *other != child
                && self.items[other.index()].slots.len() == slots.len()
                && slots.iter().enumerate().all(|(slot, links)| {
                    links.iter().any(|(source, selector)| {
                        let (source, selector) = (*source, *selector);
                        self.edges.contains(&Edge { source, slot: number(slot), selector, child: *other })
                    })
                })
        };
        let mut twins: Vec<_> = ways.flatten().copied().filter(shares).collect();
        twins.sort();
        twins.dedup();
        twins
    }

    /// Makes `other` a part of `main`; gives the records that linked to it. Neither depends on the other.
    fn absorb(&mut self, main: ItemId, other: ItemId) -> Vec<ItemId> {
        let slots = std::mem::take(&mut self.items[other.index()].slots);
        for (slot, links) in slots.iter().enumerate() {
            for (source, selector) in links {
                self.unlink(Edge { source: *source, slot: number(slot), selector: *selector, child: other });
                self.link(Edge { source: *source, slot: number(slot), selector: *selector, child: main });
            }
        }
        let mut children = std::mem::take(&mut self.items[other.index()].children);
        children.sort();
        children.dedup();
        for child in &children {
            let child = *child;
            let slots = self.items[child.index()].slots.clone();
            for (slot, links) in slots.iter().enumerate() {
                for (source, selector) in links.iter().filter(|(source, _)| *source == other) {
                    let edge = Edge { source: *source, slot: number(slot), selector: *selector, child };
                    self.unlink(edge);
                    self.link(Edge { source: main, ..edge });
                }
            }
        }
        self.items[other.index()].absorbed = Some(main);
        children
    }
}
