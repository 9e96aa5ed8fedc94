//! The vocabulary, the ports and the reference backends of layercache: BuildKit's cache layer as embeddable crates.

pub mod annotation;
mod backends;
pub mod cache;
mod compression;
#[cfg(feature = "conformance")]
pub mod conformance;
mod descriptor;
mod digest;
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

pub use backends::Backends;
pub use compression::{CodecId, Compression, CompressionConfig, Conversion};
pub use descriptor::{Annotations, Descriptor, null_as_empty};
pub use digest::{Algorithm, Digest, DigestHasher};
pub use error::{Error, ErrorKind, Result};
pub use labels::{LabelChange, Labels, MAX_LABEL_BYTES, apply_label_changes, validate_labels};
pub use layer::{BlobChain, Layer, chain_id, child_chain_id};
pub use media_type::{MediaType, MediaTypeFamily};
pub use platform::Platform;
pub use system_clock::SystemClock;
pub use thread_pool::ThreadPool;
pub use timestamp::Timestamp;
