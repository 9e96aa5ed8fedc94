//! The parts of a blob that can be decoded without each other.

use std::fmt::Debug;

use cache_core::Result;

/// What the bytes at some place of a blob begin with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// A piece of so many bytes, which says that it decodes to `tar_bytes` bytes. Both are within the bounds of the codec's own
    /// blocks, since memory is taken by what is said here.
    Piece {
        /// Bytes of the blob, at least 1 and all of them there.
        bytes: usize,
        /// Bytes of the tar.
        tar_bytes: usize,
    },
    /// This cannot be told before so many bytes are there, which are more than there were.
    More(usize),
    /// No piece: the codec's stream decoder takes over here and decodes the rest of the blob.
    Stream,
}

/// A piece that does not decode to what it said. The stream decoder takes over at its first byte, and gives whatever can be had of it
/// and the error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the piece is not what it says")]
pub struct Refused;

/// Cuts blobs into pieces. What comes of a blob is never anything else than what the codec's stream decoder makes of it.
pub trait Pieces: Send + Sync + Debug + 'static {
    /// What `ahead` begins with, by these bytes alone: `ahead` is the rest of a blob from its begin or from a piece's end on, as far as it
    /// was read.
    fn cut(&self, ahead: &[u8]) -> Cut;

    /// A decoder for one thread.
    ///
    /// # Errors
    /// `Unavailable` if there is no memory for it.
    fn decoder(&self) -> Result<Box<dyn PieceDecoder>>;
}

/// Decodes one piece after the other, in any order.
pub trait PieceDecoder: Send {
    /// Fills `tar` with what `piece` decodes to.
    ///
    /// # Errors
    /// [`Refused`] if any byte of `piece` would be left over, or it does not decode to exactly so many bytes, or its checksum is
    /// wrong. What is in `tar` then is of no use.
    fn decode(&mut self, piece: &[u8], tar: &mut [u8]) -> std::result::Result<(), Refused>;
}
