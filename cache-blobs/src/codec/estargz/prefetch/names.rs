//! The names of a tar as a tree, so that a name costs what is new of it, and asking for it no more than its length.

use std::collections::BTreeMap;
use std::sync::Arc;

use cache_core::{Error, ErrorKind, Result};

/// The number of a name.
pub(super) type Name = usize;

/// What every name begins with.
const ROOT: Name = 0;

/// Bytes that a name is taken to need in memory besides its last part, with the entry that has it.
const NAME_BYTES: u64 = 192;

/// Names, and which entry has each.
#[derive(Debug)]
pub(super) struct Names {
    nodes: Vec<Node>,
    maximum: u64,
    bytes: u64,
}

#[derive(Debug)]
struct Node {
    parent: Name,
    part: Arc<[u8]>,
    children: BTreeMap<Arc<[u8]>, Name>,
    entry: Option<usize>,
}

impl Names {
    /// No names, and room for so many bytes of them.
    pub(super) fn new(maximum: u64) -> Self {
        let root = Node { parent: ROOT, part: Arc::default(), children: BTreeMap::new(), entry: None };
        Self { nodes: vec![root], maximum, bytes: 0 }
    }

    /// The name that `path` means: no leading or trailing slash, no `.`, and `..` taken back, never above the root.
    ///
    /// Mirrors: stargz-snapshotter `estargz/build.go`, `cleanEntryName`.
    ///
    /// # Errors
    /// `LimitExceeded`.
    pub(super) fn add(&mut self, path: &[u8]) -> Result<Name> {
        let mut name = ROOT;
        for part in path.split(|byte| *byte == b'/') {
            name = match self.step(name, part) {
                Some(next) => next,
                None => self.add_child(name, part)?,
            };
        }
        Ok(name)
    }

    /// The same of a path that may be no name here.
    pub(super) fn find(&self, path: &[u8]) -> Option<Name> {
        // How many parts below `name` the path is where nothing is known.
        let (mut name, mut beyond) = (ROOT, 0_usize);
        for part in path.split(|byte| *byte == b'/') {
            match (self.step(name, part), part) {
                (_, b"..") if beyond > 0 => beyond -= 1,
                (_, b"" | b".") => {}
                (Some(next), _) if beyond == 0 => name = next,
                _ => beyond += 1,
            }
        }
        (beyond == 0).then_some(name)
    }

    /// Whether `name` is that of the root.
    pub(super) fn is_root(name: Name) -> bool {
        name == ROOT
    }

    /// Whether `name` is `part` in the root.
    pub(super) fn is_in_root(&self, name: Name, part: &str) -> bool {
        self.nodes.get(name).is_some_and(|node| name != ROOT && node.parent == ROOT && *node.part == *part.as_bytes())
    }

    /// The last entry that has `name`.
    pub(super) fn entry(&self, name: Name) -> Option<usize> {
        self.nodes.get(name)?.entry
    }

    /// Gives `name` to `entry`, and tells which one had it.
    pub(super) fn set_entry(&mut self, name: Name, entry: usize) -> Option<usize> {
        self.nodes.get_mut(name)?.entry.replace(entry)
    }

    /// The entry of the directory that `name` is in, or of the nearest one above it that has an entry.
    pub(super) fn entry_above(&self, name: Name) -> Option<usize> {
        let mut name = name;
        while name != ROOT {
            name = self.nodes.get(name)?.parent;
            if let Some(entry) = self.entry(name) {
                return Some(entry);
            }
        }
        None
    }

    /// The entry beside `name` that has `prefix` in front of the same last part.
    pub(super) fn entry_beside(&self, name: Name, prefix: &[u8]) -> Option<usize> {
        let node = self.nodes.get(name)?;
        let beside = self.nodes.get(node.parent)?.children.get(&[prefix, &*node.part].concat()[..])?;
        self.entry(*beside)
    }

    /// From `name` to `part` of it, if that is known.
    fn step(&self, name: Name, part: &[u8]) -> Option<Name> {
        let node = self.nodes.get(name)?;
        match part {
            b"" | b"." => Some(name),
            b".." => Some(node.parent),
            part => node.children.get(part).copied(),
        }
    }

    fn add_child(&mut self, parent: Name, part: &[u8]) -> Result<Name> {
        self.bytes = self.bytes.saturating_add(NAME_BYTES + part.len() as u64);
        if self.bytes > self.maximum {
            let what = format_args!("a tar whose names take more than {} bytes (index_bytes)", self.maximum);
            return Err(Error::new(ErrorKind::LimitExceeded, "reorder", what));
        }
        let (name, part) = (self.nodes.len(), Arc::<[u8]>::from(part));
        if let Some(node) = self.nodes.get_mut(parent) {
            node.children.insert(Arc::clone(&part), name);
        }
        self.nodes.push(Node { parent, part, children: BTreeMap::new(), entry: None });
        Ok(name)
    }
}
