//! The ports: what an embedder may inject. Each holds the minimum that an implementor must write.
//!
//! All are object-safe, `Send + Sync + Debug + 'static`, and used as `Arc<dyn …>`. A port's future is polled on the
//! caller's task under any executor; a backend that needs a runtime holds its own handle.

mod collector;
mod content;
mod diff;
mod fetch;
mod image;
mod in_memory;
mod lease;
mod locks;
mod metadata;
mod progress;
mod runtime;
mod snapshot;

pub use collector::{Collected, Collector};
pub use content::{
    Begun, BlobInfo, BlobReader, ByteStream, Committed, ContentStore, Expected, ExportTarget, Ingest, IngestStatus,
    Ingester, Leased, Manager, Provider, Start,
};
pub use diff::{
    Applied, Applier, ApplyOptions, ApplySource, DiffOptions, Differ, LayerMode, ParentDiff, ParentDiffer, XattrPolicy,
};
pub use fetch::{Fetcher, Resolver};
pub use image::{Image, ImageOutcome, ImageStore};
pub use lease::{Lease, LeaseInfo, LeaseKind, LeaseManager, LeaseOptions, Resource, TemporaryLease};
pub use locks::{LockGuard, LockMode, Locks};
pub use metadata::{
    BatchOutcome, IndexEntry, IndexQuery, MetadataChange, MetadataRecord, MetadataStore, Precondition, Uniqueness,
};
pub use progress::{NoProgress, Phase, Progress, ProgressEvent};
pub use runtime::{Clock, Job, Pool, PoolExt};
pub use snapshot::{
    Access, Mount, MountKind, MountedTree, Mounter, Prepared, SnapshotInfo, SnapshotKind, Snapshotter, Usage,
};
