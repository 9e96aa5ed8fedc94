//! Pieces of a tar on their way from one thread to another.

use std::sync::mpsc::{Receiver, Sender, channel};

/// Bytes of a piece. Smaller ones cost more switches of threads, larger ones leave the second-level cache.
const CHUNK_BYTES: usize = 256 * 1024;

/// Pieces on their way at a time, 16 MiB: who unpacks is slow where files are small and fast where they are large, and the decoder goes on
/// meanwhile.
pub(super) const CHUNKS: usize = 64;

/// A piece of a tar. Its memory is used again when it was read and hashed.
#[derive(Debug)]
pub(super) struct Chunk {
    bytes: Vec<u8>,
    /// Bytes of the blob that had been read when the piece was complete.
    pub(super) blob_bytes: u64,
    spares: Sender<Vec<u8>>,
}

impl Chunk {
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Chunk {
    fn drop(&mut self) {
        // Nobody needs it any more when the other end is gone.
        drop(self.spares.send(std::mem::take(&mut self.bytes)));
    }
}

/// The memory of all pieces.
#[derive(Debug)]
pub(super) struct Spares {
    sender: Sender<Vec<u8>>,
    receiver: Receiver<Vec<u8>>,
    /// Those that came back. The last one is taken first: it is still in a processor's cache, and what is not needed is never touched.
    idle: Vec<Vec<u8>>,
    unused: usize,
}

impl Spares {
    /// Memory for `count` pieces.
    pub(super) fn new(count: usize) -> Self {
        let (sender, receiver) = channel();
        Self { sender, receiver, idle: Vec::new(), unused: count }
    }

    /// Memory for a piece of the usual size, full of whatever was in it before; waits until one was read.
    pub(super) fn take(&mut self) -> Vec<u8> {
        let mut bytes = self.wait();
        bytes.resize(CHUNK_BYTES, 0);
        bytes
    }

    /// Memory of any size; `None` if all is in use.
    pub(super) fn idle(&mut self) -> Option<Vec<u8>> {
        self.idle.extend(self.receiver.try_iter());
        if let Some(bytes) = self.idle.pop() {
            return Some(bytes);
        }
        self.unused = self.unused.checked_sub(1)?;
        Some(Vec::new())
    }

    /// Memory of any size; waits until some was read.
    pub(super) fn wait(&mut self) -> Vec<u8> {
        match self.idle() {
            Some(bytes) => bytes,
            None => self.receiver.recv().expect("the sender beside it is alive"),
        }
    }

    /// The first `filled` bytes of `bytes` as a piece.
    pub(super) fn chunk(&self, mut bytes: Vec<u8>, filled: usize, blob_bytes: u64) -> Chunk {
        bytes.truncate(filled);
        Chunk { bytes, blob_bytes, spares: self.sender.clone() }
    }
}
