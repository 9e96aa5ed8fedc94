//! The thread that decodes.

use std::io::{self, Read};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, PoisonError};

use cache_core::{Algorithm, Digest, DigestHasher};

use super::chunk::{Chunk, Spares};
use crate::codec::Decoding;
use crate::content::read_some;

/// What the reader of the tar is told.
#[derive(Debug)]
pub(super) enum Message {
    /// The next piece, never empty.
    Chunk(Chunk),
    Failed(io::Error),
    /// The digest and the length of the blob.
    End(Digest, u64),
}

/// Counts and hashes a blob while it is read.
#[derive(Debug)]
pub(super) struct Watch {
    seen: AtomicU64,
    hasher: Mutex<DigestHasher>,
}

impl Watch {
    pub(super) fn new(algorithm: Algorithm) -> Self {
        Self { seen: AtomicU64::new(0), hasher: Mutex::new(DigestHasher::new(algorithm)) }
    }

    fn seen(&self) -> u64 {
        self.seen.load(Ordering::Relaxed)
    }

    fn digest(&self) -> Digest {
        self.hasher.lock().unwrap_or_else(PoisonError::into_inner).clone().finish()
    }
}

/// A blob that is watched.
pub(super) struct Watched {
    pub(super) blob: Box<dyn Read + Send>,
    pub(super) watch: Arc<Watch>,
}

impl Read for Watched {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.blob.read(buffer)?;
        self.watch
            .hasher
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .update(buffer.get(..count).unwrap_or_default());
        self.watch.seen.fetch_add(count as u64, Ordering::Relaxed);
        Ok(count)
    }
}

/// Decodes until the end, the first failure, or until nobody reads any more.
pub(super) fn decode(mut decoding: Decoding, watch: &Watch, reader: &Sender<Message>) {
    let mut spares = Spares::new();
    loop {
        let mut bytes = spares.take();
        let (filled, outcome) = fill(&mut decoding, &mut bytes);
        if filled > 0 && reader.send(Message::Chunk(spares.chunk(bytes, filled, watch.seen()))).is_err() {
            return;
        }
        let last = match outcome {
            Ok(Filled::Full) => continue,
            Ok(Filled::AtEnd) => Message::End(watch.digest(), watch.seen()),
            Err(error) => Message::Failed(error),
        };
        drop(reader.send(last));
        return;
    }
}

enum Filled {
    Full,
    AtEnd,
}

/// Reads until `bytes` is full; says how many there are also if reading failed then.
fn fill(decoding: &mut Decoding, bytes: &mut [u8]) -> (usize, io::Result<Filled>) {
    let mut filled = 0;
    while let Some(rest) = bytes.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match read_some(decoding, rest) {
            Ok(0) => return (filled, Ok(Filled::AtEnd)),
            Ok(count) => filled += count,
            Err(error) => return (filled, Err(error)),
        }
    }
    (filled, Ok(Filled::Full))
}
