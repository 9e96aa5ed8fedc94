//! Records and links in an arena that has no loops and finds equals.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use cache_core::Digest;

use super::intern::Interner;

/// A record's place in the arena.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct ItemId(u32);

impl ItemId {
    pub(crate) fn index(self) -> usize {
        self.0 as usize
    }
}

#[derive(Debug)]
pub(super) struct Item {
    pub(super) digest: u32,
    /// For each input where it comes from, with the selector.
    pub(super) slots: Vec<Vec<(ItemId, u32)>>,
    /// Records that link to this one; some several times, when they do so by several links.
    pub(super) children: Vec<ItemId>,
    /// A place in an order in which every record comes after those that it links to.
    pub(super) order: u32,
    /// The record that this one became a part of.
    pub(super) absorbed: Option<ItemId>,
}

/// Where a link with some selector leads, for records of some digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Way {
    pub(super) source: ItemId,
    pub(super) digest: u32,
    pub(super) slot: u32,
    pub(super) selector: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Edge {
    pub(super) source: ItemId,
    pub(super) slot: u32,
    pub(super) selector: u32,
    pub(super) child: ItemId,
}

/// What became of an added record.
pub(crate) struct Added {
    /// The record.
    pub(crate) item: ItemId,
    /// Records that became a part of others: into which one, and which one.
    pub(crate) absorbed: Vec<(ItemId, ItemId)>,
}

#[derive(Debug, Default)]
pub(crate) struct Graph {
    digests: Interner<Digest>,
    selectors: Interner<Arc<str>>,
    pub(super) items: Vec<Item>,
    roots: HashMap<u32, ItemId>,
    pub(super) ways: HashMap<Way, Vec<ItemId>>,
    pub(super) edges: HashSet<Edge>,
}

impl Graph {
    pub(crate) fn add(&mut self, digest: Digest, mut slots: Vec<Vec<(ItemId, u32)>>) -> Added {
        let digest = self.digests.number(&digest);
        if slots.is_empty() {
            if let Some(root) = self.roots.get(&digest) {
                return Added { item: *root, absorbed: Vec::new() };
            }
            let item = self.push(digest, 0);
            self.roots.insert(digest, item);
            return Added { item, absorbed: Vec::new() };
        }
        for slot in &mut slots {
            let mut seen = HashSet::new();
            slot.iter_mut().for_each(|link| link.0 = self.living(link.0));
            slot.retain(|link| seen.insert(*link));
        }
        let matches = self.matches(digest, &slots);
        let mut absorbed = Vec::new();
        let item = match self.main(&matches) {
            None => self.push(digest, slots.len()),
            Some(main) => {
                let twins = matches.into_iter().filter(|other| *other != main).map(|other| (main, other));
                self.unite(twins.collect(), &mut absorbed);
                self.living(main)
            }
        };
        for (slot, links) in slots.into_iter().enumerate() {
            for (source, selector) in links {
                let source = self.living(source);
                self.link(Edge { source, slot: number(slot), selector, child: item });
            }
        }
        Added { item, absorbed }
    }

    /// Adds one more link of `child`; false if it would close a loop.
    pub(crate) fn add_link(&mut self, source: ItemId, selector: &str, child: ItemId, slot: usize) -> bool {
        let selector = self.selector(selector);
        let (source, child) = (self.living(source), self.living(child));
        let edge = Edge { source, slot: number(slot), selector, child };
        self.link(edge);
        self.edges.contains(&edge)
    }

    /// The number of `selector`.
    pub(crate) fn selector(&mut self, selector: &str) -> u32 {
        self.selectors.number(selector)
    }

    pub(crate) fn selector_text(&self, selector: u32) -> &Arc<str> {
        self.selectors.value(selector)
    }

    /// How many places the arena has, those of absorbed records counted.
    pub(crate) fn len(&self) -> usize {
        self.items.len()
    }

    /// The records in the order in which they were first added.
    pub(crate) fn items(&self) -> impl Iterator<Item = ItemId> + '_ {
        (0..self.items.len()).filter(|at| self.items[*at].absorbed.is_none()).map(|at| ItemId(number(at)))
    }

    /// The records, each after those that it links to.
    pub(crate) fn sources_first(&self) -> Vec<ItemId> {
        let mut items: Vec<_> = self.items().collect();
        items.sort_by_key(|item| self.items[item.index()].order);
        items
    }

    pub(crate) fn digest(&self, item: ItemId) -> Digest {
        *self.digests.value(self.items[item.index()].digest)
    }

    pub(crate) fn slots(&self, item: ItemId) -> &[Vec<(ItemId, u32)>] {
        &self.items[item.index()].slots
    }

    /// The records of `digest` that `source` leads to by input `slot` with `selector`.
    pub(crate) fn follow(&self, source: ItemId, digest: &Digest, slot: u32, selector: &str) -> &[ItemId] {
        let way = || {
            let (digest, selector) = (self.digests.find(digest)?, self.selectors.find(selector)?);
            self.ways.get(&Way { source, digest, slot, selector })
        };
        way().map_or(&[], Vec::as_slice)
    }

    /// The record that `item` is now.
    pub(crate) fn living(&self, mut item: ItemId) -> ItemId {
        while let Some(main) = self.items[item.index()].absorbed {
            item = main;
        }
        item
    }

    fn push(&mut self, digest: u32, slots: usize) -> ItemId {
        let order = number(self.items.len());
        let slots = vec![Vec::new(); slots];
        self.items.push(Item { digest, slots, children: Vec::new(), order, absorbed: None });
        ItemId(order)
    }

    /// The records of `digest` that every slot leads to by at least one of its links. Candidates come from the slot that
    /// has the fewest, so that a common source costs nothing where another input tells records apart.
    fn matches(&self, digest: u32, slots: &[Vec<(ItemId, u32)>]) -> Vec<ItemId> {
        let ways = |slot: usize| {
            let slot_number = number(slot);
            slots[slot].iter().filter_map(move |(source, selector)| {
                self.ways.get(&Way { source: *source, digest, slot: slot_number, selector: *selector })
            })
        };
        let count = |slot: &usize| ways(*slot).map(Vec::len).sum::<usize>();
        let Some(narrowest) = (0..slots.len()).min_by_key(count) else { return Vec::new() };
        let mut candidates: Vec<_> = ways(narrowest).flatten().copied().collect();
        candidates.sort();
        candidates.dedup();
        candidates.retain(|child| {
            self.items[child.index()].slots.len() == slots.len()
                && slots.iter().enumerate().all(|(slot, links)| {
                    links.iter().any(|(source, selector)| {
                        let (source, selector) = (*source, *selector);
                        self.edges.contains(&Edge { source, slot: number(slot), selector, child: *child })
                    })
                })
        });
        candidates
    }

    /// The match that others are merged into: the first added one that depends on none of the others.
    fn main(&self, matches: &[ItemId]) -> Option<ItemId> {
        let independent = |item: &&ItemId| matches.iter().all(|other| other == *item || !self.leads(*other, **item));
        if matches.len() < 2 { matches.first().copied() } else { matches.iter().find(independent).copied() }
    }

    /// Adds a link, unless it is there or would close a loop.
    pub(super) fn link(&mut self, edge: Edge) {
        if self.edges.contains(&edge) || !self.put_before(edge.source, edge.child) {
            return;
        }
        let child = &mut self.items[edge.child.index()];
        let way = Way { source: edge.source, digest: child.digest, slot: edge.slot, selector: edge.selector };
        child.slots[edge.slot as usize].push((edge.source, edge.selector));
        self.ways.entry(way).or_default().push(edge.child);
        self.items[edge.source.index()].children.push(edge.child);
        self.edges.insert(edge);
    }

    pub(super) fn unlink(&mut self, edge: Edge) {
        self.edges.remove(&edge);
        let child = &mut self.items[edge.child.index()];
        let way = Way { source: edge.source, digest: child.digest, slot: edge.slot, selector: edge.selector };
        if let Some(links) = child.slots.get_mut(edge.slot as usize) {
            links.retain(|link| *link != (edge.source, edge.selector));
        }
        if let Some(children) = self.ways.get_mut(&way) {
            children.retain(|child| *child != edge.child);
            if children.is_empty() {
                self.ways.remove(&way);
            }
        }
        let children = &mut self.items[edge.source.index()].children;
        if let Some(at) = children.iter().position(|child| *child == edge.child) {
            children.swap_remove(at);
        }
    }
}

pub(super) fn number(index: usize) -> u32 {
    u32::try_from(index).expect("fewer records and inputs than 2^32 fit in memory")
}
