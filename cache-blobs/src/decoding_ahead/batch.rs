//! Pieces that are decoded by one thread in one go.

use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};

use cache_core::Result;
use cache_core::ports::Pool;

use crate::codec::{PieceDecoder, Pieces, Refused};

/// Threads that decode one blob. More would wait for the one that reads the tar, which takes its digest.
pub(super) const DECODERS: usize = 2;

/// Pieces that follow each other in a blob.
#[derive(Debug, Default)]
pub(super) struct Batch {
    /// Their bytes in the blob.
    pub(super) bytes: Vec<u8>,
    /// The blob's and the tar's bytes of each.
    pub(super) lengths: Vec<(usize, usize)>,
    pub(super) tar_bytes: usize,
}

/// A batch after it was decoded.
#[derive(Debug)]
pub(super) struct Decoded {
    pub(super) batch: Batch,
    pub(super) outcome: std::result::Result<(), Refused>,
    pub(super) tar: Vec<u8>,
}

/// A batch that waits for a thread.
#[derive(Debug)]
pub(super) struct Task {
    batch: Batch,
    tar: Vec<u8>,
    answer: SyncSender<Decoded>,
}

impl Task {
    /// Wants `batch` decoded into `tar`; the answer comes by the receiver, or never if the decoder panics.
    pub(super) fn new(batch: Batch, tar: Vec<u8>) -> (Self, Receiver<Decoded>) {
        let (answer, decoded) = sync_channel(1);
        (Self { batch, tar, answer }, decoded)
    }

    fn run(self, decoder: Option<&mut (dyn PieceDecoder + 'static)>) {
        let Self { batch, mut tar, answer } = self;
        tar.resize(batch.tar_bytes, 0);
        let outcome = decoder.map_or(Err(Refused), |decoder| decode(decoder, &batch, &mut tar));
        drop(answer.send(Decoded { batch, outcome, tar }));
    }
}

fn decode(decoder: &mut dyn PieceDecoder, batch: &Batch, tar: &mut [u8]) -> std::result::Result<(), Refused> {
    let (mut blob, mut tar) = (&batch.bytes[..], tar);
    for (bytes, tar_bytes) in &batch.lengths {
        let (piece, later) = blob.split_at_checked(*bytes).ok_or(Refused)?;
        let (own, others) = tar.split_at_mut_checked(*tar_bytes).ok_or(Refused)?;
        decoder.decode(piece, own)?;
        (blob, tar) = (later, others);
    }
    Ok(())
}

/// Starts threads that decode what they are sent, and end when nobody can send any more.
///
/// # Errors
/// `Unavailable` if no thread can be had.
pub(super) fn start_decoders(pool: &dyn Pool, pieces: &Arc<dyn Pieces>) -> Result<Sender<Task>> {
    let (sender, tasks) = channel::<Task>();
    let tasks = Arc::new(Mutex::new(tasks));
    for _ in 0..DECODERS {
        let (pieces, tasks) = (Arc::clone(pieces), Arc::clone(&tasks));
        pool.spawn(Box::new(move || {
            // Without one every piece is refused, and the stream decoder tells why.
            let mut decoder = pieces.decoder().ok();
            loop {
                let task = tasks.lock().unwrap_or_else(PoisonError::into_inner).recv();
                match task {
                    Ok(task) => task.run(decoder.as_deref_mut()),
                    Err(_) => return,
                }
            }
        }))?;
    }
    Ok(sender)
}
