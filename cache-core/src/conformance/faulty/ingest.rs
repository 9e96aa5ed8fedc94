//! Faulty writers.

use std::mem::ManuallyDrop;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use futures::FutureExt;
use futures::future::BoxFuture;

use crate::conformance::executor::pause;
use crate::conformance::faulty::Fault;
use crate::digest::{Algorithm, Digest};
use crate::error::{Error, ErrorKind, Result};
use crate::labels::{Labels, validate_labels};
use crate::ports::{Begun, Committed, Expected, Ingest, IngestStatus, Lease};

/// Begins another ingest of a key in the same store.
pub(super) type Reopen = Box<dyn Fn(String, Expected) -> BoxFuture<'static, Result<Begun>> + Send + Sync>;

pub(super) struct FaultyIngest {
    /// Empty once a call has consumed it.
    inner: Option<Box<dyn Ingest>>,
    fault: Fault,
    reopen: Reopen,
    lease: Option<Lease>,
    /// What was written, for the fault that keeps it.
    written: BytesMut,
}

impl std::fmt::Debug for FaultyIngest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FaultyIngest").field("inner", &self.inner).field("fault", &self.fault).finish_non_exhaustive()
    }
}

impl FaultyIngest {
    /// What begins in the place of `begun`.
    pub(super) fn of(begun: Begun, fault: Fault, reopen: Reopen, lease: Option<Lease>) -> Begun {
        match begun {
            Begun::Started(inner) => {
                let written = BytesMut::new();
                Begun::Started(Box::new(Self { inner: Some(inner), fault, reopen, lease, written }))
            }
            there @ Begun::AlreadyThere(_) => there,
        }
    }

    fn inner(&self) -> &dyn Ingest {
        self.inner.as_deref().expect("only the calls that consume the writer take it")
    }

    fn take(&mut self) -> Box<dyn Ingest> {
        self.inner.take().expect("only the calls that consume the writer take it")
    }

    /// Writes `bytes` through another ingest of `key`; `None` if the store has them.
    async fn again(&self, key: String, expected: Expected, bytes: Bytes) -> Result<Option<Box<dyn Ingest>>> {
        match (self.reopen)(key, expected).await? {
            Begun::AlreadyThere(_) => Ok(None),
            Begun::Started(mut ingest) => {
                ingest.write(bytes).await?;
                Ok(Some(ingest))
            }
        }
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl Ingest for FaultyIngest {
    fn offset(&self) -> u64 {
        if self.fault == Fault::OffsetStandsStill { 0 } else { self.inner().offset() }
    }

    fn status(&self) -> IngestStatus {
        let status = self.inner().status();
        if self.fault == Fault::OffsetStandsStill { IngestStatus { offset: 0, ..status } } else { status }
    }

    async fn write(&mut self, bytes: Bytes) -> Result<()> {
        if self.fault == Fault::VisibleBeforeCommit {
            let key = format!("{} before its commit", self.inner().status().key);
            if let Some(early) = self.again(key, Expected::UNKNOWN, bytes.clone()).await? {
                early.commit(None, Labels::new()).await?;
            }
        }
        if self.fault == Fault::RefusedCommitKeepsBytes {
            self.written.extend_from_slice(&bytes);
        }
        let Some(inner) = &mut self.inner else { return Err(Error::new(ErrorKind::Invalid, "write", "faulty ingest")) };
        inner.write(bytes).await
    }

    async fn keep(mut self: Box<Self>) -> Result<()> {
        self.take().keep().await
    }

    async fn commit(mut self: Box<Self>, expected: Option<Digest>, labels: Labels) -> Result<Committed> {
        let (mut expected, mut labels) = (expected, labels);
        let inner = self.take();
        let IngestStatus { key, expected: begun, .. } = inner.status();
        match self.fault {
            Fault::IgnoresDigestOfCommit => expected = None,
            Fault::KnowsOnlySha256 => expected = expected.filter(|digest| digest.algorithm() == Algorithm::Sha256),
            Fault::ForgetsLabelsOfCommit => labels.clear(),
            Fault::DropsLongLabels => labels.retain(|key, value| validate_labels([(key, &*value)]).is_ok()),
            Fault::RefusesEmptyBlob if inner.offset() == 0 => {
                return Err(Error::new(ErrorKind::Invalid, "commit the empty blob of ingest", key));
            }
            Fault::DroppedCommitHoldsKey => {
                let held = ManuallyDrop::new(inner);
                pause().await;
                return ManuallyDrop::into_inner(held).commit(expected, labels).await;
            }
            _ => {}
        }
        let committed = match inner.commit(expected, labels).await {
            Err(error) if error.kind() == ErrorKind::Corrupt && self.fault == Fault::RefusedCommitKeepsBytes => {
                let written = self.written.split().freeze();
                if let Some(kept) = self.again(key, begun, written).await? {
                    kept.keep().await?;
                }
                return Err(error);
            }
            committed => committed?,
        };
        if let (Fault::LeaseNotAttached, Some(lease)) = (self.fault, &self.lease) {
            let held = lease.manager().resources(lease).await?;
            lease.manager().detach(lease, &held).await?;
        }
        if self.fault == Fault::CommitLeavesIngest
            && let Some(left) = self.again(key, Expected::UNKNOWN, Bytes::from_static(b"left")).await?
        {
            left.keep().await?;
        }
        match (self.fault, committed) {
            (Fault::SaysNewAlways, committed) => Ok(Committed::New(committed.into_info())),
            (_, committed) => Ok(committed),
        }
    }

    async fn abort(mut self: Box<Self>) -> Result<()> {
        let inner = self.take();
        match self.fault {
            Fault::AbortKeepsBytes => inner.keep().await,
            Fault::AbortCommits => inner.commit(None, Labels::new()).await.map(drop),
            _ => inner.abort().await,
        }
    }
}

impl Drop for FaultyIngest {
    fn drop(&mut self) {
        let Some(inner) = self.inner.take() else { return };
        match self.fault {
            Fault::DroppedWriterHoldsKey => std::mem::forget(inner),
            // A backend that answers at once has committed when its future is polled once.
            Fault::DroppedWriterCommits => drop(inner.commit(None, Labels::new()).now_or_never()),
            _ => drop(inner),
        }
    }
}
