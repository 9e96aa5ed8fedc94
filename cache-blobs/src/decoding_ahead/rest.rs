//! The rest of a blob for the stream decoder.

use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::content::read_some;

/// Bytes that were read ahead, then the source. Reads fill their buffers, so that the position does not depend on how far was read ahead.
pub(super) struct Rest {
    pub(super) ahead: io::Cursor<Vec<u8>>,
    pub(super) source: Box<dyn Read + Send>,
    /// Bytes of the blob that were given.
    pub(super) position: Arc<AtomicU64>,
    /// A failure that came after bytes that were given first.
    pub(super) failure: Option<io::Error>,
}

impl Read for Rest {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut filled = self.ahead.read(buffer)?;
        while let Some(room) = buffer.get_mut(filled..).filter(|room| !room.is_empty()) {
            let outcome = match self.failure.take() {
                Some(error) => Err(error),
                None => read_some(&mut self.source, room),
            };
            match outcome {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(error) if filled == 0 => return Err(error),
                Err(error) => {
                    self.failure = Some(error);
                    break;
                }
            }
        }
        self.position.fetch_add(filled as u64, Ordering::Relaxed);
        Ok(filled)
    }
}
