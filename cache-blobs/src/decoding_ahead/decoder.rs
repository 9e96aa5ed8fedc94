//! The thread that decodes.

use std::io::{self, Read};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use cache_core::{Algorithm, DigestHasher};

use super::chunk::{CHUNKS, Spares};
use super::outlet::{Message, Outlet};
use crate::content::read_some;

/// Counts and hashes a blob while it is read.
#[derive(Debug)]
pub(super) struct Watch {
    seen: AtomicU64,
    hasher: Option<Mutex<DigestHasher>>,
}

impl Watch {
    /// Hashes by `algorithm`, if there is one.
    pub(super) fn new(algorithm: Option<Algorithm>) -> Self {
        Self { seen: AtomicU64::new(0), hasher: algorithm.map(|algorithm| Mutex::new(DigestHasher::new(algorithm))) }
    }

    /// A counter of the bytes that were read.
    pub(super) fn seen(&self) -> &AtomicU64 {
        &self.seen
    }

    /// What the reader is told where the blob ends.
    pub(super) fn end(&self) -> Message {
        let digest = |hasher: &Mutex<DigestHasher>| lock(hasher).clone().finish();
        Message::End(self.hasher.as_ref().map(digest), self.seen.load(Ordering::Relaxed))
    }
}

fn lock(hasher: &Mutex<DigestHasher>) -> MutexGuard<'_, DigestHasher> {
    hasher.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A blob that is watched.
pub(super) struct Watched {
    pub(super) blob: Box<dyn Read + Send>,
    pub(super) watch: Arc<Watch>,
}

impl Read for Watched {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.blob.read(buffer)?;
        if let Some(hasher) = &self.watch.hasher {
            lock(hasher).update(buffer.get(..count).unwrap_or_default());
        }
        self.watch.seen.fetch_add(count as u64, Ordering::Relaxed);
        Ok(count)
    }
}

/// Decodes until the end, the first failure, or until nobody reads any more.
/// `position` counts the blob's bytes that were taken for it.
pub(super) fn decode(mut decoding: Box<dyn Read + Send>, position: &AtomicU64, watch: &Watch, outlet: Outlet) {
    let mut spares = Spares::new(CHUNKS);
    loop {
        let mut bytes = spares.take();
        let (filled, outcome) = fill(&mut *decoding, &mut bytes);
        let chunk = spares.chunk(bytes, filled, position.load(Ordering::Relaxed));
        if filled > 0 && outlet.give(chunk).is_err() {
            return;
        }
        match outcome {
            Ok(Filled::Full) => {}
            Ok(Filled::AtEnd) => return outlet.end(watch.end()),
            Err(error) => return outlet.end(Message::Failed(error)),
        }
    }
}

enum Filled {
    Full,
    AtEnd,
}

/// Reads until `bytes` is full; says how many there are also if reading failed then.
fn fill(decoding: &mut dyn Read, bytes: &mut [u8]) -> (usize, io::Result<Filled>) {
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
