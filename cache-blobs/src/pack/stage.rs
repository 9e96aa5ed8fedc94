//! What happens to a layer's blocks between producer and ingest.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use cache_core::{Error, ErrorKind, Result};

use crate::codec::{Block, BlockEncoder, Encoded, Encoder, Sequence, StreamEncoder};

/// Bytes that a plain tar is handed to the ingest in: enough to make its switch of threads cheap.
const PLAIN_BLOCK_BYTES: usize = 1 << 20;

/// An encoder on the workers' side.
pub(super) enum Stage {
    Identity,
    Blocks {
        encoder: Arc<dyn BlockEncoder>,
        keeps_notes: bool,
    },
    /// One worker at a time has it, so nobody ever waits for the lock; it is taken out to be finished.
    Stream {
        encoder: Mutex<Option<Box<dyn StreamEncoder>>>,
        block_bytes: usize,
        encoded_bound: usize,
    },
}

/// An encoder on the producer's side: who sees the layer in order.
pub(super) enum Follower {
    Nobody,
    Sequence(Box<dyn Sequence>),
    /// The encoder itself, which the stage has.
    Stream,
}

impl Stage {
    /// Both sides of `encoder`.
    ///
    /// # Errors
    /// `Invalid` for an encoder that wants blocks of no bytes.
    pub(super) fn new(encoder: Encoder) -> Result<(Self, Follower)> {
        let (stage, follower) = match encoder {
            Encoder::Identity => (Self::Identity, Follower::Nobody),
            Encoder::Blocks(encoder) => {
                let follower = encoder.sequence().map_or(Follower::Nobody, Follower::Sequence);
                let keeps_notes = matches!(follower, Follower::Sequence(_));
                (Self::Blocks { encoder, keeps_notes }, follower)
            }
            Encoder::Stream(encoder) => {
                let (block_bytes, encoded_bound) = (encoder.block_bytes(), encoder.encoded_bound());
                (Self::Stream { encoder: Mutex::new(Some(encoder)), block_bytes, encoded_bound }, Follower::Stream)
            }
        };
        if stage.block_bytes() == 0 {
            return Err(Error::new(ErrorKind::Invalid, "pack", "in blocks of no bytes"));
        }
        Ok((stage, follower))
    }

    /// Bytes of tar in a block.
    pub(super) fn block_bytes(&self) -> usize {
        match self {
            Self::Identity => PLAIN_BLOCK_BYTES,
            Self::Blocks { encoder, .. } => encoder.block_bytes(),
            Self::Stream { block_bytes, .. } => *block_bytes,
        }
    }

    fn encoded_bound(&self) -> usize {
        match self {
            Self::Identity => 0,
            Self::Blocks { encoder, .. } => encoder.encoded_bound(),
            Self::Stream { encoded_bound, .. } => *encoded_bound,
        }
    }

    /// Bytes that a block and what it becomes take at most; both live while it is encoded.
    pub(super) fn block_cost(&self) -> u64 {
        self.block_bytes() as u64 + self.encoded_bound() as u64
    }

    /// Bytes with which a layer is admitted: one block's, and of a plain tar two. Its blocks are the smallest, so that more layers than of any
    /// other codec would be packed at once, each with an ingest that may hold one more block, which is not counted.
    pub(super) fn minimum(&self) -> u64 {
        match self {
            Self::Identity => 2 * self.block_cost(),
            Self::Blocks { .. } | Self::Stream { .. } => self.block_cost(),
        }
    }

    /// Whether several blocks may be encoded at once.
    pub(super) fn is_parallel(&self) -> bool {
        matches!(self, Self::Blocks { .. })
    }

    /// Whether somebody asks where blocks went.
    pub(super) fn keeps_notes(&self) -> bool {
        match self {
            Self::Identity => false,
            Self::Blocks { keeps_notes, .. } => *keeps_notes,
            Self::Stream { .. } => true,
        }
    }

    /// Encodes one block on the calling thread.
    pub(super) fn encode(&self, block: &mut Block) -> Result<Encoded> {
        let encoded = match self {
            Self::Identity => return Ok(Encoded { bytes: std::mem::take(&mut block.bytes), notes: None }),
            Self::Blocks { encoder, .. } => encoder.encode(block)?,
            Self::Stream { encoder, .. } => {
                let mut encoder = encoder.lock().unwrap_or_else(PoisonError::into_inner);
                let encoder = encoder.as_mut().ok_or_else(finished)?;
                Encoded { bytes: encoder.encode(block)?.into(), notes: None }
            }
        };
        if encoded.bytes.len() > self.encoded_bound() {
            let target = format_args!("a block as {} bytes, above the encoder's own bound", encoded.bytes.len());
            return Err(Error::new(ErrorKind::Invalid, "encode", target));
        }
        Ok(encoded)
    }

    /// Takes the stream encoder out, to be finished.
    pub(super) fn take_stream(&self) -> Result<Box<dyn StreamEncoder>> {
        match self {
            Self::Stream { encoder, .. } => encoder.lock().unwrap_or_else(PoisonError::into_inner).take(),
            Self::Identity | Self::Blocks { .. } => None,
        }
        .ok_or_else(finished)
    }
}

fn finished() -> Error {
    Error::new(ErrorKind::Invalid, "encode", "past the end of a stream")
}

impl fmt::Debug for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Identity => f.write_str("Identity"),
            Self::Blocks { encoder, .. } => encoder.fmt(f),
            Self::Stream { .. } => f.write_str("Stream"),
        }
    }
}
