//! Where the pieces of a tar go: to who reads it, and to the thread that takes its digest.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::Sender;

use cache_core::Digest;

use super::chunk::Chunk;

/// What the reader of the tar is told.
#[derive(Debug)]
pub(super) enum Message {
    /// The next piece, never empty.
    Chunk(Arc<Chunk>),
    Failed(io::Error),
    /// The digest, if it was wanted, and the length of the blob.
    End(Option<Digest>, u64),
}

/// Nobody wants the tar any more.
#[derive(Debug)]
pub(super) struct Gone;

/// Both ends of a tar's way.
#[derive(Debug)]
pub(super) struct Outlet {
    pub(super) reader: Sender<Message>,
    /// `None` where the tar needs no digest of its own.
    pub(super) hasher: Option<Sender<Arc<Chunk>>>,
}

impl Outlet {
    /// Gives the next piece, which is not empty.
    pub(super) fn give(&self, chunk: Chunk) -> Result<(), Gone> {
        let chunk = Arc::new(chunk);
        if let Some(hasher) = &self.hasher {
            hasher.send(Arc::clone(&chunk)).map_err(|_| Gone)?;
        }
        self.reader.send(Message::Chunk(chunk)).map_err(|_| Gone)
    }

    /// Says why there are no more pieces.
    pub(super) fn end(self, last: Message) {
        // Who has gone does not care.
        drop(self.reader.send(last));
    }
}
