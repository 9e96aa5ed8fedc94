//! Reference backends that keep everything in the memory of one process and need nothing of the system.
//!
//! They are for tests, for builds that throw their cache away, and to read: each port's contract in its shortest form.
//! [`Memory`] makes all of them over one shared state, so that its collector sees what its leases hold.
//!
//! ```
//! use std::sync::Arc;
//! use cache_core::memory::{ManualClock, Memory};
//! use cache_core::ports::{Begun, Expected, Ingester, LeaseManager, LeaseOptions, Manager, Start};
//!
//! # pollster::block_on(async {
//! let memory = Memory::new(Arc::new(ManualClock::default()));
//! let lease = memory.leases.create(LeaseOptions::default()).await?;
//! let begun = memory.content.begin(&lease, "hello", Expected::UNKNOWN, Start::Fresh).await?;
//! let Begun::Started(mut ingest) = begun else { unreachable!("nothing is there before the first commit") };
//! ingest.write("hello".into()).await?;
//! let committed = ingest.commit(None, Default::default()).await?;
//! assert!(memory.content.info(&committed.info().digest).await?.is_some());
//! # Ok::<(), cache_core::Error>(())
//! # }).unwrap();
//! ```

mod bundle;
mod clock;
mod collector;
mod content;
mod images;
mod ingest;
mod leases;
mod locks;
mod metadata;
mod reach;
mod remote;
mod state;

pub use bundle::Memory;
pub use clock::ManualClock;
pub use collector::MemoryCollector;
pub use content::MemoryContent;
#[cfg(all(feature = "conformance", target_os = "linux"))]
pub use images::MemoryImages;
pub use leases::MemoryLeases;
pub use locks::MemoryLocks;
pub use metadata::MemoryMetadata;
pub use remote::MemoryRemote;
