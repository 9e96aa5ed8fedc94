//! The thread that takes the digest of a tar.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};

use cache_core::ports::Pool;
use cache_core::{Digest, DigestHasher, Result};

use super::chunk::Chunk;

/// Starts a thread that hashes what it is sent, and gives the digest when nobody can send any more; never if it panics.
///
/// # Errors
/// `Unavailable` if no thread can be had.
pub(super) fn start_hasher(pool: &dyn Pool) -> Result<(Sender<Arc<Chunk>>, Receiver<Digest>)> {
    let (sender, chunks) = channel::<Arc<Chunk>>();
    let (answer, digest) = channel();
    pool.spawn(Box::new(move || {
        let mut hasher = DigestHasher::default();
        for chunk in chunks {
            hasher.update(chunk.bytes());
        }
        // Who dropped the tar does not care.
        let _ = answer.send(hasher.finish());
    }))?;
    Ok((sender, digest))
}
