//! A content store over a place for bytes of your own: a directory, a bucket, a database.
//!
//! A [`StorageDriver`] says where the bytes lie: append, sync, read and delete of objects by name. [`DriverContent`] makes
//! a content store of it and of backends that an embedder has already: what is known of blobs is kept in a metadata store,
//! what holds them in a lease manager. Keys, resuming, hashing, verification and labels are its own.
//!
//! One `DriverContent` at a time works on a driver, and the names of its objects are its own affair. An ingest that was not
//! committed ends with it; its object stays, and no record names it. There is no [`Collector`](crate::ports::Collector): one
//! that is safe has to see leases, labels and blobs at one instant, and these backends are apart. A collector that the
//! embedder has otherwise calls [`DriverContent::remove`].
//!
//! `examples/src/bin/own_store.rs` is a whole store of this kind under the conformance suite. A store with a protocol for
//! ingests of its own, such as containerd's, implements [`ports`](crate::ports) instead.

mod content;
mod ingest;
mod ingester;
mod reader;
mod record;
mod storage_driver;
mod unfinished;

pub use content::DriverContent;
pub use storage_driver::StorageDriver;
