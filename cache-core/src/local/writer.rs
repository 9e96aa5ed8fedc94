//! One blob on its way in, behind the port.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use futures::channel::oneshot;

use crate::digest::Digest;
use crate::error::{Error, ErrorKind, Result};
use crate::labels::Labels;
use crate::local::calls::Waiting;
use crate::local::engine::Engine;
use crate::local::ingest;
use crate::ports::{Committed, Ingest, IngestStatus};

/// Bytes that are gathered before a thread hashes and writes them. While it does, as many are gathered again: an ingest holds
/// twice as much, and whatever larger pieces it was given. Handing over costs about 20 µs, hashing 256 KiB about 150 µs.
const GATHERED_BYTES: usize = 256 * 1024;

/// The writer of an ingest. It writes behind: a failure to write may be told by the next call only, and ends the writer then.
#[derive(Debug)]
pub(super) struct LocalIngest {
    /// Dropped before the engine, which outlives it.
    hand: Hand,
    gathered: BytesMut,
    /// What was taken, also if it is not yet written.
    status: IngestStatus,
    is_ended: bool,
    engine: Arc<Engine>,
}

/// Who has the ingest.
#[derive(Debug)]
enum Hand {
    /// This writer.
    Here(Box<ingest::Ingest>),
    /// A job that writes. If the writer is dropped, the next call on the key waits for the job.
    Away { written: oneshot::Receiver<Written>, _waiting: Waiting },
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
        Self { hand: Hand::Here(ingest), gathered: BytesMut::new(), status, is_ended: false, engine }
    }

    /// Takes the ingest back from the job that writes, and gives the job's outcome.
    async fn settle(&mut self) -> Result<()> {
        let Hand::Away { written, .. } = &mut self.hand else { return Ok(()) };
        match written.await {
            Ok(Written { ingest, outcome }) => {
                self.hand = Hand::Here(ingest);
                outcome
            }
            Err(oneshot::Canceled) => {
                self.hand = Hand::Nowhere;
                Err(self.error(ErrorKind::Cancelled, "write to ingest", "its job panicked"))
            }
        }
    }

    /// Has a job write what was gathered, and `more` after it.
    fn write_behind(&mut self, more: Bytes) -> Result<()> {
        let mut ingest = self.here("write to ingest")?;
        let (gathered, at) = (self.gathered.split().freeze(), self.status.updated_at);
        let (written, waiting) = self.engine.spawn_on_ingest(&self.status.key, move |_, _| {
            let outcome = [gathered, more]
                .iter()
                .filter(|bytes| !bytes.is_empty())
                .try_for_each(|bytes| ingest.write_at(bytes, at));
            Written { ingest, outcome }
        })?;
        self.hand = Hand::Away { written, _waiting: waiting };
        Ok(())
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
        let ingest = self.here("abort ingest")?;
        self.engine.run_on_ingest(&self.status.key, move |_, _| ingest.abort()).await
    }
}
