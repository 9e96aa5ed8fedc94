//! The suite for export targets: ingesters under a lease, layouts, archives, registries, buckets.

pub mod blob;
pub mod refusal;

use std::any::Any;
use std::sync::Arc;

use bytes::Bytes;

use crate::conformance::Unmet;
use crate::conformance::blob::{ALL, named, read_range};
use crate::descriptor::Descriptor;
use crate::ports::{ExportTarget, Fetcher, Provider};

/// How the suite reads what was exported.
#[derive(Clone, Debug)]
enum ReadBack {
    Provider(Arc<dyn Provider>),
    Fetcher(Arc<dyn Fetcher>),
}

/// An empty export target and a way to read from it.
#[derive(Debug)]
pub struct ExportSubject {
    target: Arc<dyn ExportTarget>,
    read_back: ReadBack,
    _keep: Option<Box<dyn Any + Send + Sync>>,
}

impl ExportSubject {
    /// `target`, which is empty, and a fetcher of what it has.
    pub fn with_fetcher(target: Arc<dyn ExportTarget>, fetcher: Arc<dyn Fetcher>) -> Self {
        Self { target, read_back: ReadBack::Fetcher(fetcher), _keep: None }
    }

    /// `target`, which is empty, and a provider of what it has.
    pub fn with_provider(target: Arc<dyn ExportTarget>, provider: Arc<dyn Provider>) -> Self {
        Self { target, read_back: ReadBack::Provider(provider), _keep: None }
    }

    /// The same, holding `keep` (a temporary directory, a server) until the check has ended.
    #[must_use]
    pub fn keeping(mut self, keep: impl Any + Send + Sync) -> Self {
        self._keep = Some(Box::new(keep));
        self
    }

    /// The bytes of the blob; `None` if the target does not have it.
    async fn read(&self, descriptor: &Descriptor) -> Result<Option<Bytes>, Unmet> {
        let opened = match &self.read_back {
            ReadBack::Provider(provider) => provider.open(descriptor).await?,
            ReadBack::Fetcher(fetcher) => fetcher.fetch(descriptor).await?,
        };
        match opened {
            Some(reader) => Ok(Some(read_range(&*reader, ALL).await?)),
            None => Ok(None),
        }
    }

    /// As [`read`](Self::read), for a blob of which only the bytes are known.
    async fn read_bytes(&self, bytes: &Bytes) -> Result<Option<Bytes>, Unmet> {
        let mut descriptor = named(crate::Digest::of(bytes));
        descriptor.size = bytes.len() as u64;
        self.read(&descriptor).await
    }
}

suite! {
    ($)
    /// One `#[test]` for every check of [`conformance::export`](crate::conformance::export), each on a fresh subject of
    /// the given factory.
    export_conformance, export, ExportSubject;
    blob::what_is_committed_is_readable,
    blob::blobs_are_written_side_by_side,
    blob::an_empty_blob_is_a_blob,
    blob::what_is_there_is_not_written_again,
    blob::a_key_is_used_again,
    refusal::nothing_is_visible_before_its_commit,
    refusal::other_bytes_are_corrupt,
    refusal::a_refused_blob_is_not_resumed,
    refusal::too_few_bytes_are_corrupt,
    refusal::too_many_bytes_are_refused,
    refusal::an_aborted_blob_is_not_there,
    refusal::a_dropped_writer_leaves_nothing_visible,
}
