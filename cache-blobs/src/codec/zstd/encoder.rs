//! The block encoder of zstd.

use std::fmt;
use std::sync::Arc;

use ::zstd::zstd_safe::{CCtx, compress_bound};
use cache_core::Result;

use super::{BLOCK_BYTES, OUR_LEVEL, frame};
use crate::codec::block_bytes::BlockBytes;
use crate::codec::contexts::Contexts;
use crate::codec::encoder::{Block, BlockEncoder, Encoded, Sequence};

/// Makes one frame of each block.
pub(super) struct ZstdEncoder {
    level: i32,
    contexts: Arc<Contexts<CCtx<'static>>>,
}

impl ZstdEncoder {
    /// An encoder of `level` that borrows its contexts from `contexts`.
    pub(super) fn new(level: i32, contexts: Arc<Contexts<CCtx<'static>>>) -> Self {
        Self { level, contexts }
    }
}

impl BlockEncoder for ZstdEncoder {
    fn block_bytes(&self) -> usize {
        BLOCK_BYTES
    }

    fn encoded_bound(&self) -> usize {
        compress_bound(BLOCK_BYTES)
    }

    fn sequence(&self) -> Option<Box<dyn Sequence>> {
        None
    }

    fn encode(&self, block: &mut Block) -> Result<Encoded> {
        let compress = |context: &mut CCtx<'static>| {
            let mut bytes = BlockBytes::with_capacity(compress_bound(block.bytes.len()));
            frame::append(context, &block.bytes, &mut bytes)?;
            Ok(bytes)
        };
        let context = || match self.level {
            OUR_LEVEL => frame::fast_context(),
            level => frame::context(level),
        };
        Ok(Encoded { bytes: self.contexts.lend(context, compress)?, notes: None })
    }
}

impl fmt::Debug for ZstdEncoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ZstdEncoder").field("level", &self.level).field("contexts", &self.contexts).finish()
    }
}
