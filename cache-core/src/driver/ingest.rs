//! One blob on its way into a content store over a storage driver.

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::TryStreamExt;

use crate::digest::{Digest, DigestHasher};
use crate::driver::content::DriverContent;
use crate::driver::record::{self, Change, Record};
use crate::driver::unfinished::{Naming, Unfinished, Writer};
use crate::error::{Error, ErrorKind, Result};
use crate::labels::{Labels, validate_labels};
use crate::ports::{Committed, Ingest, IngestStatus, Lease, Resource};

/// The key is free when this is dropped.
#[derive(Debug)]
pub(super) struct DriverIngest {
    store: DriverContent,
    lease: Lease,
    /// As it was when this writer began. Its object tells the ingest from a later one of the same key.
    begun: Unfinished,
    hold: Hold,
}

/// What a writer still has of its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Hold {
    /// It can be written to.
    Open,
    /// It was told too much; what it took before stays.
    Ended,
    /// An append failed or was dropped, so that nobody knows what the object holds.
    Spoilt,
    /// The ingest is gone and the key may be another writer's.
    Gone,
}

impl DriverIngest {
    pub(super) fn new(store: DriverContent, lease: Lease, begun: Unfinished) -> Self {
        Self { store, lease, begun, hold: Hold::Open }
    }

    fn key(&self) -> &str {
        &self.begun.status.key
    }

    fn error(&self, kind: ErrorKind, operation: &'static str) -> Error {
        Error::new(kind, operation, self.key().escape_debug())
    }

    /// The ingest as it is now, if it is still this writer's.
    fn current(&self) -> Option<Unfinished> {
        let state = self.store.ingests.lock();
        state.unfinished.get(self.key()).filter(|ingest| ingest.object == self.begun.object).cloned()
    }

    fn writable(&self, operation: &'static str) -> Result<Unfinished> {
        let current = self.current().filter(|_| self.hold == Hold::Open);
        current.ok_or_else(|| self.error(ErrorKind::Invalid, operation))
    }

    fn change(&self, change: impl FnOnce(&mut Unfinished)) {
        let mut state = self.store.ingests.lock();
        state.unfinished.get_mut(self.key()).filter(|ingest| ingest.object == self.begun.object).map(change);
    }

    fn forget(&self) {
        let mut state = self.store.ingests.lock();
        if state.unfinished.get(self.key()).is_some_and(|ingest| ingest.object == self.begun.object) {
            state.forget(self.key());
        }
    }

    /// Gives the key free for good, and frees what nobody needs any more.
    async fn end(&mut self) {
        self.hold = Hold::Gone;
        self.forget();
        let ingest = Resource::Ingest(self.key().to_owned());
        if let Err(error) = self.store.leases.detach(&self.lease, &[ingest]).await {
            tracing::debug!(%error, "a lease names an ingest that is no more");
        }
        self.store.delete_doomed().await;
    }

    /// The digest of the bytes, if they are what was expected at the beginning and at the end.
    async fn verify(&self, ingest: &Unfinished, expected: Option<Digest>) -> Result<Digest> {
        let corrupt = || self.error(ErrorKind::Corrupt, "commit ingest");
        let begun = ingest.status.expected;
        if begun.size.is_some_and(|size| size != ingest.status.offset) {
            return Err(corrupt().with_source(format!("the bytes are {} bytes long", ingest.status.offset)));
        }
        let hashed = ingest.hasher.clone().finish();
        let mut digest = None;
        for wanted in begun.digest.into_iter().chain(expected) {
            let is_hashed = wanted.algorithm() == hashed.algorithm();
            let found =
                if is_hashed { hashed } else { self.hash_again(ingest, DigestHasher::new(wanted.algorithm())).await? };
            if found != wanted {
                return Err(corrupt().with_source(format!("the bytes are {found}")));
            }
            digest.get_or_insert(found);
        }
        Ok(digest.unwrap_or(hashed))
    }

    /// For a digest of an algorithm that was not known when the bytes came.
    async fn hash_again(&self, ingest: &Unfinished, mut hasher: DigestHasher) -> Result<Digest> {
        if ingest.status.offset > 0 {
            let mut bytes = self.store.driver.read(&ingest.object, 0..ingest.status.offset).await?;
            while let Some(chunk) = bytes.try_next().await? {
                hasher.update(&chunk);
            }
        }
        Ok(hasher.finish())
    }

    /// Lets a record name the object, or adds `labels` to the record that there is.
    async fn enter(&self, digest: Digest, ingest: &Unfinished, labels: Labels) -> Result<Committed> {
        let (metadata, now) = (&*self.store.metadata, self.store.clock.now());
        let (object, size) = (ingest.object.clone(), ingest.status.offset);
        let record = Record { object, size, created_at: now, updated_at: now, labels };
        loop {
            if record::create(metadata, &digest, &record).await? {
                return Ok(Committed::New(record.info(digest)));
            }
            let there = record::change(metadata, &digest, |there| {
                let before = there.labels.len();
                for (key, value) in &record.labels {
                    there.labels.entry(key.clone()).or_insert_with(|| value.clone());
                }
                if there.labels.len() == before {
                    return Ok(Change::None);
                }
                there.updated_at = now;
                Ok(Change::Made)
            });
            if let Some(there) = there.await? {
                if there.object != record.object {
                    self.change(|ingest| ingest.naming = Naming::Never);
                }
                return Ok(Committed::AlreadyThere(there.info(digest)));
            }
        }
    }
}

#[async_trait]
impl Ingest for DriverIngest {
    fn offset(&self) -> u64 {
        self.status().offset
    }

    fn status(&self) -> IngestStatus {
        self.current().unwrap_or_else(|| self.begun.clone()).status
    }

    async fn write(&mut self, bytes: Bytes) -> Result<()> {
        let mut ingest = self.writable("write to ended ingest")?;
        let offset = ingest.status.offset + bytes.len() as u64;
        if ingest.status.expected.size.is_some_and(|size| offset > size) {
            self.hold = Hold::Ended;
            return Err(self.error(ErrorKind::LimitExceeded, "write past the expected size of ingest"));
        }
        if !bytes.is_empty() {
            ingest.hasher.update(&bytes);
            self.hold = Hold::Spoilt;
            self.store.driver.append(&ingest.object, bytes).await?;
            self.hold = Hold::Open;
        }
        (ingest.status.offset, ingest.status.updated_at) = (offset, self.store.clock.now());
        self.change(|unfinished| *unfinished = ingest);
        Ok(())
    }

    async fn keep(self: Box<Self>) -> Result<()> {
        Ok(())
    }

    async fn commit(mut self: Box<Self>, expected: Option<Digest>, labels: Labels) -> Result<Committed> {
        let ingest = self.writable("commit ended ingest")?;
        validate_labels(&labels)?;
        let digest = match self.verify(&ingest, expected).await {
            Ok(digest) => digest,
            Err(error) => {
                if error.kind() == ErrorKind::Corrupt && ingest.status.is_full() {
                    self.end().await;
                }
                return Err(error);
            }
        };
        // Also tells whether the lease is alive. What it holds need not exist, should the rest fail.
        self.store.leases.attach(&self.lease, &[Resource::Content(digest)]).await?;
        if ingest.status.offset > 0 {
            self.store.driver.sync(&ingest.object).await?;
        }
        self.change(|ingest| ingest.naming = Naming::Perhaps);
        let committed = self.enter(digest, &ingest, labels).await?;
        self.end().await;
        Ok(committed)
    }

    async fn abort(mut self: Box<Self>) -> Result<()> {
        self.end().await;
        Ok(())
    }
}

impl Drop for DriverIngest {
    fn drop(&mut self) {
        match self.hold {
            Hold::Open | Hold::Ended => self.change(|ingest| ingest.writer = Writer::None),
            Hold::Spoilt => self.forget(),
            Hold::Gone => {}
        }
    }
}
