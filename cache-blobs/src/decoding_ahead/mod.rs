//! A layer that is decoded on another thread than the one that reads its tar.
//!
//! ```text
//!                    one thread                          two threads           one more
//! blob ─► its digest ─┬─► decoder ─────────────────────────────────────────┬─► DiffID
//!                     └─► cutter ─► pieces ─► decoders ─► in order ────────┴─► tar (whoever reads)
//! ```
//!
//! The DiffID has a thread of its own, since it takes as long as most decoders do.

mod batch;
mod chunk;
mod cutter;
mod decoder;
mod diff_id;
mod outlet;
mod rest;

use std::fmt;
use std::io::{self, BufRead, Cursor, Read};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex, PoisonError};

use cache_core::ports::Pool;
use cache_core::{Algorithm, Compression, Digest, Error, ErrorKind, Result};

use self::batch::start_decoders;
use self::chunk::Chunk;
use self::cutter::Cutter;
use self::decoder::{Watch, Watched, decode};
use self::diff_id::start_hasher;
use self::outlet::{Message, Outlet};
use crate::codec::{Codec, Codecs, Cut, carried, error_of_io, io_error};

/// A blob that is being decoded ahead of its reader: reading it gives the tar. At most eight pieces of the codec's own (see
/// [`Codec::pieces`]), or 64 of 256 KiB, are on their way at a time: 16 MiB of tar, also for our gzip.
///
/// When it is dropped early, its threads end after what they are doing.
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
    /// The digest of the blob, if it was wanted.
    pub blob_digest: Option<Digest>,
    /// Length of the blob in bytes.
    pub blob_bytes: u64,
    /// The digest of the tar.
    pub diff_id: Digest,
}

struct Reader {
    messages: Receiver<Message>,
    chunk: Option<Arc<Chunk>>,
    position: usize,
    state: State,
    /// `None` where the blob's digest is the tar's.
    diff_id: Option<Receiver<Digest>>,
}

enum State {
    Reading,
    Failed(Error),
    Ended(Option<Digest>, u64),
}

impl DecodingAhead {
    /// Decodes `blob` by the codec that its first bytes call for, and takes its digest by `algorithm`, if there is one. A plain tar
    /// is hashed only once where that is the algorithm of DiffIDs, SHA-256.
    ///
    /// # Errors
    /// As [`Codecs::decode`]; `Unavailable` if no thread can be had.
    pub fn start(
        pool: &dyn Pool,
        codecs: &Codecs,
        blob: Box<dyn Read + Send>,
        algorithm: Option<Algorithm>,
    ) -> Result<Self> {
        let watch = Arc::new(Watch::new(algorithm));
        let (codec, head, source) = codecs.open(Box::new(Watched { blob, watch: Arc::clone(&watch) }))?;
        let is_plain = codec.compression() == Compression::Uncompressed && algorithm == Some(Algorithm::default());
        let (hasher, diff_id) = if is_plain { None } else { Some(start_hasher(pool)?) }.unzip();
        let (reader, messages) = channel();
        let outlet = Outlet { reader, hasher };
        match codec.pieces().filter(|pieces| pieces.cut(&head) != Cut::Stream) {
            Some(pieces) => {
                let tasks = start_decoders(pool, &pieces)?;
                let cutter = Cutter::new(Arc::clone(&codec), pieces, head, source, watch, tasks, outlet);
                pool.spawn(Box::new(move || cutter.run()))?;
            }
            None => {
                let decoding = codec.decoder(Box::new(Cursor::new(head).chain(source)))?;
                pool.spawn(Box::new(move || decode(decoding, watch.seen(), &watch, outlet)))?;
            }
        }
        let reader = Reader { messages, chunk: None, position: 0, state: State::Reading, diff_id };
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
                let diff_id = match &reader.diff_id {
                    Some(digest) => digest.recv().ok(),
                    None => blob_digest,
                };
                return Ok(DecodedLayer { blob_digest, blob_bytes, diff_id: diff_id.ok_or_else(panicked)? });
            }
            reader.advance(&self.compressed).map_err(|error| error_of_io("decode", "a layer", error))?;
        }
    }
}

fn panicked() -> Error {
    Error::new(ErrorKind::Cancelled, "decode", "a layer whose decoder panicked")
}

impl Reader {
    /// What was not read of the piece at hand.
    fn left(&self) -> &[u8] {
        self.chunk.as_ref().and_then(|chunk| chunk.bytes().get(self.position..)).unwrap_or_default()
    }

    /// Waits for the next piece, or for the end.
    fn advance(&mut self, compressed: &AtomicU64) -> io::Result<()> {
        self.chunk = None;
        self.position = 0;
        match &self.state {
            State::Reading => {}
            State::Ended(..) => return Ok(()),
            State::Failed(error) => return Err(io_error(error.clone())),
        }
        match self.messages.recv() {
            Ok(Message::Chunk(chunk)) => {
                compressed.store(chunk.blob_bytes, Ordering::Relaxed);
                self.chunk = Some(chunk);
                Ok(())
            }
            Ok(Message::End(digest, bytes)) => {
                compressed.store(bytes, Ordering::Relaxed);
                self.state = State::Ended(digest, bytes);
                Ok(())
            }
            Ok(Message::Failed(error)) => {
                let copy = || Error::io("decode", "a layer", io::Error::new(error.kind(), error.to_string()));
                self.state = State::Failed(carried(&error).cloned().unwrap_or_else(copy));
                Err(error)
            }
            Err(_) => {
                self.state = State::Failed(panicked());
                Err(io_error(panicked()))
            }
        }
    }
}

impl Read for DecodingAhead {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        let count = self.fill_buf()?.read(buffer)?;
        self.consume(count);
        Ok(count)
    }
}

impl BufRead for DecodingAhead {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        let reader = self.reader.get_mut().unwrap_or_else(PoisonError::into_inner);
        while reader.left().is_empty() && !matches!(reader.state, State::Ended(..)) {
            reader.advance(&self.compressed)?;
        }
        Ok(reader.left())
    }

    fn consume(&mut self, count: usize) {
        let reader = self.reader.get_mut().unwrap_or_else(PoisonError::into_inner);
        reader.position += count.min(reader.left().len());
    }
}

impl fmt::Debug for DecodingAhead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DecodingAhead").field("codec", &self.codec).finish_non_exhaustive()
    }
}
