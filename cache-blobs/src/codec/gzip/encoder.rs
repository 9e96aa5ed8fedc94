//! The block encoder of gzip.

use cache_core::Result;

use super::deflaters::DeflatersAt;
use super::{BLOCK_BYTES, member};
use crate::codec::encoder::{Block, BlockEncoder, Encoded, Sequence};

/// Makes one member of each block.
#[derive(Debug)]
pub(super) struct GzipEncoder {
    deflaters: DeflatersAt,
    encoded_bound: usize,
}

impl GzipEncoder {
    /// An encoder that borrows its compressors from `deflaters`.
    pub(super) fn new(deflaters: DeflatersAt) -> Result<Self> {
        let encoded_bound = deflaters.lend(|deflater| Ok(member::bound(deflater, BLOCK_BYTES)))?;
        Ok(Self { deflaters, encoded_bound })
    }
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

    fn encode(&self, block: &mut Block) -> Result<Encoded> {
        let bytes = self.deflaters.lend(|deflater| member::compress(deflater, &block.bytes))?;
        Ok(Encoded { bytes: bytes.into(), notes: None })
    }
}
