//! One attempt to copy a blob.

use std::sync::atomic::{AtomicU64, Ordering};

use cache_core::ports::{Begun, BlobInfo, BlobReader, Committed, Expected, ExportTarget, Ingest, Start};
use cache_core::{Descriptor, Error, ErrorKind, LabelChange, Result};
use futures::StreamExt;

use super::{BlobSource, BusyKey, CopyError, CopyOptions};

/// Tells apart the keys that one process uses when the usual one is taken.
static SERIAL: AtomicU64 = AtomicU64::new(0);

/// A copy that is under way.
#[derive(Debug)]
pub(super) struct Copying<'a> {
    source: BlobSource<'a>,
    target: &'a dyn ExportTarget,
    descriptor: &'a Descriptor,
    key: &'a str,
    options: &'a CopyOptions<'a>,
    /// Bytes that the phase knows of, so that a second attempt does not count them again.
    told: u64,
}

/// How an attempt ended.
#[derive(Debug)]
pub(super) enum Attempt {
    /// The target has the blob.
    Done(Committed),
    /// It was refused, perhaps for what an earlier copy left.
    Stale(Error),
}

/// Which side failed. A target's failure has ended the ingest.
enum Unfilled {
    Source(CopyError),
    Target(Error),
}

impl From<Error> for Unfilled {
    fn from(error: Error) -> Self {
        Self::Source(error.into())
    }
}

impl<'a> Copying<'a> {
    pub(super) fn new(
        source: BlobSource<'a>,
        target: &'a dyn ExportTarget,
        descriptor: &'a Descriptor,
        key: &'a str,
        options: &'a CopyOptions<'a>,
    ) -> Self {
        Self { source, target, descriptor, key, options, told: 0 }
    }

    /// Copies what an ingest that begins at `start` lacks.
    pub(super) async fn attempt(&mut self, start: Start) -> Result<Attempt, CopyError> {
        let mut ingest = match self.begin(start).await? {
            Begun::Started(ingest) => ingest,
            Begun::AlreadyThere(info) => {
                self.tell(info.size);
                return Ok(Attempt::Done(Committed::AlreadyThere(self.label(info).await?)));
            }
        };
        let is_resumed = ingest.offset() > 0;
        match self.fill(&mut *ingest).await {
            Ok(()) => {}
            Err(Unfilled::Source(error)) => {
                self.leave(ingest, error.kind()).await;
                return Err(error);
            }
            Err(Unfilled::Target(error)) => return Err(error.into()),
        }
        match ingest.commit(Some(self.descriptor.digest), self.options.labels.clone()).await {
            Ok(committed) => Ok(Attempt::Done(committed)),
            Err(error) if error.kind() == ErrorKind::Corrupt && is_resumed => Ok(Attempt::Stale(error)),
            Err(error) => Err(error.into()),
        }
    }

    /// A target that keeps refused bytes, although it should not, is made to drop them by a fresh start.
    async fn begin(&self, start: Start) -> Result<Begun> {
        match self.begin_key().await? {
            Begun::Started(left) if left.offset() > 0 && start == Start::Fresh => {
                left.abort().await?;
                self.begin_key().await
            }
            begun => Ok(begun),
        }
    }

    async fn begin_key(&self) -> Result<Begun> {
        let expected = Expected::of(self.descriptor);
        match self.target.begin(self.key, expected).await {
            Err(error) if error.kind() == ErrorKind::Busy && self.options.busy_key == BusyKey::UseAnother => {
                let serial = SERIAL.fetch_add(1, Ordering::Relaxed);
                self.target.begin(&format!("{}-{}-{serial}", self.key, std::process::id()), expected).await
            }
            begun => begun,
        }
    }

    /// Gives a blob that was there the labels that it should have.
    async fn label(&self, info: BlobInfo) -> Result<BlobInfo> {
        let Some(manager) = self.options.manager else { return Ok(info) };
        let wanted = self.options.labels.iter().filter(|(key, value)| info.labels.get(*key) != Some(*value));
        let changes: Vec<_> = wanted.map(|(key, value)| LabelChange::set(key, value)).collect();
        if changes.is_empty() { Ok(info) } else { manager.change_labels(&info.digest, &changes).await }
    }

    /// Writes what `ingest` lacks of the blob. Too many bytes are for the commit to refuse.
    async fn fill(&mut self, ingest: &mut dyn Ingest) -> Result<(), Unfilled> {
        let size = self.descriptor.size;
        self.tell(ingest.offset().min(size));
        if ingest.offset() >= size {
            return Ok(());
        }
        let reader = self.open().await?;
        if reader.size() != size {
            return Err(self.corrupt(format_args!("a source with {} bytes", reader.size())).into());
        }
        let mut stream = reader.read(ingest.offset()..size).await?;
        while let Some(chunk) = stream.next().await {
            let chunk = chunk?;
            if self.options.stop.is_some_and(|stop| stop.load(Ordering::Relaxed)) {
                return Err(Error::new(ErrorKind::Cancelled, "copy blob", self.descriptor.digest).into());
            }
            if ingest.offset() + chunk.len() as u64 > size {
                return Err(self.corrupt("a source that gives more").into());
            }
            ingest.write(chunk).await.map_err(Unfilled::Target)?;
            self.tell(ingest.offset());
        }
        if ingest.offset() != size {
            return Err(self.corrupt(format_args!("a source that ended after {} bytes", ingest.offset())).into());
        }
        Ok(())
    }

    async fn open(&self) -> Result<Box<dyn BlobReader>, Unfilled> {
        if let Some(data) = self.descriptor.verified_data() {
            return Ok(Box::new(bytes::Bytes::copy_from_slice(data)));
        }
        let missing = || Unfilled::Source(CopyError::Missing(self.descriptor.digest));
        self.source.open(self.descriptor).await?.ok_or_else(missing)
    }

    /// Keeps what the next copy can go on from, when the source has failed by `kind`.
    async fn leave(&self, ingest: Box<dyn Ingest>, kind: ErrorKind) {
        let is_useful = ingest.offset() > 0 && kind != ErrorKind::Corrupt;
        if let Err(error) = if is_useful { ingest.keep().await } else { ingest.abort().await } {
            tracing::warn!(%error, key = self.key, "an ingest could not be left in order after its copy failed");
        }
    }

    fn tell(&mut self, offset: u64) {
        let more = offset.saturating_sub(self.told);
        if let (1.., Some(phase)) = (more, self.options.phase) {
            phase.advance_by(more);
        }
        self.told = self.told.max(offset);
    }

    fn corrupt(&self, what: impl std::fmt::Display) -> Error {
        let target = format_args!("{} of {} bytes from {what}", self.descriptor.digest, self.descriptor.size);
        Error::new(ErrorKind::Corrupt, "copy blob", target)
    }
}
