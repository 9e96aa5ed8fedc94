//! A layer that is decoded on another thread than the one that reads its tar.
//!
//! ```text
//! blob ─► its digest ─► decoder (Pool thread) ─► DiffID ─► tar (whoever reads)
//! ```
//!
//! The DiffID is taken on the reader's side, since most decoders are slower than unpacking.

mod chunk;
mod decoder;

use std::fmt;
use std::io::{self, Read};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex, PoisonError};

use cache_core::ports::Pool;
use cache_core::{Algorithm, Compression, Digest, DigestHasher, Error, ErrorKind, Result};

use self::chunk::Chunk;
use self::decoder::{Message, Watch, Watched, decode};
use crate::codec::{Codec, Codecs, error_of_io, io_error};

/// A blob that is being decoded ahead of its reader: reading it gives the tar. At most 1 MiB of tar is on its way at a time.
///
/// When it is dropped early, its thread ends after what it is doing.
pub struct DecodingAhead {
    codec: Arc<dyn Codec>,
    /// Never locked: the mutex makes the type `Sync`.
    reader: Mutex<Reader>,
    compressed: Arc<AtomicU64>,
}

/// What is known of a layer when all of it was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DecodedLayer {
    /// The digest of the blob.
    pub blob_digest: Digest,
    /// Length of the blob in bytes.
    pub blob_bytes: u64,
    /// The digest of the tar.
    pub diff_id: Digest,
}

struct Reader {
    messages: Receiver<Message>,
    chunk: Option<Chunk>,
    position: usize,
    state: State,
    /// `None` where the blob's digest is the tar's.
    hasher: Option<DigestHasher>,
}

enum State {
    Reading,
    Failed,
    Ended(Digest, u64),
}

impl DecodingAhead {
    /// Decodes `blob` by the codec that its first bytes call for, and takes its digest by `algorithm`. A plain tar is hashed
    /// only once where that is the algorithm of DiffIDs, SHA-256.
    ///
    /// # Errors
    /// As [`Codecs::decode`]; `Unavailable` if no thread can be had.
    pub fn start(pool: &dyn Pool, codecs: &Codecs, blob: Box<dyn Read + Send>, algorithm: Algorithm) -> Result<Self> {
        let watch = Arc::new(Watch::new(algorithm));
        let decoding = codecs.decode(Box::new(Watched { blob, watch: Arc::clone(&watch) }))?;
        let codec = Arc::clone(decoding.codec());
        let is_plain = codec.compression() == Compression::Uncompressed && algorithm == Algorithm::default();
        let hasher = (!is_plain).then(DigestHasher::default);
        let (sender, messages) = channel();
        pool.spawn(Box::new(move || decode(decoding, &watch, &sender)))?;
        let reader = Reader { messages, chunk: None, position: 0, state: State::Reading, hasher };
        Ok(Self { codec, reader: Mutex::new(reader), compressed: Arc::default() })
    }

    /// The codec that was detected.
    pub fn codec(&self) -> &Arc<dyn Codec> {
        &self.codec
    }

    /// A counter of the blob's bytes in which lies what was read of the tar, for
    /// `apply::ApplyOptions::compressed`. It does not depend on the pace of threads.
    pub fn compressed(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.compressed)
    }

    /// The digests, when the tar was read to its end. What was not read is read now.
    ///
    /// # Errors
    /// What reading gives; `Cancelled` if the decoder panicked.
    pub fn finish(mut self) -> Result<DecodedLayer> {
        let reader = self.reader.get_mut().unwrap_or_else(PoisonError::into_inner);
        loop {
            if let State::Ended(blob_digest, blob_bytes) = reader.state {
                let diff_id = reader.hasher.take().map_or(blob_digest, DigestHasher::finish);
                return Ok(DecodedLayer { blob_digest, blob_bytes, diff_id });
            }
            reader.advance(&self.compressed).map_err(|error| error_of_io("decode", "a layer", error))?;
        }
    }
}

fn panicked() -> Error {
    Error::new(ErrorKind::Cancelled, "decode", "a layer whose decoder panicked")
}

impl Reader {
    /// Waits for the next piece, or for the end.
    fn advance(&mut self, compressed: &AtomicU64) -> io::Result<()> {
        self.chunk = None;
        self.position = 0;
        match self.state {
            State::Reading => {}
            State::Ended(..) => return Ok(()),
            State::Failed => return Err(io::Error::new(io::ErrorKind::InvalidData, "the layer is damaged further up")),
        }
        match self.messages.recv() {
            Ok(Message::Chunk(chunk)) => {
                compressed.store(chunk.blob_bytes, Ordering::Relaxed);
                if let Some(hasher) = &mut self.hasher {
                    hasher.update(chunk.bytes());
                }
                self.chunk = Some(chunk);
                Ok(())
            }
            Ok(Message::End(digest, bytes)) => {
                compressed.store(bytes, Ordering::Relaxed);
                self.state = State::Ended(digest, bytes);
                Ok(())
            }
            Ok(Message::Failed(error)) => {
                self.state = State::Failed;
                Err(error)
            }
            Err(_) => {
                self.state = State::Failed;
                Err(io_error(panicked()))
            }
        }
    }
}

impl Read for DecodingAhead {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let reader = self.reader.get_mut().unwrap_or_else(PoisonError::into_inner);
        if buffer.is_empty() {
            return Ok(0);
        }
        loop {
            if let Some(chunk) = &reader.chunk {
                let count = chunk.bytes().get(reader.position..).unwrap_or_default().read(buffer)?;
                reader.position += count;
                if count > 0 {
                    return Ok(count);
                }
            }
            if let State::Ended(..) = reader.state {
                return Ok(0);
            }
            reader.advance(&self.compressed)?;
        }
    }
}

impl fmt::Debug for DecodingAhead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DecodingAhead").field("codec", &self.codec).finish_non_exhaustive()
    }
}
