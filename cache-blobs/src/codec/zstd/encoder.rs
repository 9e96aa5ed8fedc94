//! The block encoder of zstd.

use std::fmt;
use std::sync::Arc;

use ::zstd::zstd_safe::{CCtx, CParameter, ErrorCode, compress_bound, get_error_name};
use cache_core::{Error, ErrorKind, Result};

use super::{BLOCK_BYTES, WINDOW_LOG};
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

    /// A context that writes the frame's size, which is the library's default, and a checksum: four bytes a frame by which
    /// any reader finds damage, also one that does not know the blob's digest.
    fn context(&self) -> Result<CCtx<'static>> {
        let mut context =
            CCtx::try_create().ok_or_else(|| Error::new(ErrorKind::Unavailable, "create", "a zstd context"))?;
        let parameters = [
            CParameter::CompressionLevel(self.level),
            CParameter::WindowLog(WINDOW_LOG),
            CParameter::ChecksumFlag(true),
        ];
        for parameter in parameters {
            context.set_parameter(parameter).map_err(failure)?;
        }
        Ok(context)
    }
}

fn failure(code: ErrorCode) -> Error {
    Error::new(ErrorKind::Unavailable, "compress", "a zstd frame").with_source(get_error_name(code))
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

    fn encode(&self, block: Block) -> Result<Encoded> {
        let compress = |context: &mut CCtx<'static>| {
            let mut frame = Vec::with_capacity(compress_bound(block.bytes.len()));
            context.compress2(&mut frame, &block.bytes).map_err(failure)?;
            frame.shrink_to_fit();
            Ok(frame)
        };
        Ok(Encoded { bytes: self.contexts.lend(|| self.context(), compress)?, notes: None })
    }
}

impl fmt::Debug for ZstdEncoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ZstdEncoder").field("level", &self.level).field("contexts", &self.contexts).finish()
    }
}
