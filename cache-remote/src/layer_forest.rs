//! Chains of blobs that share what lies below them.

use std::collections::HashMap;

use cache_core::{Digest, DigestHasher};

use cache_blobs::remote::{Remote, RemoteLayer};

/// A chain of blobs, named by its top. Equal chains have equal ids, so a blob on two different parents is two nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct NodeId(u32);

impl NodeId {
    pub(crate) fn index(self) -> usize {
        self.0 as usize
    }
}

#[derive(Clone, Copy, Debug)]
struct Node {
    blob: u32,
    parent: Option<NodeId>,
    length: u32,
}

/// All chains of a cache. Results that share layers share nodes, so that a cache takes memory for its layers and not
/// for layers times results.
#[derive(Clone, Debug, Default)]
pub(crate) struct LayerForest {
    blobs: Vec<RemoteLayer>,
    by_digest: HashMap<Digest, u32>,
    nodes: Vec<Node>,
    by_place: HashMap<(Option<NodeId>, u32), NodeId>,
}

impl LayerForest {
    /// The chain of `layer` on `parent`. Of a blob that comes twice the first descriptor and provider count.
    pub(crate) fn put(&mut self, parent: Option<NodeId>, layer: &RemoteLayer) -> NodeId {
        let blob = *self.by_digest.entry(layer.layer.descriptor.digest).or_insert_with(|| {
            self.blobs.push(layer.clone());
            index(self.blobs.len() - 1)
        });
        let length = parent.map_or(0, |parent| self.nodes[parent.index()].length) + 1;
        *self.by_place.entry((parent, blob)).or_insert_with(|| {
            self.nodes.push(Node { blob, parent, length });
            NodeId(index(self.nodes.len() - 1))
        })
    }

    /// The chain of all layers of `remote`; `None` if it has none.
    pub(crate) fn put_remote(&mut self, remote: &Remote) -> Option<NodeId> {
        remote.layers().iter().fold(None, |parent, layer| Some(self.put(parent, layer)))
    }

    /// How many nodes there are. A node's parent has a lower index than the node.
    pub(crate) fn len(&self) -> usize {
        self.nodes.len()
    }

    pub(crate) fn nodes(&self) -> impl Iterator<Item = NodeId> {
        (0..self.nodes.len()).map(|at| NodeId(index(at)))
    }

    pub(crate) fn layer(&self, node: NodeId) -> &RemoteLayer {
        &self.blobs[self.nodes[node.index()].blob as usize]
    }

    pub(crate) fn digest(&self, node: NodeId) -> Digest {
        self.layer(node).layer.descriptor.digest
    }

    pub(crate) fn parent(&self, node: NodeId) -> Option<NodeId> {
        self.nodes[node.index()].parent
    }

    pub(crate) fn length(&self, node: NodeId) -> usize {
        self.nodes[node.index()].length as usize
    }

    /// The chain of `node`, top first.
    pub(crate) fn down(&self, node: NodeId) -> impl Iterator<Item = NodeId> + '_ {
        std::iter::successors(Some(node), |node| self.parent(*node))
    }

    /// The chain of `node` as a remote.
    pub(crate) fn remote(&self, node: NodeId) -> Remote {
        let mut layers: Vec<_> = self.down(node).map(|node| self.layer(node).clone()).collect();
        layers.reverse();
        Remote::new(layers)
    }

    /// A digest for every chain, in the order of [`nodes`](Self::nodes): of its blob and the digest of the chain below.
    pub(crate) fn chain_digests(&self) -> Vec<Digest> {
        let mut digests: Vec<Digest> = Vec::with_capacity(self.nodes.len());
        for node in self.nodes() {
            let mut hasher = DigestHasher::default();
            hasher.update(b"layercache chain\0");
            hasher.update(self.digest(node).to_string().as_bytes());
            if let Some(parent) = self.parent(node) {
                hasher.update(digests[parent.index()].as_bytes());
            }
            digests.push(hasher.finish());
        }
        digests
    }

    /// For every node of `wanted` its place in the canonical order, which compares blobs from the top down; a chain comes
    /// before the same chain with more below. Nodes that are not wanted have no meaningful place.
    ///
    /// Ranks by the top 2^k blobs give those by the top 2^(k+1), so that not even a hundred thousand equal blobs on top
    /// of each other take quadratic time.
    pub(crate) fn ranks(&self, wanted: &[NodeId]) -> Vec<u32> {
        let mut by_digest: Vec<_> = self.nodes().collect();
        by_digest.sort_by_key(|node| self.digest(*node));
        let mut ranks = vec![0; self.nodes.len()];
        let mut distinct = assign(&by_digest, &mut ranks, |a, b| self.digest(a) == self.digest(b));
        let mut jumps: Vec<Option<NodeId>> = self.nodes.iter().map(|node| node.parent).collect();
        let mut seen = vec![false; self.nodes.len()];
        while distinct < self.nodes.len() && has_ties(wanted, &ranks, &mut seen) {
            let key = |node: NodeId| (ranks[node.index()], jumps[node.index()].map(|below| ranks[below.index()]));
            by_digest.sort_by_key(|node| key(*node));
            let mut next = vec![0; self.nodes.len()];
            distinct = assign(&by_digest, &mut next, |a, b| key(a) == key(b));
            ranks = next;
            jumps = jumps.iter().map(|below| below.and_then(|below| jumps[below.index()])).collect();
        }
        ranks
    }
}

/// Gives nodes their ranks in the order of `sorted`; how many distinct ones there are.
fn assign(sorted: &[NodeId], ranks: &mut [u32], equal: impl Fn(NodeId, NodeId) -> bool) -> usize {
    let mut rank = 0;
    for pair in 0..sorted.len() {
        if pair > 0 && !equal(sorted[pair - 1], sorted[pair]) {
            rank += 1;
        }
        ranks[sorted[pair].index()] = rank;
    }
    rank as usize + usize::from(!sorted.is_empty())
}

fn has_ties(wanted: &[NodeId], ranks: &[u32], seen: &mut [bool]) -> bool {
    seen.fill(false);
    wanted.iter().any(|node| std::mem::replace(&mut seen[ranks[node.index()] as usize], true))
}

fn index(index: usize) -> u32 {
    u32::try_from(index).expect("fewer layers than 2^32 fit in memory")
}
