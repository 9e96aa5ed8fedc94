//! The block encoder of zstd:chunked.

use std::fmt;
use std::sync::Arc;

use ::zstd::zstd_safe::{CCtx, compress_bound};
use cache_core::{Error, ErrorKind, Result};

use super::sequence::ManifestSequence;
use super::{BLOCK_BYTES, ROLLING_CUTS_PER_BLOCK};
use crate::codec::block_bytes::BlockBytes;
use crate::codec::contexts::Contexts;
use crate::codec::encoder::{Block, BlockEncoder, Encoded, Sequence};
use crate::codec::toc::{Done, DoneCut, Plan};
use crate::codec::zstd::frame;
use crate::tar::TAR_BLOCK_BYTES;

/// A file has a header block before it and takes at least a block, and a run of zeros is as long: so many bytes have at most two
/// cuts, where it begins and where it ends.
const BYTES_PER_TWO_CUTS: usize = 2 * TAR_BLOCK_BYTES;

/// Makes frames of each block, one more at each cut.
pub(super) struct ZstdChunkedEncoder {
    level: i32,
    contexts: Arc<Contexts<CCtx<'static>>>,
}

impl ZstdChunkedEncoder {
    /// An encoder of `level` that borrows its contexts from `contexts`.
    pub(super) fn new(level: i32, contexts: Arc<Contexts<CCtx<'static>>>) -> Self {
        Self { level, contexts }
    }
}

impl BlockEncoder for ZstdChunkedEncoder {
    fn block_bytes(&self) -> usize {
        BLOCK_BYTES
    }

    /// What zstd adds to a block grows with its bytes, plus something for each frame.
    fn encoded_bound(&self) -> usize {
        let frames = 2 * (BLOCK_BYTES / BYTES_PER_TWO_CUTS + 1) + ROLLING_CUTS_PER_BLOCK + 1;
        compress_bound(BLOCK_BYTES) + frames * compress_bound(1)
    }

    fn sequence(&self) -> Option<Box<dyn Sequence>> {
        Some(Box::new(ManifestSequence::new(self.level)))
    }

    fn encode(&self, block: &mut Block) -> Result<Encoded> {
        let plan = block.plan.take().and_then(|plan| plan.downcast::<Plan>().ok()).unwrap_or_default();
        let bytes = &block.bytes[..];
        let encode = |context: &mut CCtx<'static>| {
            let room = compress_bound(bytes.len()) + (plan.cuts.len() + 1) * compress_bound(1);
            let mut frames = BlockBytes::with_capacity(room);
            let mut done = Done { cuts: Vec::with_capacity(plan.cuts.len()) };
            let mut from = 0;
            for cut in &plan.cuts {
                if cut.at > from {
                    frame::append(context, bytes.get(from..cut.at).ok_or_else(another_block)?, &mut frames)?;
                    from = cut.at;
                }
                let digest = cut.digest(bytes).ok_or_else(another_block)?;
                done.cuts.push(DoneCut { at: frames.len() as u64, digest });
            }
            if from < bytes.len() || bytes.is_empty() {
                frame::append(context, bytes.get(from..).ok_or_else(another_block)?, &mut frames)?;
            }
            Ok(Encoded { bytes: frames, notes: Some(Box::new(done)) })
        };
        self.contexts.lend(|| frame::context(self.level), encode)
    }
}

fn another_block() -> Error {
    Error::new(ErrorKind::Invalid, "encode zstd:chunked", "a plan for another block")
}

impl fmt::Debug for ZstdChunkedEncoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ZstdChunkedEncoder").field("level", &self.level).field("contexts", &self.contexts).finish()
    }
}
