//! Copies of blobs into an export target.

use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use cache_core::ports::{Begun, Expected, ExportTarget, Ingest, Manager, Provider};
use cache_core::{Descriptor, Error, ErrorKind, LabelChange, Labels, Result};
use futures::StreamExt;

/// Tells apart the keys that one process uses when the usual one is taken.
static SERIAL: AtomicU64 = AtomicU64::new(0);

/// Where the blobs of an image go.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Destination<'a> {
    pub(crate) target: &'a dyn ExportTarget,
    /// The content store behind the target, if there is one.
    pub(crate) manager: Option<&'a dyn Manager>,
}

impl Destination<'_> {
    /// Copies the blob of `descriptor`; `advance` is told how many bytes each step dealt with.
    pub(crate) async fn copy(
        &self,
        provider: &dyn Provider,
        descriptor: &Descriptor,
        labels: Labels,
        advance: impl Fn(u64) + Send + Sync,
    ) -> Result<()> {
        let Some((key, mut ingest)) = self.begin(descriptor, &labels).await? else {
            advance(descriptor.size);
            return Ok(());
        };
        advance(ingest.offset());
        match read_into(provider, descriptor, ingest.as_mut(), advance).await {
            Ok(()) => self.commit(&key, ingest, descriptor, labels).await,
            Err(error) => {
                ingest.keep().await?;
                Err(error)
            }
        }
    }

    /// Writes a blob that is in memory.
    pub(crate) async fn put(&self, descriptor: &Descriptor, bytes: &Bytes, labels: Labels) -> Result<()> {
        let Some((key, mut ingest)) = self.begin(descriptor, &labels).await? else { return Ok(()) };
        let offset = usize::try_from(ingest.offset()).unwrap_or(usize::MAX);
        if offset < bytes.len() {
            ingest.write(bytes.slice(offset..)).await?;
        }
        self.commit(&key, ingest, descriptor, labels).await
    }

    /// `None` if the blob is there; it has `labels` then. While somebody else writes the same blob, it is written under
    /// another key, so that neither has to wait for the other.
    async fn begin(&self, descriptor: &Descriptor, labels: &Labels) -> Result<Option<(String, Box<dyn Ingest>)>> {
        let mut key = key(descriptor);
        let begun = match self.target.begin(&key, Expected::of(descriptor)).await {
            Err(error) if error.kind() == ErrorKind::Busy => {
                key = format!("{key}-{}-{}", std::process::id(), SERIAL.fetch_add(1, Ordering::Relaxed));
                self.target.begin(&key, Expected::of(descriptor)).await?
            }
            begun => begun?,
        };
        match begun {
            Begun::Started(ingest) => Ok(Some((key, ingest))),
            Begun::AlreadyThere(info) => {
                let missing = labels.iter().filter(|(key, value)| info.labels.get(*key) != Some(*value));
                let changes: Vec<_> = missing.map(|(key, value)| LabelChange::set(key, value)).collect();
                if let Some(manager) = self.manager
                    && !changes.is_empty()
                {
                    manager.change_labels(&descriptor.digest, &changes).await?;
                }
                Ok(None)
            }
        }
    }

    async fn commit(&self, key: &str, ingest: Box<dyn Ingest>, descriptor: &Descriptor, labels: Labels) -> Result<()> {
        match ingest.commit(Some(descriptor.digest), labels).await {
            Ok(_) => Ok(()),
            Err(error) if error.kind() == ErrorKind::Corrupt => {
                // The wrong bytes would be what the next copy resumes.
                if let Begun::Started(wrong) = self.target.begin(key, Expected::of(descriptor)).await? {
                    wrong.abort().await?;
                }
                Err(error)
            }
            Err(error) => Err(error),
        }
    }
}

/// Mirrors: BuildKit, whose ingests of an image are named by the digest.
fn key(descriptor: &Descriptor) -> String {
    descriptor.digest.to_string()
}

async fn read_into(
    provider: &dyn Provider,
    descriptor: &Descriptor,
    ingest: &mut dyn Ingest,
    advance: impl Fn(u64),
) -> Result<()> {
    let missing = || Error::new(ErrorKind::NotFound, "copy blob", descriptor.digest);
    let reader = provider.open(descriptor).await?.ok_or_else(missing)?;
    if reader.size() != descriptor.size {
        return Err(Error::new(ErrorKind::Corrupt, "copy blob of another size", descriptor.digest));
    }
    let mut chunks = reader.read(ingest.offset()..descriptor.size).await?;
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk?;
        let length = chunk.len() as u64;
        ingest.write(chunk).await?;
        advance(length);
    }
    Ok(())
}
