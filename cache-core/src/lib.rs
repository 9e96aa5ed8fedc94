//! The vocabulary, the ports, the refs and the reference backends of layercache: BuildKit's cache layer as embeddable
//! crates.
//!
//! - Values: [`Digest`], [`Descriptor`], [`MediaType`], [`Layer`], [`BlobChain`], [`Timestamp`], …
//! - [`ports`]: what an embedder may inject.
//! - [`cache`]: refs over injected backends; [`flight`]: work that several callers want once; [`variants`]: a layer in other
//!   compressions.
//! - Backends: [`memory`], and by Cargo feature or system `local` (one directory for any number of processes), `snapshot`
//!   (overlayfs and native trees) and `mount`.
//! - [`driver`]: a content store over a place for bytes of your own.
//! - `conformance` (feature): suites for implementations of the ports.
//!
//! ```
//! use std::sync::Arc;
//! use cache_core::memory::{ManualClock, Memory};
//! use cache_core::ports::{Begun, Expected, Ingester, LeaseManager, LeaseOptions, Manager, Start};
//! use cache_core::{Digest, Labels};
//!
//! # pollster::block_on(async {
//! let store = Memory::new(Arc::new(ManualClock::default()));
//! let lease = store.leases.create(LeaseOptions::default()).await?;
//! if let Begun::Started(mut ingest) = store.content.begin(&lease, "greeting", Expected::UNKNOWN, Start::Fresh).await? {
//!     ingest.write("hello".into()).await?;
//!     ingest.commit(Some(Digest::of("hello")), Labels::new()).await?;
//! }
//! assert!(store.content.info(&Digest::of("hello")).await?.is_some());
//! # Ok::<_, cache_core::Error>(())
//! # }).unwrap();
//! ```

pub mod annotation;
mod backends;
pub mod cache;
mod compression;
#[cfg(feature = "conformance")]
pub mod conformance;
mod descriptor;
mod digest;
pub mod driver;
mod error;
pub mod flight;
pub mod json;
mod labels;
mod layer;
#[cfg(all(feature = "local", target_os = "linux"))]
pub mod local;
mod media_type;
pub mod memory;
#[cfg(target_os = "linux")]
pub mod mount;
mod oci;
mod platform;
pub mod ports;
#[cfg(target_os = "linux")]
pub mod snapshot;
mod system_clock;
mod thread_pool;
mod timestamp;
pub mod variants;

pub use backends::Backends;
pub use compression::{CodecId, Compression, CompressionConfig, Conversion};
pub use descriptor::{Annotations, Descriptor};
pub use digest::{Algorithm, Digest, DigestHasher};
pub use error::{Error, ErrorKind, Result};
pub use json::null_as_empty;
pub use labels::{LabelChange, Labels, MAX_LABEL_BYTES, apply_label_changes, validate_labels};
pub use layer::{BlobChain, Layer, chain_id, child_chain_id};
pub use media_type::{MediaType, MediaTypeFamily};
pub use platform::Platform;
pub use system_clock::SystemClock;
pub use thread_pool::ThreadPool;
pub use timestamp::Timestamp;
