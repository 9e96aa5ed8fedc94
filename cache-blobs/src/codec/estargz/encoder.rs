//! The block encoder of eStargz.

use cache_core::{Error, ErrorKind, Result};

use super::sequence::TocSequence;
use crate::codec::encoder::{Block, BlockEncoder, Encoded, Sequence};
use crate::codec::gzip::{BLOCK_BYTES, DeflatersAt, member};
use crate::codec::toc::{Done, DoneCut, Plan};

/// A payload has a header block before it and takes at least a block, so cuts are so many bytes apart.
const BYTES_PER_CUT: usize = 2 * crate::tar::TAR_BLOCK_BYTES;

/// Makes members of each block, one more at each chunk that begins in it.
#[derive(Debug)]
pub(super) struct EstargzEncoder {
    deflaters: DeflatersAt,
    encoded_bound: usize,
}

impl EstargzEncoder {
    /// An encoder that borrows its compressors from `deflaters`.
    pub(super) fn new(deflaters: DeflatersAt) -> Result<Self> {
        let encoded_bound = deflaters.lend(|deflater| {
            // What deflate adds to a block grows with its bytes, plus something for each member.
            let members = BLOCK_BYTES / BYTES_PER_CUT + 1;
            Ok(member::bound(deflater, BLOCK_BYTES) + members * member::bound(deflater, 1))
        })?;
        Ok(Self { deflaters, encoded_bound })
    }
}

impl BlockEncoder for EstargzEncoder {
    fn block_bytes(&self) -> usize {
        BLOCK_BYTES
    }

    fn encoded_bound(&self) -> usize {
        self.encoded_bound
    }

    fn sequence(&self) -> Option<Box<dyn Sequence>> {
        Some(Box::new(TocSequence::new(self.deflaters.clone())))
    }

    fn encode(&self, block: &mut Block) -> Result<Encoded> {
        let plan = block.plan.take().and_then(|plan| plan.downcast::<Plan>().ok()).unwrap_or_default();
        let bytes = &block.bytes[..];
        self.deflaters.lend(|deflater| {
            let mut members = Vec::with_capacity(self.encoded_bound);
            let mut done = Done { cuts: Vec::with_capacity(plan.cuts.len()) };
            let mut from = 0;
            for cut in &plan.cuts {
                if cut.at > from {
                    member::append(deflater, part(bytes, from, cut.at)?, &mut members)?;
                    from = cut.at;
                }
                let digest = cut.digest(bytes).ok_or_else(another_block)?;
                done.cuts.push(DoneCut { at: members.len() as u64, digest });
            }
            member::append(deflater, part(bytes, from, bytes.len())?, &mut members)?;
            members.shrink_to_fit();
            Ok(Encoded { bytes: members.into(), notes: Some(Box::new(done)) })
        })
    }
}

fn part(bytes: &[u8], from: usize, to: usize) -> Result<&[u8]> {
    bytes.get(from..to).ok_or_else(another_block)
}

fn another_block() -> Error {
    Error::new(ErrorKind::Invalid, "encode eStargz", "a plan for another block")
}
