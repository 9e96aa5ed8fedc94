//! What is to be done with a block, and what was done.

use cache_core::Digest;

/// Where members begin in a block, besides at its beginning.
#[derive(Debug, Default)]
pub(super) struct Plan {
    pub(super) cuts: Vec<Cut>,
}

/// A place where a chunk begins, so that a member has to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cut {
    /// Bytes of the block before it.
    pub(super) at: usize,
    /// Bytes of the chunk, if all of it is in the block: then who encodes the block hashes it.
    pub(super) whole: Option<usize>,
}

/// Where the chunks of a block went, in their order.
#[derive(Debug, Default)]
pub(super) struct Done {
    pub(super) chunks: Vec<DoneChunk>,
}

/// Where a chunk went.
#[derive(Clone, Copy, Debug)]
pub(super) struct DoneChunk {
    /// Bytes of the encoded block before it.
    pub(super) at: u64,
    /// Its digest, where it was asked for.
    pub(super) digest: Option<Digest>,
}
