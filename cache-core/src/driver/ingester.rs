//! How ingests of a content store over a storage driver begin.

use async_trait::async_trait;

use crate::driver::content::DriverContent;
use crate::driver::ingest::DriverIngest;
use crate::driver::record;
use crate::driver::unfinished::{Unfinished, Writer};
use crate::error::{Error, ErrorKind, Result};
use crate::ports::{Begun, Expected, IngestStatus, Ingester, Lease, Resource, Start};

#[async_trait]
impl Ingester for DriverContent {
    async fn begin(&self, lease: &Lease, key: &str, expected: Expected, start: Start) -> Result<Begun> {
        if key.is_empty() {
            return Err(Error::new(ErrorKind::Invalid, "begin ingest", "the empty key"));
        }
        // Attaching also tells whether the lease is alive and the manager's.
        if let Some(digest) = expected.digest
            && let Some(found) = record::find(&*self.metadata, &digest).await?
            && expected.size.is_none_or(|size| size == found.size)
        {
            self.leases.attach(lease, &[Resource::Content(digest)]).await?;
            return Ok(Begun::AlreadyThere(found.info(digest)));
        }
        self.leases.attach(lease, &[Resource::Ingest(key.to_owned())]).await?;
        self.delete_doomed().await;
        let begun = self.ingests.lock().open(key, expected, start, self.clock.now())?;
        Ok(Begun::Started(Box::new(DriverIngest::new(self.clone(), lease.clone(), begun))))
    }

    async fn abort(&self, key: &str) -> Result<bool> {
        {
            let mut state = self.ingests.lock();
            match state.unfinished.get(key) {
                None => return Ok(false),
                Some(Unfinished { writer: Writer::Open, .. }) => {
                    return Err(Error::new(ErrorKind::Busy, "abort ingest", key.escape_debug()));
                }
                Some(Unfinished { writer: Writer::None, .. }) => state.forget(key),
            }
        }
        self.delete_doomed().await;
        Ok(true)
    }

    async fn ingests(&self) -> Result<Vec<IngestStatus>> {
        Ok(self.ingests.lock().unfinished.values().map(|ingest| ingest.status.clone()).collect())
    }
}
