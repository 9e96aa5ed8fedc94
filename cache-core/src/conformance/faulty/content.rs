//! Faulty content stores.

use std::sync::Arc;

use async_trait::async_trait;
use futures::stream::BoxStream;
use futures::{FutureExt, StreamExt};

use crate::conformance::executor::pause;
use crate::conformance::faulty::ingest::{FaultyIngest, Reopen};
use crate::conformance::faulty::reader::{FaultyReader, OpenAgain};
use crate::conformance::faulty::{Fault, Faulty};
use crate::descriptor::Descriptor;
use crate::digest::{Algorithm, Digest};
use crate::error::{ErrorKind, Result};
use crate::labels::{LabelChange, Labels};
use crate::ports::{
    Begun, BlobInfo, BlobReader, Expected, ExportTarget, IngestStatus, Ingester, Lease, LeaseOptions, Manager,
    Provider, Start,
};
use crate::timestamp::Timestamp;

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl<T: Provider + ?Sized> Provider for Faulty<T> {
    async fn open(&self, descriptor: &Descriptor) -> Result<Option<Box<dyn BlobReader>>> {
        let opened = self.inner.open(descriptor).await?;
        let (inner, named) = (Arc::clone(&self.inner), descriptor.clone());
        let again: OpenAgain = Box::new(move || {
            let (inner, named) = (Arc::clone(&inner), named.clone());
            async move { inner.open(&named).await }.boxed()
        });
        Ok(FaultyReader::of(opened, descriptor, self.fault, again))
    }
}

impl<T: Ingester + ?Sized> Faulty<T> {
    /// The lease with which to begin in the place of `lease`.
    async fn substitute(&self, lease: &Lease) -> Result<Lease> {
        match (self.fault, self.accepted.get()) {
            (Fault::AcceptsForeignLease, Some(accepted)) => Ok(accepted.clone()),
            (Fault::AcceptsDeadLease, _) => lease.manager().create(LeaseOptions::default()).await,
            _ => Ok(lease.clone()),
        }
    }

    /// What the ingest `key` was begun with.
    async fn kept(&self, key: &str) -> Result<Option<Expected>> {
        let ingests = self.inner.ingests().await?;
        Ok(ingests.into_iter().find(|status| status.key == key).map(|status| status.expected))
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl<T: Ingester + ?Sized> Ingester for Faulty<T> {
    async fn begin(&self, lease: &Lease, key: &str, expected: Expected, start: Start) -> Result<Begun> {
        let given = lease;
        let lease = self.substitute(lease).await?;
        let key = changed_key(self.fault, key);
        let mut expected = changed_expectation(self.fault, expected);
        let mut start = start;
        match self.fault {
            Fault::OverlooksExistingContent => expected.digest = None,
            Fault::ResumeForgetsOffset => start = Start::Fresh,
            Fault::FreshStartResumes => start = Start::Resume,
            Fault::ResumesAnything => expected = self.kept(&key).await?.unwrap_or(expected),
            _ => {}
        }
        let begun = match self.inner.begin(&lease, &key, expected, start).await {
            Err(error) if error.kind() == ErrorKind::Busy && self.has(Fault::AllowsSecondWriter) => {
                self.inner.begin(&lease, &format!("{key} of a second writer"), expected, Start::Fresh).await?
            }
            begun => begun?,
        };
        let _ = self.accepted.set(given.clone());
        if self.has(Fault::LeaseNotAttached) {
            let held = given.manager().resources(given).await?;
            given.manager().detach(given, &held).await?;
        }
        let begun = hold_while_dropped(self.fault, begun).await;
        let inner = Arc::clone(&self.inner);
        let reopen: Reopen = Box::new(move |key, expected| {
            let (inner, lease) = (Arc::clone(&inner), lease.clone());
            async move { inner.begin(&lease, &key, expected, Start::Fresh).await }.boxed()
        });
        Ok(FaultyIngest::of(begun, self.fault, reopen, Some(given.clone())))
    }

    async fn abort(&self, key: &str) -> Result<bool> {
        let aborted = self.inner.abort(key).await?;
        Ok(aborted || self.has(Fault::AbortSaysYesAlways))
    }

    async fn ingests(&self) -> Result<Vec<IngestStatus>> {
        let mut ingests = self.inner.ingests().await?;
        if self.has(Fault::OmitsIngest) {
            ingests.pop();
        }
        Ok(ingests)
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl<T: ExportTarget + ?Sized> ExportTarget for Faulty<T> {
    async fn begin(&self, key: &str, expected: Expected) -> Result<Begun> {
        let key = changed_key(self.fault, key);
        let mut expected = changed_expectation(self.fault, expected);
        if self.has(Fault::OverlooksExistingContent) {
            expected.digest = None;
        }
        let begun = self.inner.begin(&key, expected).await?;
        let begun = hold_while_dropped(self.fault, begun).await;
        let inner = Arc::clone(&self.inner);
        let reopen: Reopen = Box::new(move |key, expected| {
            let inner = Arc::clone(&inner);
            async move { inner.begin(&key, expected).await }.boxed()
        });
        Ok(FaultyIngest::of(begun, self.fault, reopen, None))
    }
}

fn changed_key(fault: Fault, key: &str) -> String {
    match fault {
        Fault::AcceptsEmptyKey if key.is_empty() => "the empty key".to_owned(),
        Fault::FoldsCaseOfKeys => key.to_lowercase(),
        _ => key.to_owned(),
    }
}

fn changed_expectation(fault: Fault, mut expected: Expected) -> Expected {
    match fault {
        Fault::ForgetsWhatBeginExpected => Expected::UNKNOWN,
        Fault::KnowsOnlySha256 => {
            expected.digest = expected.digest.filter(|digest| digest.algorithm() == Algorithm::Sha256);
            expected
        }
        _ => expected,
    }
}

/// Waits where the fault is to hold the key of a dropped call.
async fn hold_while_dropped(fault: Fault, begun: Begun) -> Begun {
    if fault != Fault::DroppedBeginHoldsKey {
        return begun;
    }
    let begun = std::mem::ManuallyDrop::new(begun);
    pause().await;
    std::mem::ManuallyDrop::into_inner(begun)
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl<T: Manager + ?Sized> Manager for Faulty<T> {
    async fn info(&self, digest: &Digest) -> Result<Option<BlobInfo>> {
        let mut info = self.inner.info(digest).await?;
        if let (Some(info), Fault::InfoForgetsLabels) = (&mut info, self.fault) {
            info.labels.clear();
        }
        Ok(info)
    }

    async fn disk_bytes(&self, digest: &Digest) -> Result<u64> {
        self.inner.disk_bytes(digest).await
    }

    async fn change_labels(&self, digest: &Digest, changes: &[LabelChange]) -> Result<BlobInfo> {
        match self.fault {
            Fault::ChangeReplacesAllLabels => {
                let info = self.inner.info(digest).await?;
                let others = info.into_iter().flat_map(|info| info.labels.into_keys()).map(LabelChange::remove);
                let changes: Vec<_> = others.chain(changes.iter().cloned()).collect();
                self.inner.change_labels(digest, &changes).await
            }
            Fault::ChangesLabelsOneByOne => {
                let mut outcome = self.inner.change_labels(digest, &[]).await?;
                for change in changes {
                    outcome = self.inner.change_labels(digest, std::slice::from_ref(change)).await?;
                }
                Ok(outcome)
            }
            Fault::ChangesLabelsOfNothing => match self.inner.change_labels(digest, changes).await {
                Err(error) if error.kind() == ErrorKind::NotFound => {
                    let (created_at, updated_at) = (Timestamp::UNIX_EPOCH, Timestamp::UNIX_EPOCH);
                    Ok(BlobInfo { digest: *digest, size: 0, created_at, updated_at, labels: Labels::new() })
                }
                changed => changed,
            },
            _ => self.inner.change_labels(digest, changes).await,
        }
    }

    fn list(&self) -> BoxStream<'_, Result<BlobInfo>> {
        self.inner.list().skip(usize::from(self.has(Fault::OmitsBlob))).boxed()
    }
}
