//! Content: blobs by digest, and the ingests that become blobs.

use std::fmt::Debug;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;

use crate::descriptor::Descriptor;
use crate::digest::Digest;
use crate::error::Result;
use crate::labels::{LabelChange, Labels};
use crate::ports::lease::Lease;
use crate::timestamp::Timestamp;

/// A stream of bytes in order.
pub type ByteStream = BoxStream<'static, Result<Bytes>>;

/// Opens blobs. Mirrors: containerd `core/content.Provider`.
///
/// # Cancel safety
/// A dropped call holds nothing.
#[async_trait]
pub trait Provider: Send + Sync + Debug + 'static {
    /// Opens the blob of `descriptor`. Only its digest is required; an implementation may use the other fields to find the
    /// bytes. `None` if there is no such blob; an ingest that was not committed is none.
    ///
    /// # Errors
    /// The backend's own failures.
    async fn open(&self, descriptor: &Descriptor) -> Result<Option<Box<dyn BlobReader>>>;
}

/// An open blob. It stays readable until it is dropped, also when the blob is collected meanwhile. [`Bytes`] are one.
///
/// # Cancel safety
/// A dropped call holds nothing.
#[async_trait]
pub trait BlobReader: Send + Sync + Debug + 'static {
    /// Its length in bytes.
    fn size(&self) -> u64;

    /// The bytes of `range`, as a stream of chunks of any size. A range that ends past the blob gives the bytes there are;
    /// one that begins past it gives none.
    ///
    /// # Errors
    /// The backend's own failures, here or as an item of the stream, which then ends.
    async fn read(&self, range: Range<u64>) -> Result<ByteStream>;

    /// The file that holds exactly this blob, if the backend has one.
    fn local_file(&self) -> Option<PathBuf>;
}

/// Where an ingest begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Start {
    /// At zero; bytes that an earlier ingest of the key left are dropped.
    Fresh,
    /// After the bytes that an earlier ingest of the key kept, if it expected the same blob; else at zero.
    Resume,
}

/// What the caller knows of the blob before it is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Expected {
    /// Its digest. It also says by which algorithm the bytes are hashed.
    pub digest: Option<Digest>,
    /// Its length in bytes.
    pub size: Option<u64>,
}

impl Expected {
    /// Nothing is known.
    pub const UNKNOWN: Self = Self { digest: None, size: None };

    /// The blob of `descriptor`.
    pub fn of(descriptor: &Descriptor) -> Self {
        Self { digest: Some(descriptor.digest), size: Some(descriptor.size) }
    }
}

/// How an ingest began.
#[derive(Debug)]
pub enum Begun {
    /// The store has the expected blob; the lease holds it now.
    AlreadyThere(BlobInfo),
    /// Write to it.
    Started(Box<dyn Ingest>),
}

/// An ingest that was kept or is under way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IngestStatus {
    /// The key that it was begun with.
    pub key: String,
    /// Bytes that it holds.
    pub offset: u64,
    /// What was expected when it was begun.
    pub expected: Expected,
    /// When it was first begun.
    pub started_at: Timestamp,
    /// When bytes were last added.
    pub updated_at: Timestamp,
}

impl IngestStatus {
    /// Whether as many bytes are there as were expected, or more, so that no further byte can make them another blob. Never,
    /// where no size is expected.
    pub fn is_full(&self) -> bool {
        self.expected.size.is_some_and(|size| self.offset >= size)
    }
}

/// Takes blobs into a store that collects what nobody holds. Mirrors: containerd `core/content.Ingester`, `IngestManager`.
///
/// # Cancel safety
/// A dropped call did its work as a whole or not at all.
#[async_trait]
pub trait Ingester: Send + Sync + Debug + 'static {
    /// Begins the ingest `key`, or answers that the expected blob is there. One key has one writer at a time, among all
    /// processes. The ingest, and then its blob, is held by `lease`.
    ///
    /// # Errors
    /// `Busy` while another writer has the key; `Invalid` for an empty key or a dead or foreign lease.
    ///
    /// # Cancel safety
    /// A dropped call leaves at most an empty ingest that the next call takes over.
    async fn begin(&self, lease: &Lease, key: &str, expected: Expected, start: Start) -> Result<Begun>;

    /// Drops what the ingest `key` kept; whether there was one.
    ///
    /// # Errors
    /// `Busy` while a writer has the key.
    async fn abort(&self, key: &str) -> Result<bool>;

    /// Every ingest that is kept or under way, in any order.
    ///
    /// # Errors
    /// The backend's own failures.
    async fn ingests(&self) -> Result<Vec<IngestStatus>>;
}

/// One blob on its way in. It is invisible to [`Provider`] and [`Manager`] before [`commit`](Self::commit).
///
/// A write that failed, or whose future was dropped, ends the writer: further calls are `Invalid`, and the ingest is
/// reopened with [`Start::Resume`] for its true offset. Dropping the writer gives the key free; whether the bytes are kept
/// then is the store's choice.
///
/// # Cancel safety
/// A dropped [`write`](Self::write) may have added bytes, and ends the writer. A dropped [`keep`](Self::keep) or
/// [`abort`](Self::abort) did its work or is as good as dropping the writer.
#[async_trait]
pub trait Ingest: Send + Sync + Debug + 'static {
    /// Bytes taken so far.
    fn offset(&self) -> u64;

    /// When the ingest was first begun and when bytes were last added, the key, and what is expected.
    fn status(&self) -> IngestStatus;

    /// Adds `bytes`.
    ///
    /// # Errors
    /// `NoSpace`, `LimitExceeded` past the expected size, and the backend's own failures; the writer is ended then.
    async fn write(&mut self, bytes: Bytes) -> Result<()>;

    /// Gives the key free and keeps the bytes for [`Start::Resume`].
    ///
    /// # Errors
    /// The backend's own failures.
    async fn keep(self: Box<Self>) -> Result<()>;

    /// Makes the bytes a blob, durably, with `labels`. Where `expected` or the digest or size of [`Ingester::begin`] names
    /// another blob, nothing is committed. What is [full](IngestStatus::is_full) and still wrong is dropped then, since every
    /// copy that went on from it would fail again; what is not full, or expects no size, stays for [`Start::Resume`].
    ///
    /// A blob that was there already keeps its labels; those of `labels` that it lacks are added.
    ///
    /// # Errors
    /// `Corrupt` if digest or size are not the expected ones; `Invalid` if the writer was ended or the lease is dead.
    ///
    /// # Cancel safety
    /// A dropped call committed, refused, or left the ingest as it was.
    async fn commit(self: Box<Self>, expected: Option<Digest>, labels: Labels) -> Result<Committed>;

    /// Drops the bytes.
    ///
    /// # Errors
    /// The backend's own failures.
    async fn abort(self: Box<Self>) -> Result<()>;
}

/// How a commit ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Committed {
    /// The blob is new.
    New(BlobInfo),
    /// The store had the same blob; the ingest is gone and the lease holds the blob.
    AlreadyThere(BlobInfo),
}

impl Committed {
    /// What the store knows of the blob.
    pub fn info(&self) -> &BlobInfo {
        match self {
            Self::New(info) | Self::AlreadyThere(info) => info,
        }
    }

    /// What the store knows of the blob.
    pub fn into_info(self) -> BlobInfo {
        match self {
            Self::New(info) | Self::AlreadyThere(info) => info,
        }
    }
}

/// What a store knows of a blob.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlobInfo {
    /// Its digest.
    pub digest: Digest,
    /// Its length in bytes.
    pub size: u64,
    /// When it was committed.
    pub created_at: Timestamp,
    /// When it was committed or its labels were last changed.
    pub updated_at: Timestamp,
    /// Its labels.
    pub labels: Labels,
}

/// Looks after committed blobs. It cannot delete: only a [`Collector`](crate::ports::Collector) does.
/// Mirrors: containerd `core/content.Manager`.
///
/// # Cancel safety
/// A dropped call changed all labels or none.
#[async_trait]
pub trait Manager: Send + Sync + Debug + 'static {
    /// What is known of the blob; `None` if there is none.
    ///
    /// # Errors
    /// The backend's own failures.
    async fn info(&self, digest: &Digest) -> Result<Option<BlobInfo>>;

    /// The disk that the blob takes, nothing if there is none. Stores that do not know better say its length.
    ///
    /// # Errors
    /// The backend's own failures.
    async fn disk_bytes(&self, digest: &Digest) -> Result<u64> {
        Ok(self.info(digest).await?.map_or(0, |info| info.size))
    }

    /// Changes labels key by key, all or none of them, and gives the outcome.
    ///
    /// # Errors
    /// `NotFound` if there is no such blob; `Invalid` and `LimitExceeded` as
    /// [`validate_labels`](crate::labels::validate_labels).
    async fn change_labels(&self, digest: &Digest, changes: &[LabelChange]) -> Result<BlobInfo>;

    /// Every committed blob, in any order.
    ///
    /// # Errors
    /// The backend's own failures, as an item of the stream, which then ends.
    fn list(&self) -> BoxStream<'_, Result<BlobInfo>>;
}

/// A whole content store: whatever is [`Provider`], [`Ingester`] and [`Manager`] is one.
pub trait ContentStore: Provider + Ingester + Manager {}

impl<T: Provider + Ingester + Manager> ContentStore for T {}

/// Takes blobs where nobody collects them: an image layout, an archive, a registry. An [`Ingester`] becomes one together
/// with the lease that is to hold the blobs ([`Leased`]).
///
/// # Cancel safety
/// A dropped call leaves nothing visible, and gives the key free.
#[async_trait]
pub trait ExportTarget: Send + Sync + Debug + 'static {
    /// Begins a blob that must turn out to be `expected`, or answers that it is there.
    ///
    /// # Errors
    /// The backend's own failures.
    async fn begin(&self, key: &str, expected: Expected) -> Result<Begun>;
}

/// An ingester as an [`ExportTarget`]: what is exported is held by `lease`.
#[derive(Clone, Debug)]
pub struct Leased {
    ingester: Arc<dyn Ingester>,
    lease: Lease,
}

impl Leased {
    /// `ingester`, whose exported blobs `lease` holds.
    pub fn new(ingester: Arc<dyn Ingester>, lease: Lease) -> Self {
        Self { ingester, lease }
    }
}

#[async_trait]
impl ExportTarget for Leased {
    async fn begin(&self, key: &str, expected: Expected) -> Result<Begun> {
        self.ingester.begin(&self.lease, key, expected, Start::Resume).await
    }
}
