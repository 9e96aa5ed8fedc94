//! The thread that cuts a blob into pieces.

use std::collections::VecDeque;
use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::mpsc::{Receiver, Sender};

use super::batch::{Batch, DECODERS, Decoded, Task};
use super::chunk::Spares;
use super::decoder::{Watch, decode};
use super::outlet::{Gone, Message, Outlet};
use super::rest::Rest;
use crate::codec::{Codec, Cut, Pieces, io_error};
use crate::content::read_some;

/// Bytes up to which pieces go together: small ones are not worth a switch of threads.
const BATCH_BYTES: usize = 256 * 1024;

/// Batches on their way at a time: two are being decoded, one read and one hashed, and as many wait, since who unpacks is not always as fast. Of
/// our gzip each has up to 2 MiB of tar.
const BATCHES: usize = 8;

/// Bytes that are read beyond what is asked for, so that small pieces do not cost a read each.
const READ_BYTES: usize = 64 * 1024;

/// Cuts a blob, has its pieces decoded, and gives them to the reader in order.
pub(super) struct Cutter {
    codec: Arc<dyn Codec>,
    pieces: Arc<dyn Pieces>,
    ahead: Vec<u8>,
    source: Box<dyn Read + Send>,
    failure: Option<io::Error>,
    watch: Arc<Watch>,
    tasks: Sender<Task>,
    outlet: Outlet,
    spares: Spares,
    pending: VecDeque<Receiver<Decoded>>,
    /// Bytes of the blob that the reader was given.
    position: u64,
}

/// What follows the batches that were cut.
enum Next {
    Batch,
    Stream,
    End,
}

/// Why nothing more is cut.
enum Stop {
    /// The reader, or a decoder, is gone.
    Gone,
    Refused(Batch),
}

impl Cutter {
    pub(super) fn new(
        codec: Arc<dyn Codec>,
        pieces: Arc<dyn Pieces>,
        head: Vec<u8>,
        source: Box<dyn Read + Send>,
        watch: Arc<Watch>,
        tasks: Sender<Task>,
        outlet: Outlet,
    ) -> Self {
        let (spares, pending) = (Spares::new(BATCHES), VecDeque::new());
        Self { codec, pieces, ahead: head, source, failure: None, watch, tasks, outlet, spares, pending, position: 0 }
    }

    /// Works until the end, until pieces end, or until nobody reads any more.
    pub(super) fn run(mut self) {
        match self.cut_all() {
            Ok(Next::End) => self.outlet.end(self.watch.end()),
            Ok(_) => self.stream(),
            Err(Stop::Gone) => {}
            Err(Stop::Refused(batch)) => {
                let mut rest = batch.bytes;
                for pending in std::mem::take(&mut self.pending) {
                    let Ok(decoded) = pending.recv() else { return };
                    rest.extend_from_slice(&decoded.batch.bytes);
                }
                rest.append(&mut self.ahead);
                self.ahead = rest;
                self.stream();
            }
        }
    }

    fn cut_all(&mut self) -> Result<Next, Stop> {
        loop {
            // Each decoder has another one; what is ready does not wait for a slow source.
            while self.pending.len() > DECODERS
                && let Some(first) = self.pending.pop_front()
            {
                self.forward(&first)?;
            }
            let (batch, next) = self.cut();
            if !batch.lengths.is_empty() {
                self.send(batch)?;
            }
            if let Next::Batch = next {
                continue;
            }
            while let Some(first) = self.pending.pop_front() {
                self.forward(&first)?;
            }
            return Ok(next);
        }
    }

    /// Has `batch` decoded as soon as there is memory for it.
    fn send(&mut self, batch: Batch) -> Result<(), Stop> {
        let tar = loop {
            if let Some(tar) = self.spares.idle() {
                break tar;
            }
            match self.pending.pop_front() {
                Some(first) => {
                    if let Err(stop) = self.forward(&first) {
                        // It goes on behind those that were sent.
                        self.ahead.splice(..0, batch.bytes);
                        return Err(stop);
                    }
                }
                None => break self.spares.wait(),
            }
        };
        let (task, decoded) = Task::new(batch, tar);
        self.pending.push_back(decoded);
        self.tasks.send(task).map_err(|_| Stop::Gone)
    }

    /// Gives a batch to the reader as soon as it is decoded.
    fn forward(&mut self, first: &Receiver<Decoded>) -> Result<(), Stop> {
        let Decoded { batch, outcome, tar } = first.recv().map_err(|_| Stop::Gone)?;
        if outcome.is_err() {
            return Err(Stop::Refused(batch));
        }
        self.position += batch.bytes.len() as u64;
        let filled = tar.len();
        let chunk = self.spares.chunk(tar, filled, self.position);
        if filled == 0 {
            return Ok(());
        }
        self.outlet.give(chunk).map_err(|Gone| Stop::Gone)
    }

    /// The next pieces.
    fn cut(&mut self) -> (Batch, Next) {
        let mut batch = Batch::default();
        let mut end = 0;
        let next = loop {
            if end >= BATCH_BYTES || batch.tar_bytes >= BATCH_BYTES {
                break Next::Batch;
            }
            let ahead = self.ahead.get(end..).unwrap_or_default();
            match self.pieces.cut(ahead) {
                Cut::Piece { bytes, tar_bytes } => {
                    let is_small = end + bytes <= BATCH_BYTES && batch.tar_bytes + tar_bytes <= BATCH_BYTES;
                    if !is_small && end > 0 {
                        break Next::Batch;
                    }
                    end += bytes;
                    batch.lengths.push((bytes, tar_bytes));
                    batch.tar_bytes += tar_bytes;
                }
                Cut::Stream => break Next::Stream,
                Cut::More(wanted) => {
                    if end + wanted > BATCH_BYTES && end > 0 {
                        break Next::Batch;
                    }
                    match self.read(end + wanted) {
                        Ok(()) => {}
                        Err(AtEnd) if self.failure.is_none() && self.ahead.len() == end => break Next::End,
                        Err(AtEnd) => break Next::Stream,
                    }
                }
            }
        };
        let later = self.ahead.split_off(end.min(self.ahead.len()));
        batch.bytes = std::mem::replace(&mut self.ahead, later);
        (batch, next)
    }

    /// Reads until at least `wanted` bytes are there.
    fn read(&mut self, wanted: usize) -> Result<(), AtEnd> {
        let mut filled = self.ahead.len();
        self.ahead.resize(wanted + READ_BYTES, 0);
        while filled < wanted {
            match read_some(&mut self.source, self.ahead.get_mut(filled..).unwrap_or_default()) {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(error) => {
                    self.failure = Some(error);
                    break;
                }
            }
        }
        self.ahead.truncate(filled);
        if filled < wanted { Err(AtEnd) } else { Ok(()) }
    }

    /// The rest of the blob.
    fn stream(self) {
        let Self { codec, ahead, source, failure, watch, tasks, outlet, position, .. } = self;
        drop(tasks);
        let position = Arc::new(AtomicU64::new(position));
        let rest = Rest { ahead: io::Cursor::new(ahead), source, position: Arc::clone(&position), failure };
        match codec.decoder(Box::new(rest)) {
            Ok(decoding) => decode(decoding, &position, &watch, outlet),
            Err(error) => outlet.end(Message::Failed(io_error(error))),
        }
    }
}

/// The source has no more, or failed.
struct AtEnd;
