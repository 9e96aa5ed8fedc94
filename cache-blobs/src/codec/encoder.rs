//! The two shapes of an encoder: independent blocks, and one stream.

use std::any::Any;
use std::fmt::Debug;
use std::sync::Arc;

use cache_core::{Annotations, Digest, DigestHasher, Result};

use super::block_bytes::BlockBytes;

/// Encodes one layer.
#[derive(Debug)]
#[non_exhaustive]
pub enum Encoder {
    /// The tar is the blob, and its DiffID the blob's digest: nothing is encoded and nothing is hashed twice.
    Identity,
    /// Blocks that are encoded on any worker in any order, and whose outputs follow each other in the order of the tar.
    Blocks(Arc<dyn BlockEncoder>),
    /// One encoder that gets the whole tar in order, a piece at a time.
    Stream(Box<dyn StreamEncoder>),
}

/// A piece of the tar.
#[derive(Debug, Default)]
pub struct Block {
    /// Bytes of tar before it.
    pub offset: u64,
    /// Its bytes: [`block_bytes`](BlockEncoder::block_bytes), fewer in the last one. The only block of an empty tar is empty.
    pub bytes: BlockBytes,
    /// What the encoder's own [`Sequence`] wants to be done with it.
    pub plan: Option<Notes>,
}

/// What a block encoder and its [`Sequence`] tell each other of one block, such as where its parts begin.
pub type Notes = Box<dyn Any + Send + Sync>;

/// The outcome of one block.
#[derive(Debug, Default)]
pub struct Encoded {
    /// The bytes that stand for it in the blob.
    pub bytes: BlockBytes,
    /// For the encoder's own [`Sequence`].
    pub notes: Option<Notes>,
}

/// Encodes blocks independently of each other. One encoder serves all workers at once.
pub trait BlockEncoder: Send + Sync + Debug + 'static {
    /// Bytes of tar in a block; more than zero. Memory is reserved by it.
    fn block_bytes(&self) -> usize;

    /// The most bytes that a block can become. Memory is reserved by it, and an outcome that exceeds it is refused.
    fn encoded_bound(&self) -> usize;

    /// What follows the layer in order beside the workers; `None` if blocks are all there is to the blob. It is asked for
    /// once per encoder.
    fn sequence(&self) -> Option<Box<dyn Sequence>>;

    /// Encodes one block, whose bytes and plan it may take; the memory of bytes that it leaves is used for another block.
    ///
    /// # Errors
    /// The library's own failures.
    fn encode(&self, block: &mut Block) -> Result<Encoded>;
}

/// The part of a block-shaped encoder that sees everything in the order of the tar: it digests files, keeps a table of
/// contents, and ends the blob. Its calls come from one thread.
pub trait Sequence: Send + Sync + Debug + 'static {
    /// Sees a block before it is encoded, and may add a [`plan`](Block::plan) for its encoder.
    ///
    /// # Errors
    /// Refuses the tar: `Invalid` or `Corrupt`.
    fn block(&mut self, block: &mut Block) -> Result<()>;

    /// Sees where a block went.
    ///
    /// # Errors
    /// The implementation's own failures.
    fn encoded(&mut self, encoded: EncodedBlock) -> Result<()>;

    /// Ends the blob, after every block was seen encoded.
    ///
    /// # Errors
    /// The implementation's own failures.
    fn finish(self: Box<Self>, total: TarTotal) -> Result<Ending>;
}

/// Where a block went.
#[derive(Debug)]
pub struct EncodedBlock {
    /// Bytes of blob before it.
    pub blob_offset: u64,
    /// Its bytes in the blob.
    pub blob_bytes: u64,
    /// What the block encoder tells of it.
    pub notes: Option<Notes>,
}

/// Encodes a tar as one stream. Its calls come one after the other, from any worker.
pub trait StreamEncoder: Send + Sync + Debug + 'static {
    /// Bytes of tar that it takes at a time; more than zero. Memory is reserved by it.
    fn block_bytes(&self) -> usize;

    /// The most bytes that one call of [`encode`](Self::encode) gives. Memory is reserved by it, and an outcome that exceeds it
    /// is refused.
    fn encoded_bound(&self) -> usize;

    /// Takes the next piece, as [`BlockEncoder::encode`] does, and gives the bytes of the blob that are ready.
    ///
    /// # Errors
    /// The implementation's own failures.
    fn encode(&mut self, block: &mut Block) -> Result<Vec<u8>>;

    /// Ends the blob; what was not given yet is in [`Ending::trailer`].
    ///
    /// # Errors
    /// The implementation's own failures.
    fn finish(self: Box<Self>, total: TarTotal) -> Result<Ending>;
}

/// The tar and the blob when all of the tar is encoded.
#[derive(Clone, Debug)]
pub struct TarTotal {
    /// The hasher that has seen the tar: a codec whose DiffID covers more than the tar goes on from it.
    pub hasher: DigestHasher,
    /// Length of the tar in bytes.
    pub tar_bytes: u64,
    /// Length of the blob so far in bytes.
    pub blob_bytes: u64,
}

/// How a blob ends.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ending {
    /// Bytes that end the blob. They are held whole, outside of the byte budget.
    pub trailer: Vec<u8>,
    /// Annotations of the layer's descriptor.
    pub annotations: Annotations,
    /// What the DiffID is.
    pub diff_id: DiffIdRule,
}

/// What the DiffID of a layer is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DiffIdRule {
    /// The digest of the tar.
    #[default]
    OfTar,
    /// The codec's own: decoding gives more than the tar, as with eStargz, whose table of contents counts.
    Own {
        /// The digest of what decoding gives.
        diff_id: Digest,
        /// Its length in bytes.
        uncompressed_bytes: u64,
    },
    /// The digest of the blob, as with Nydus.
    OfBlob,
}
