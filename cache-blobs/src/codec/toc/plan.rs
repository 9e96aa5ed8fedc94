//! What is to be done with a block, and what was done.

use cache_core::Digest;

/// Where members or frames begin in a block, besides at its beginning.
#[derive(Debug, Default)]
pub(in crate::codec) struct Plan {
    pub(in crate::codec) cuts: Vec<Cut>,
}

/// A place where a chunk begins or a file ends, so that a member or frame has to begin.
#[derive(Clone, Copy, Debug)]
pub(in crate::codec) struct Cut {
    /// Bytes of the block before it.
    pub(in crate::codec) at: usize,
    /// Bytes of the chunk, if all of it is in the block: then who encodes the block hashes it.
    pub(in crate::codec) whole: Option<usize>,
}

impl Cut {
    /// The digest of the chunk that begins here, if it is for the encoder of `block` to take; `None` if `block` is another one.
    pub(in crate::codec) fn digest(&self, block: &[u8]) -> Option<Option<Digest>> {
        let Some(length) = self.whole else { return Some(None) };
        block.get(self.at..self.at.checked_add(length)?).map(|chunk| Some(Digest::of(chunk)))
    }
}

/// Where the cuts of a block went, in their order.
#[derive(Debug, Default)]
pub(in crate::codec) struct Done {
    pub(in crate::codec) cuts: Vec<DoneCut>,
}

/// Where a cut went.
#[derive(Clone, Copy, Debug)]
pub(in crate::codec) struct DoneCut {
    /// Bytes of the encoded block before it.
    pub(in crate::codec) at: u64,
    /// The chunk's digest, where it was asked for.
    pub(in crate::codec) digest: Option<Digest>,
}
