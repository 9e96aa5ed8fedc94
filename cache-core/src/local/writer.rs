//! One blob on its way in, behind the port.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use futures::channel::oneshot;

use crate::digest::{Digest, DigestHasher};
use crate::error::{Error, ErrorKind, Result};
use crate::labels::Labels;
use crate::local::calls::Waiting;
use crate::local::engine::Engine;
use crate::local::ingest;
use crate::ports::{Committed, Ingest, IngestStatus};

/// Bytes that are gathered before a thread hashes and writes them. While it does, as many are gathered again: an ingest holds
/// twice as much, and whatever larger pieces it was given. Handing over costs about 20 µs, hashing 256 KiB about 150 µs.
const GATHERED_BYTES: usize = 256 * 1024;

/// From so many bytes on, one thread hashes what another one writes.
const HASHED_APART_BYTES: usize = 512 * 1024;

/// Whenever so many bytes are written, a thread has the disk take them, so that a commit has few left to wait for.
const FLUSHED_BYTES: u64 = 16 << 20;

/// The writer of an ingest. It writes behind: a failure to write may be told by the next call only, and ends the writer then.
#[derive(Debug)]
pub(super) struct LocalIngest {
    /// Dropped before the engine, which outlives it.
    hand: Hand,
    gathered: BytesMut,
    /// What was taken, also if it is not yet written.
    status: IngestStatus,
    is_ended: bool,
    flushing: Flushing,
    engine: Arc<Engine>,
}

/// What is being made durable while more is written.
#[derive(Debug, Default)]
struct Flushing {
    /// Bytes that the last flush had before it, or more.
    flushed: u64,
    running: Option<(oneshot::Receiver<Result<()>>, Waiting)>,
}

/// Who has the ingest.
#[derive(Debug)]
enum Hand {
    /// This writer.
    Here(Box<ingest::Ingest>),
    /// A job that writes. If the writer is dropped, the next call on the key waits for the job.
    Away { written: oneshot::Receiver<Written>, hashed: Option<oneshot::Receiver<DigestHasher>>, _waiting: Waiting },
    /// A job that panicked had it.
    Nowhere,
}

struct Written {
    ingest: Box<ingest::Ingest>,
    outcome: Result<()>,
}

impl LocalIngest {
    pub(super) fn new(ingest: Box<ingest::Ingest>, engine: Arc<Engine>) -> Self {
        let status = ingest.status().clone();
        let flushing = Flushing { flushed: status.offset, running: None };
        Self { hand: Hand::Here(ingest), gathered: BytesMut::new(), status, is_ended: false, flushing, engine }
    }

    /// Takes the ingest back from the jobs that write and hash, and gives their outcome.
    async fn settle(&mut self) -> Result<()> {
        let Hand::Away { written, hashed, .. } = &mut self.hand else { return Ok(()) };
        let (written, hashed) = futures::join!(written, async {
            match hashed {
                Some(hashed) => hashed.await.map(Some),
                None => Ok(None),
            }
        });
        let (Ok(Written { mut ingest, outcome }), Ok(hasher)) = (written, hashed) else {
            self.hand = Hand::Nowhere;
            return Err(self.error(ErrorKind::Cancelled, "write to ingest", "its job panicked"));
        };
        if let Some(hasher) = hasher {
            ingest.return_hasher(hasher);
        }
        self.hand = Hand::Here(ingest);
        outcome
    }

    /// Has a job write what was gathered, and `more` after it.
    fn write_behind(&mut self, more: Bytes) -> Result<()> {
        let mut ingest = self.here("write to ingest")?;
        let at = self.status.updated_at;
        let bytes = [self.gathered.split().freeze(), more];
        let hashed = if bytes.iter().map(Bytes::len).sum::<usize>() < HASHED_APART_BYTES {
            None
        } else {
            Some(self.hash_apart(&mut ingest, bytes.clone())?)
        };
        let is_hashed_here = hashed.is_none();
        let (written, waiting) = self.engine.spawn_on_ingest(&self.status.key, move |_, _| {
            let outcome = bytes.iter().filter(|bytes| !bytes.is_empty()).try_for_each(|bytes| {
                if is_hashed_here { ingest.write_at(bytes, at) } else { ingest.write_unhashed(bytes, at) }
            });
            Written { ingest, outcome }
        })?;
        self.hand = Hand::Away { written, hashed, _waiting: waiting };
        Ok(())
    }

    /// Has another job hash `bytes`.
    fn hash_apart(&self, ingest: &mut ingest::Ingest, bytes: [Bytes; 2]) -> Result<oneshot::Receiver<DigestHasher>> {
        let mut hasher = ingest.lend_hasher();
        let (sender, hashed) = oneshot::channel();
        self.engine.pool().spawn(Box::new(move || {
            for bytes in &bytes {
                hasher.update(bytes);
            }
            drop(bytes);
            drop(sender.send(hasher));
        }))?;
        Ok(hashed)
    }

    /// Has a job make durable what is written, if that is much.
    fn flush_behind(&mut self) -> Result<()> {
        if let Some((running, _)) = &mut self.flushing.running {
            match running.try_recv() {
                Ok(None) => return Ok(()),
                Ok(Some(outcome)) => {
                    self.flushing.running = None;
                    outcome?;
                }
                // The pool dropped the job, which has touched nothing.
                Err(oneshot::Canceled) => self.flushing.running = None,
            }
        }
        let Hand::Here(ingest) = &self.hand else { return Ok(()) };
        let written = ingest.status().offset;
        if written < self.flushing.flushed.saturating_add(FLUSHED_BYTES) {
            return Ok(());
        }
        let flush = ingest.flush()?;
        let running = self.engine.spawn_on_ingest(&self.status.key, move |_, _| flush.run())?;
        self.flushing = Flushing { flushed: written, running: Some(running) };
        Ok(())
    }

    /// Waits for the job that makes bytes durable.
    async fn flushed(&mut self) -> Result<()> {
        match self.flushing.running.take() {
            Some((running, _waiting)) => running.await.unwrap_or(Ok(())),
            None => Ok(()),
        }
    }

    fn here(&mut self, operation: &'static str) -> Result<Box<ingest::Ingest>> {
        match std::mem::replace(&mut self.hand, Hand::Nowhere) {
            Hand::Here(ingest) => Ok(ingest),
            Hand::Away { .. } | Hand::Nowhere => Err(self.error(ErrorKind::Invalid, operation, "its writer was ended")),
        }
    }

    fn usable(&self, operation: &'static str) -> Result<()> {
        if self.is_ended {
            let why = "a write failed or was given up; begin the ingest again";
            return Err(self.error(ErrorKind::Invalid, operation, why));
        }
        Ok(())
    }

    fn error(&self, kind: ErrorKind, operation: &'static str, why: &'static str) -> Error {
        Error::new(kind, operation, self.status.key.escape_debug()).with_source(why)
    }

    /// Writes what was gathered and makes the last call.
    async fn end<T: Send + 'static>(
        mut self: Box<Self>,
        operation: &'static str,
        work: impl FnOnce(Box<ingest::Ingest>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        self.usable(operation)?;
        self.settle().await?;
        self.flushed().await?;
        let mut ingest = self.here(operation)?;
        let (gathered, at) = (self.gathered.split().freeze(), self.status.updated_at);
        let ended = self.engine.run_on_ingest(&self.status.key, move |_, _| {
            if !gathered.is_empty() {
                ingest.write_at(&gathered, at)?;
            }
            work(ingest)
        });
        ended.await
    }
}

#[async_trait]
impl Ingest for LocalIngest {
    fn offset(&self) -> u64 {
        self.status.offset
    }

    fn status(&self) -> IngestStatus {
        self.status.clone()
    }

    async fn write(&mut self, bytes: Bytes) -> Result<()> {
        const OPERATION: &str = "write to ingest";
        self.usable(OPERATION)?;
        // Until the end of this function, so that a dropped call ends the writer too.
        self.is_ended = true;
        let offset = self.status.offset + bytes.len() as u64;
        if self.status.expected.size.is_some_and(|size| offset > size) {
            return Err(self.error(ErrorKind::LimitExceeded, OPERATION, "more than the expected size"));
        }
        self.status.updated_at = self.engine.store().clock_now();
        if self.gathered.len() + bytes.len() < GATHERED_BYTES {
            self.gathered.extend_from_slice(&bytes);
        } else {
            self.settle().await?;
            self.flush_behind()?;
            self.write_behind(bytes)?;
        }
        self.status.offset = offset;
        self.engine.store().note_progress(&self.status);
        self.is_ended = false;
        Ok(())
    }

    async fn keep(self: Box<Self>) -> Result<()> {
        self.end("keep ingest", |ingest| ingest.keep()).await
    }

    async fn commit(self: Box<Self>, expected: Option<Digest>, labels: Labels) -> Result<Committed> {
        self.end("commit ingest", move |ingest| ingest.commit(expected, &labels)).await
    }

    async fn abort(mut self: Box<Self>) -> Result<()> {
        // The bytes go, so it does not matter whether they could be written.
        if let Err(error) = self.settle().await {
            tracing::debug!(%error, "an ingest is dropped after a failure");
        }
        if let Err(error) = self.flushed().await {
            tracing::debug!(%error, "an ingest is dropped after a failure");
        }
        let ingest = self.here("abort ingest")?;
        self.engine.run_on_ingest(&self.status.key, move |_, _| ingest.abort()).await
    }
}
