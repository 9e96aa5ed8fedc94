//! The block encoder of gzip.

use std::fmt;
use std::sync::Arc;

use cache_core::{Error, ErrorKind, Result};
use libdeflater::{CompressionLvl, Compressor};

use super::{BLOCK_BYTES, member};
use crate::codec::contexts::Contexts;
use crate::codec::encoder::{Block, BlockEncoder, Encoded, Sequence};

/// Makes one member of each block.
pub(super) struct GzipEncoder {
    level: CompressionLvl,
    contexts: Arc<Contexts<Compressor>>,
    encoded_bound: usize,
}

impl GzipEncoder {
    /// An encoder of `level` that borrows its compressors from `contexts`.
    pub(super) fn new(level: i32, contexts: Arc<Contexts<Compressor>>) -> Result<Self> {
        let level = compression_level(level)?;
        let make = || Ok::<_, Error>(Compressor::new(level));
        let encoded_bound = contexts.lend(make, |compressor| Ok(member::bound(compressor, BLOCK_BYTES)))?;
        Ok(Self { level, contexts, encoded_bound })
    }
}

/// libdeflate's name of `level`.
pub(in crate::codec) fn compression_level(level: i32) -> Result<CompressionLvl> {
    CompressionLvl::new(level).map_err(|_| Error::new(ErrorKind::Invalid, "accept the gzip level", level))
}

impl BlockEncoder for GzipEncoder {
    fn block_bytes(&self) -> usize {
        BLOCK_BYTES
    }

    fn encoded_bound(&self) -> usize {
        self.encoded_bound
    }

    fn sequence(&self) -> Option<Box<dyn Sequence>> {
        None
    }

    fn encode(&self, block: Block) -> Result<Encoded> {
        let make = || Ok(Compressor::new(self.level));
        let bytes = self.contexts.lend(make, |compressor| member::compress(compressor, &block.bytes))?;
        Ok(Encoded { bytes, notes: None })
    }
}

impl fmt::Debug for GzipEncoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GzipEncoder").field("contexts", &self.contexts).finish_non_exhaustive()
    }
}
